"""Star catalogs in the shapes people have them."""

import gzip
import re

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from paths import REALDATA

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.io.stars.tic import read_tic

pytestmark = pytest.mark.filterwarnings("error")

MAST = """ID,ra,dec,pmRA,pmDEC,Tmag,Teff,objType,disposition
12345678901,10.5,-89.5,1.25,-2.5,10.125,5777.0,STAR,
22,0.0,90.0,,,12.5,,STAR,
33,359.999,12.5,3.0,4.0,,4000.0,STAR,DUPLICATE
44,200.25,-12.5,3.0,4.0,,4000.0,EXTENDED,
22,0.0,90.0,,,12.5,,STAR,
55,not a number,-12.5,3.0,4.0,,4000.0,STAR,ARTIFACT
"""


def check_truth(stars):
    assert stars["tic_id"].tolist() == [12345678901, 22, 44]
    assert stars["tic_id"].dtype == np.int64
    nan = np.nan
    expected = {
        "ra_j2000": [10.5, 0.0, 200.25],
        "dec_j2000": [-89.5, 90.0, -12.5],
        "pm_ra": [1.25, nan, 3.0],
        "pm_dec": [-2.5, nan, 4.0],
        "tmag": [10.125, 12.5, nan],
        "teff": [5777.0, nan, 4000.0],
        "ref_epoch": [nan, nan, nan],
    }
    assert list(stars.columns) == ["tic_id", *expected]
    for name, values in expected.items():
        assert stars[name].dtype == np.float64
        np.testing.assert_array_equal(stars[name], values, err_msg=name)
    assert stars.index.tolist() == [0, 1, 2]


def write_text(path, text=MAST):
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["tic.csv", "tic.csv.gz", "TIC.CSV"])
@pytest.mark.parametrize("change", [str, str.upper, str.lower])
def test_csv_of_mast(tmp_path, name, change):
    header, rows = MAST.split("\n", 1)
    stars = read_tic(write_text(tmp_path / name, f"{change(header)}\n{rows}"))
    check_truth(stars)
    left_out = {"n_phantoms": 2, "n_repeated": 1, "n_faint": 0, "n_without_tmag": 0}
    assert stars.attrs == {"n_rows": 6, "marks_phantoms": True} | left_out


def test_names_of_vizier_and_leading_comments(tmp_path):
    header, rows = MAST.split("\n", 1)
    header = "TIC,RAJ2000,DEJ2000,pmRA,pmDE,Tmag,Teff,OType,Disp"
    check_truth(read_tic(write_text(tmp_path / "v.csv", f"# a query\n#\n{header}\n{rows}")))


VIZIER = """#
#   VizieR Astronomical Server vizier.cds.unistra.fr
#RESOURCE=yCat_4039
#Column	TIC	(I10)	TESS Input Catalog identifier	[ucd=meta.id;meta.main]

TIC;RAJ2000;DEJ2000;pmRA;pmDE;Tmag;Teff;Disp
;deg;deg;mas/yr;mas/yr;mag;K;
----------;----------;----------;--------;--------;-------;------;----------
0012345678901; 10.5; -89.5;   1.25;  -2.5;10.125;5777.0;
0000000000022;  0.0;  90.0;       ;      ; 12.5 ;      ;
0000000000033;359.999;12.5;   3.0 ;   4.0;      ;4000.0;DUPLICATE
0000000000044;200.25;-12.5;   3.0 ;   4.0;      ;4000.0;

"""


@pytest.mark.parametrize(("name", "delimiter"), [("v.csv", ";"), ("v.tsv", "\t"), ("v.csv", "|")])
def test_separated_values_of_vizier(tmp_path, name, delimiter):
    """With lines of units and of dashes below the names, and another one at the end."""
    check_truth(read_tic(write_text(tmp_path / name, VIZIER.replace(";", delimiter))))


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_csv_with_other_delimiters(tmp_path, delimiter):
    check_truth(read_tic(write_text(tmp_path / "tic.csv", MAST.replace(",", delimiter))))


def test_votable(tmp_path):
    mast_table().write(tmp_path / "tic.vot", format="votable")
    check_truth(read_tic(tmp_path / "tic.vot"))


def test_damaged_votable_is_an_error_in_one_line(tmp_path):
    path = tmp_path / "tic.vot"
    mast_table().write(path, format="votable")
    path.write_text(re.sub(r' (ID|name)="Tmag"', "", path.read_text()))  # a field without name
    with pytest.raises(InputDataError, match=r"tic\.vot: cannot be read"):
        read_tic(path)


def test_numbers_with_the_name_of_the_catalog(tmp_path):
    text = "TIC ID,ra,dec,pmRA,pmDEC,Tmag\nTIC 7,1,2,3,4,9\ntic8,1,3,3,4,9\nTIC-9,1,4,3,4,9\n"
    assert read_tic(write_text(tmp_path / "t.csv", text))["tic_id"].tolist() == [7, 8, 9]


def test_numbers_of_single_precision_are_refused(tmp_path):
    """They are not those of the stars any more: 1234567891 has become 1234567936."""
    table = mast_table()
    table["ID"] = np.array([1234567891, 22, 33, 44, 22], dtype=np.float32)
    table.write(tmp_path / "tic.fits")
    with pytest.raises(InputDataError, match=r"tic\.fits: row 1, column ID: 1234567936\.0 is not"):
        read_tic(tmp_path / "tic.fits")
    table["ID"] = np.array([16777216, 22, 33, 44, 22], dtype=np.float32)
    table.write(tmp_path / "small.fits")
    assert read_tic(tmp_path / "small.fits")["tic_id"].tolist() == [16777216, 22, 44]


def test_same_place_and_magnitude_is_the_same_star(tmp_path):
    """Two real rows, of which the TIC marks the second as a duplicate, where that is not told."""
    text = """ID,ra,dec,pmRA,pmDEC,Tmag
836187536,137.044218,-16.013933,,,12.469
332635808,137.044218,-16.013933,,,12.469
5,137.044218,-16.013933,,,12.5
6,137.0,-16.0,,,
7,137.0,-16.0,,,
"""
    stars = read_tic(write_text(tmp_path / "tic.csv", text))
    assert stars["tic_id"].tolist() == [332635808, 5, 6, 7]
    assert stars.attrs["n_repeated"] == 1
    # Where the TIC says that both are stars, they are.
    lines = text.splitlines()
    text = "\n".join([f"{lines[0]},disposition", *(f"{line}," for line in lines[1:])])
    assert len(read_tic(write_text(tmp_path / "tic.csv", text))) == 5


@pytest.mark.parametrize(("column", "is_told"), [("", False), (",disposition", True)])
def test_whether_phantoms_are_marked(tmp_path, column, is_told):
    text = f"ID,ra,dec,pmRA,pmDEC,Tmag{column}\n7,1,2,3,4,9{',' * is_told}\n"
    assert read_tic(write_text(tmp_path / "t.csv", text)).attrs["marks_phantoms"] is is_told


def test_position_at_j2000_is_preferred_to_the_original_one(tmp_path):
    text = "TIC,RAOdeg,DEOdeg,RAJ2000,DEJ2000,pmRA,pmDE,Tmag\n7,1.5,2.5,1.0,2.0,0,0,9\n"
    stars = read_tic(write_text(tmp_path / "v.csv", text))
    assert stars.iloc[0][["ra_j2000", "dec_j2000"]].tolist() == [1.0, 2.0]
    assert np.isnan(stars["teff"][0])


@pytest.mark.parametrize("split", ["SPLIT", "Split ", "8", "8.0"])
def test_of_a_star_that_gaia_splits_one_row_is_kept(tmp_path, split):
    """In the TIC the first row has place and magnitude of the brightest, which is repeated."""
    text = f"""ID,ra,dec,pmRA,pmDEC,Tmag,disposition
1,10.0,20.0,0,0,9.5,{split}
2,10.0,20.0,0,0,9.5,DUPLICATE
3,10.0005,20.0,0,0,11.5,
4,10.001,20.0,0,0,8.5,ARTIFACT
"""
    if split.startswith("8"):
        text = text.replace("DUPLICATE", split.replace("8", "6"))
        text = text.replace("ARTIFACT", split.replace("8", "7"))
    stars = read_tic(write_text(tmp_path / "tic.csv", text))
    assert stars["tic_id"].tolist() == [1, 3]
    assert stars.attrs["n_phantoms"] == 2


@pytest.mark.parametrize("kind", ["int64", "float64"])
def test_numeric_dispositions_in_a_table(tmp_path, kind):
    table = mast_table()[:4]
    table["ID"] = [1, 2, 3, 4]
    table["disposition"] = MaskedColumn(
        np.array([8, 7, 6, 0], dtype=kind), mask=[False, False, False, True]
    )
    table.write(tmp_path / "tic.ecsv", format="ascii.ecsv")
    assert read_tic(tmp_path / "tic.ecsv")["tic_id"].tolist() == [1, 4]


def test_rows_of_one_gaia_number_are_one_star(tmp_path):
    text = """ID,GAIA,ra,dec,pmRA,pmDEC,Tmag,disposition
9,5731246381742426496,10.0,20.0,0,0,9.5,
5,5731246381742426496,10.0,20.0001,0,0,9.5,8
6,5731246381742426497,10.0,20.0,0,0,9.6,
7,,10.0,20.0,0,0,9.5,
8,0,10.0,20.0,0,0,9.5,
10,0,10.0,20.0,0,0,9.5,
"""
    stars = read_tic(write_text(tmp_path / "tic.csv", text))
    assert stars["tic_id"].tolist() == [5, 6, 7, 8, 10]
    assert stars.attrs["n_repeated"] == 1


def test_rounded_gaia_numbers_say_nothing(tmp_path):
    """In double precision two neighbors have the same one."""
    table = mast_table()[:2]
    table["GAIA"] = np.array([5731246381742426496, 5731246381742426497], dtype=float)
    for column in ("ra", "dec", "pmRA", "pmDEC", "Tmag", "Teff"):
        table[column] = table[column].filled(np.nan)
    table.write(tmp_path / "tic.fits")
    assert len(read_tic(tmp_path / "tic.fits")) == 2
    table["GAIA"] = np.array([5731246381742426496, 5731246381742426496])
    table.write(tmp_path / "exact.fits")
    assert len(read_tic(tmp_path / "exact.fits")) == 1


def mast_table():
    """The same stars as a masked astropy table, without the row that is no number."""
    rows = [line.split(",") for line in MAST.split("\n")[1:-2]]
    table = Table()
    for number, name in enumerate(MAST.split("\n")[0].split(",")):
        texts = [row[number] for row in rows]
        if name in ("objType", "disposition"):
            table[name] = texts
        elif name == "ID":
            table[name] = np.array([int(text) for text in texts])
        else:
            values = [float(text or "nan") for text in texts]
            table[name] = MaskedColumn(values, mask=np.isnan(values))
    return table


@pytest.mark.parametrize("delimiter", [" ", ","])
def test_ecsv(tmp_path, delimiter):
    path = tmp_path / "tic.ecsv"
    mast_table().write(path, format="ascii.ecsv", delimiter=delimiter)
    check_truth(read_tic(path))


@pytest.mark.parametrize("name", ["tic.fits", "tic.fits.gz"])
def test_fits(tmp_path, name):
    table = mast_table()
    for column in ("ra", "dec", "pmRA", "pmDEC", "Tmag", "Teff"):
        table[column] = table[column].filled(np.nan)
    table.write(tmp_path / name, format="fits")
    check_truth(read_tic(tmp_path / name))


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    frame = mast_table().to_pandas()
    frame["disposition"] = frame["disposition"].replace("", None)
    frame.to_parquet(tmp_path / "tic.parquet")
    check_truth(read_tic(tmp_path / "tic.parquet"))


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [
        ("7,361.0,0,0,0,9,", "ra", "'361.0'"),
        ("7,-0.1,0,0,0,9,", "ra", "'-0.1'"),
        ("7,10,90.5,0,0,9,", "dec", "'90.5'"),
        ("7,,0,0,0,9,", "ra", "''"),
        ("7,10,0,fast,0,9,", "pmRA", "'fast'"),
        ("7,10,0,0,0,inf,", "Tmag", "'inf'"),
        ("7,10,0,0,0,-9999,", "Tmag", "'-9999'"),
        ("7,10,0,0,0,99.0,", "Tmag", "'99.0'"),
        ("7,10,0,-9999,0,9,", "pmRA", "'-9999'"),
        ("7,10,0,0,1e5,9,", "pmDEC", "'1e5'"),
        ("7,10,0,0,0,9,0", "Teff", "'0'"),
        ("7.5,10,0,0,0,9,", "ID", "'7.5'"),
        (",10,0,0,0,9,", "ID", "''"),
        ("-7,10,0,0,0,9,", "ID", "'-7'"),
        ("1.2346e+09,10,0,0,0,9,", "ID", r"'1.2346e\+09'"),
    ],
)
def test_impossible_values_are_named(tmp_path, row, column, value):
    text = f"ID,ra,dec,pmRA,pmDEC,Tmag,Teff\n1,1,1,1,1,1,\n{row}\n"
    with pytest.raises(InputDataError, match=rf"bad\.csv: row 2, column {column}: {value} is not"):
        read_tic(write_text(tmp_path / "bad.csv", text))


def test_a_missing_column_is_named(tmp_path):
    path = write_text(tmp_path / "bad.csv", "ID,ra,dec,pmRA,Tmag\n1,1,1,1,1\n")
    with pytest.raises(InputDataError, match=r"bad\.csv: no column for pm_dec \(as pmdec or"):
        read_tic(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bad.csv", b"", "the file is empty"),
        ("bad.csv", b"ID,ra,dec,pmRA,pmDEC,Tmag\n", "no stars in the file"),
        ("bad.csv.gz", b"not gzip", "cannot be read"),
        ("bad.fits", b"not FITS", "cannot be read"),
        ("bad.parquet", b"not Parquet", "(cannot be read|pyarrow)"),
        ("bad.txt", b"1", "the name ends in none of .csv, .tsv"),
        ("bad.vot", b"<VOTABLE></VOTABLE>", "no column for tic_id"),
        ("bad.vot", b"<VOTABLE><RESOURCE>", "cannot be read"),
    ],
)
def test_unreadable_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputDataError, match=rf"{name}.*{message}"):
        read_tic(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputDataError, match=r"nowhere\.csv"):
        read_tic(tmp_path / "nowhere.csv")


def test_fits_without_a_table(tmp_path):
    fits.PrimaryHDU(np.zeros((2, 3))).writeto(tmp_path / "image.fits")
    with pytest.raises(InputDataError, match="no table"):
        read_tic(tmp_path / "image.fits")


@pytest.mark.realdata
@pytest.mark.skipif(not REALDATA.is_dir(), reason="the real data are not beside the project")
@pytest.mark.parametrize(
    ("name", "n_stars", "n_phantoms", "first"),
    [
        ("tic_mast_rows.csv", 205, 1, (1227555, 137.225947173, -15.281665578, 12.5991, 6407.0)),
        ("tic_ic2391.csv", 60, 0, (94107183, 130.75168, -53.9021205833333, 10.4061, 5682.0)),
    ],
)
def test_real_rows(name, n_stars, n_phantoms, first):
    stars = read_tic(REALDATA / name)
    assert len(stars) == n_stars
    assert stars.attrs["n_phantoms"] == n_phantoms
    columns = ["tic_id", "ra_j2000", "dec_j2000", "tmag", "teff"]
    assert tuple(stars.iloc[0][columns]) == first
    raw = pd.read_csv(REALDATA / name)
    raw.columns = raw.columns.str.lower()
    kept = raw.set_index("id").loc[stars["tic_id"]]
    np.testing.assert_array_equal(stars["pm_ra"], kept["pmra"])
    np.testing.assert_array_equal(stars["pm_dec"], kept["pmdec"])
    if "disposition" in raw:
        assert (raw["disposition"].notna() & (raw["disposition"] != 8)).sum() == n_phantoms
        assert (kept["disposition"].isna() | (kept["disposition"] == 8)).all()
