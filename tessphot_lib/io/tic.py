"""Rows of the TESS Input Catalog from a file, whoever made it.

CSV, ECSV, FITS or Parquet (CSV also compressed), with the column names of MAST
or VizieR in upper or lower case.
"""

import gzip
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd
from astropy.io import fits

from tessphot_lib.errors import InputDataError

# our name -> names in files, best first; MAST's ra and dec are at epoch 2000.0
NAMES = {
    "tic_id": ("id", "tic", "ticid", "tic_id"),
    "ra_j2000": ("ra", "raj2000", "ra_j2000", "raodeg"),
    "dec_j2000": ("dec", "dej2000", "dec_j2000", "deodeg"),
    "pm_ra": ("pmra", "pm_ra"),
    "pm_dec": ("pmdec", "pmde", "pm_dec"),
    "tmag": ("tmag",),
    "teff": ("teff",),
    "disposition": ("disposition", "disp"),
}
OPTIONAL = {"teff", "disposition"}
LIMITS = {"tic_id": (1, 2**53), "ra_j2000": (0.0, 360.0), "dec_j2000": (-90.0, 90.0)}
_MISSING = {"", "nan", "null", "none", "--", "n/a", "<na>"}


def read_tic(path: Path) -> pd.DataFrame:
    """Read stars, without the catalog's phantoms and doubles.

    Parameters
    ----------
    path : Path
        A file that ends in ``.csv``, ``.csv.gz``, ``.ecsv``, ``.fits``,
        ``.fits.gz`` or ``.parquet``.

    Returns
    -------
    DataFrame
        ``tic_id`` (int64), ``ra_j2000``, ``dec_j2000`` [deg], ``pm_ra`` (cos(dec)
        included), ``pm_dec`` [mas/yr], ``tmag``, ``teff`` [K] (float64, NaN
        where missing), in the order of the file. ``attrs`` has
        ``n_phantoms``: rows left out because they have a disposition (SPLIT,
        DUPLICATE, ARTIFACT), and ``n_repeated``: rows left out because an
        earlier one has the same ``tic_id``.

    Raises
    ------
    InputDataError
        If the file cannot be read, has no rows, lacks a column, or has a value
        that is impossible; the row is counted from 1.
    """
    path = Path(path)
    table = _reader(path)(path)
    if len(table) == 0:
        raise InputDataError(f"{path}: no stars in the file")
    stars = _renamed(path, table)
    phantom = np.zeros(len(stars), dtype=bool)
    if "disposition" in stars:
        phantom = ~_is_missing(stars.pop("disposition"))
    stars = stars[~phantom]
    stars = pd.DataFrame({name: _numbers(path, stars[name], table) for name in stars})
    if "teff" not in stars:
        stars["teff"] = np.nan
    stars["tic_id"] = stars["tic_id"].astype("int64")
    repeated = stars["tic_id"].duplicated().to_numpy()
    stars = stars[~repeated].reset_index(drop=True)
    stars.attrs = {"n_phantoms": int(phantom.sum()), "n_repeated": int(repeated.sum())}
    return stars


def _renamed(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Pick our columns, under our names; ``attrs`` keeps the names in the file."""
    lower = {str(name).lower(): name for name in table.columns}
    chosen = {
        ours: lower[next(name for name in names if name in lower)]
        for ours, names in NAMES.items()
        if not lower.keys().isdisjoint(names)
    }
    lacking = [name for name in NAMES if name not in chosen and name not in OPTIONAL]
    if lacking:
        wanted = "; ".join(f"{name} (as {' or '.join(NAMES[name])})" for name in lacking)
        raise InputDataError(f"{path}: no column for {wanted}")
    stars = pd.DataFrame({ours: table[name].to_numpy() for ours, name in chosen.items()})
    table.attrs["names"] = chosen
    return stars


def _is_missing(values: pd.Series) -> np.ndarray:
    if values.dtype.kind in "iufb":
        return values.isna().to_numpy()
    return (values.isna() | values.astype(str).str.strip().str.lower().isin(_MISSING)).to_numpy()


def _numbers(path: Path, values: pd.Series, table: pd.DataFrame) -> pd.Series:
    """Convert a column to float64, refusing what is no number or out of its range."""
    missing = _is_missing(values)
    numbers = pd.to_numeric(values.where(~missing), errors="coerce").astype("float64")
    low, high = LIMITS.get(values.name, (-np.inf, np.inf))
    wrong = (numbers.isna() & ~missing) | np.isinf(numbers) | (numbers < low) | (numbers > high)
    if values.name in LIMITS:
        wrong |= missing
    if values.name == "tic_id":
        wrong |= numbers % 1 != 0
    if wrong.any():
        index = wrong.idxmax()
        column = table.attrs["names"][values.name]
        raise InputDataError(
            f"{path}: row {index + 1}, column {column}: {values[index]!r} is not possible"
        )
    return numbers


def _reader(path: Path) -> Callable[[Path], pd.DataFrame]:
    """Choose by the name of the file."""
    name = path.name.lower().removesuffix(".gz")
    for suffix, reader in _READERS.items():
        if name.endswith(suffix):
            return reader
    raise InputDataError(f"{path}: a star catalog has to end in {', '.join(_READERS)}")


def _read_text(path: Path) -> pd.DataFrame:
    """Read CSV or ECSV as text, so that a wrong value can be named."""
    wanted = {name for names in NAMES.values() for name in names}
    try:
        with _open_text(path) as file:
            comments = list(itertools.takewhile(lambda line: line.startswith("#"), file))
        has_commas = any(re.match(r"#\s*delimiter: *','", line) for line in comments)
        is_ecsv = comments and comments[0].startswith("# %ECSV")
        return pd.read_csv(
            path,
            sep=" " if is_ecsv and not has_commas else ",",
            skiprows=len(comments),
            dtype=str,
            keep_default_na=False,
            skipinitialspace=True,
            usecols=lambda name: name.strip().lower() in wanted,
        ).rename(columns=str.strip)
    except pd.errors.EmptyDataError as error:
        raise InputDataError(f"{path}: the file is empty") from error
    except (OSError, EOFError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise InputDataError(f"{path} cannot be read: {error}") from error


def _open_text(path: Path) -> TextIO:
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    return opener(path, "rt", encoding="utf-8")


def _read_fits(path: Path) -> pd.DataFrame:
    wanted = {name for names in NAMES.values() for name in names}
    try:
        with fits.open(path) as hdus:
            data = next(hdu.data for hdu in hdus if isinstance(hdu, fits.BinTableHDU))
            columns = [name for name in data.names if name.lower() in wanted]
            return pd.DataFrame({name: _native(data[name]) for name in columns})
    except StopIteration as error:
        raise InputDataError(f"{path}: no table in the file") from error
    except (OSError, EOFError, TypeError, ValueError) as error:
        raise InputDataError(f"{path} cannot be read: {error}") from error


def _native(values: np.ndarray) -> np.ndarray:
    """Copy to the byte order of the machine, strings to Python's."""
    if values.dtype.kind in "SU":
        return np.array(values).astype(str).astype(object)
    return values.astype(values.dtype.newbyteorder("="))


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except ImportError as error:
        raise InputDataError(f"{path}: Parquet files need the package pyarrow") from error
    except (OSError, ValueError) as error:
        raise InputDataError(f"{path} cannot be read: {error}") from error


_READERS = {
    ".ecsv": _read_text,
    ".csv": _read_text,
    ".fits": _read_fits,
    ".fit": _read_fits,
    ".parquet": _read_parquet,
}
