"""All light curves of a CCD in one Parquet file, which is faster to read than many FITS files."""

import importlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tessphot_lib.core.errors import ConfigError
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.products.lightcurve_fits import read_light_curve

MAX_POINTS = 4_000_000  # of all stars of a row group: some 200 MB, of which there are copies
# Column of one value per star -> keyword of the light curve, type.
OF_STAR = {
    "tic_id": ("TICID", "int64"),
    "ra": ("RA_OBJ", "float64"),
    "dec": ("DEC_OBJ", "float64"),
    "tmag": ("TESSMAG", "float32"),
    "sector": ("SECTOR", "int32"),
    "camera": ("CAMERA", "int8"),
    "ccd": ("CCD", "int8"),
    "method": ("PHOTMET", "string"),
}
# Column of a list per star -> attribute of the light curve, type of its items.
OF_POINTS = {
    "time": ("time", "float64"),
    "cadenceno": ("cadenceno", "int32"),
    "flux": ("flux", "float64"),
    "flux_err": ("flux_err", "float32"),
    "flux_corr": ("flux_corr", "float32"),
    "flux_corr_err": ("flux_corr_err", "float32"),
    "background": ("background", "float32"),
    "quality": ("quality", "int32"),
    "pixel_quality": ("pixel_quality", "int32"),
}
UNITS = {
    "time": "BTJD, barycentric",
    "flux": "e-/s",
    "flux_err": "e-/s",
    "flux_corr": "ppm",
    "flux_corr_err": "ppm",
    "background": "e-/s in the aperture",
    "ra": "deg",
    "dec": "deg",
}


def write_lightcurves_parquet(path: Path, groups: Iterable[Sequence[Path]]) -> int:
    """Write light curves, one row per star and one row group per group of files.

    A group of more than `MAX_POINTS` points becomes several row groups: 200 stars with 120,000
    cadences of 20 s would need some gigabytes at a time.

    Parameters
    ----------
    path : Path
    groups : iterable of sequence of Path
        Light-curve files, such as those of a tile; an empty group makes no row group.

    Returns
    -------
    int
        Number of stars. A file without stars has all columns and no rows.

    Raises
    ------
    ConfigError
        If pyarrow is not installed.
    InputDataError
        If a light curve cannot be read.
    """
    try:
        arrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigError(
            "output.parquet: needs the package pyarrow: pip install 'tessphot[parquet]'"
        ) from error
    schema = _schema(arrow)
    n_stars = 0
    with (
        complete_file(path) as partial,
        parquet.ParquetWriter(partial, schema, compression="zstd") as writer,
    ):
        for files in groups:
            for rows in _portions(files):
                columns = {name: [row[name] for row in rows] for name in schema.names}
                writer.write_table(arrow.table(columns, schema=schema))
                n_stars += len(rows)
    return n_stars


def _portions(files: Sequence[Path]) -> Iterator[list[dict[str, Any]]]:
    """Read the stars of a group, as many at a time as memory is meant for."""
    rows: list[dict[str, Any]] = []
    n_points = 0
    for file in files:
        rows.append(_row(file))
        n_points += len(rows[-1]["time"])
        if n_points >= MAX_POINTS:
            yield rows
            rows, n_points = [], 0
    if rows:
        yield rows


def _schema(arrow: Any) -> Any:
    """Columns with their types and units."""
    kinds = {name: arrow.type_for_alias(kind) for name, (_, kind) in OF_STAR.items()}
    kinds |= {name: arrow.list_(arrow.type_for_alias(k)) for name, (_, k) in OF_POINTS.items()}
    return arrow.schema(
        arrow.field(name, kind, metadata={"unit": UNITS[name]} if name in UNITS else None)
        for name, kind in kinds.items()
    )


def _row(path: Path) -> dict[str, Any]:
    """One star."""
    curve, _, header = read_light_curve(path)
    row: dict[str, Any] = {name: header.get(key) for name, (key, _) in OF_STAR.items()}
    for name, (attribute, kind) in OF_POINTS.items():
        row[name] = np.asarray(getattr(curve, attribute)).astype(kind)
    return row
