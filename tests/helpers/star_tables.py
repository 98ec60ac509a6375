"""Tables of stars in all formats that are read, written by the libraries that users have."""

import gzip

from astropy.table import Table

# What astropy calls the format, by the name of the file.
STAR_TABLES = {
    "tic.csv": "ascii.csv",
    "tic.csv.gz": "ascii.csv",
    "tic.tsv": "ascii.tab",
    "tic.tsv.gz": "ascii.tab",
    "tic.ecsv": "ascii.ecsv",
    "tic.ecsv.gz": "ascii.ecsv",
    "tic.fits": "fits",
    "tic.fits.gz": "fits",
    "tic.fit": "fits",
    "tic.fit.gz": "fits",
    "tic.vot": "votable",
    "tic.VOT.gz": "votable",
    "tic.votable": "votable",
    "tic.xml": "votable",
    "tic.parquet": "parquet",
}


def write_star_table(path, frame):
    """Write a pandas table in the format of the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = STAR_TABLES[path.name]
    if kind == "parquet":
        frame.to_parquet(path)
        return
    plain = path.with_name("plain")
    Table.from_pandas(frame).write(plain, format=kind, overwrite=True)
    content = plain.read_bytes()
    plain.unlink()
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)
