"""Formats that tables of stars may have, by the ends of their names."""

FORMATS = {
    ".csv": "text",
    ".tsv": "text",
    ".ecsv": "text",
    ".fits": "fits",
    ".fit": "fits",
    ".vot": "votable",
    ".votable": "votable",
    ".xml": "votable",
    ".parquet": "parquet",
}
NOT_GZIPPED = ("parquet",)  # which has a compression of its own
READABLE = ", ".join(FORMATS) + "; all but .parquet also with .gz"


def table_format(name: str) -> str | None:
    """Format of a table by the name of its file: a value of `FORMATS`, None if not readable."""
    plain = name.lower().removesuffix(".gz")
    found = next((kind for suffix, kind in FORMATS.items() if plain.endswith(suffix)), None)
    is_gzipped = plain != name.lower()
    return None if is_gzipped and found in NOT_GZIPPED else found
