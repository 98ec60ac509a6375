"""Rows of the TESS Input Catalog from a file, whoever made it.

With the column names of MAST or VizieR in upper or lower case; `tessphot_lib.io.stars.star_tables`
reads the formats.
"""

import io
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.files.damage import open_fits, told_as_damage
from tessphot_lib.io.stars.star_tables import native, read_columns

# our name -> names in files, best first; MAST's ra and dec are at epoch 2000.0. VizieR's RAOdeg
# and DEOdeg (MAST's ra_orig and dec_orig) are at the epoch of another catalog: of no use.
NAMES = {
    "tic_id": ("id", "tic", "ticid", "tic_id", "tic id"),
    "ra_j2000": ("ra", "raj2000", "ra_j2000", "_raj2000"),
    "dec_j2000": ("dec", "dej2000", "dec_j2000", "_dej2000"),
    "pm_ra": ("pmra", "pm_ra"),
    "pm_dec": ("pmdec", "pmde", "pm_dec"),
    "tmag": ("tmag",),
    "teff": ("teff",),
    "ref_epoch": ("ref_epoch", "refepoch", "ref epoch"),
    "gaia": ("gaia",),
    "disposition": ("disposition", "disp"),
}
OPTIONAL = {"teff", "ref_epoch", "gaia", "disposition"}
NO_NUMBERS = ("gaia", "disposition")
# Possible values. Of proper motions the largest components are 10,362 (Barnard's star) and
# -5,817 mas/yr (Groombridge 1830): -9999 stands for none, as it does for a magnitude.
LIMITS = {
    "tic_id": (1, 2**53),
    "ra_j2000": (0.0, 360.0),
    "dec_j2000": (-90.0, 90.0),
    "pm_ra": (-9000.0, 11000.0),
    "pm_dec": (-9000.0, 11000.0),
    "tmag": (-5.0, 30.0),
    "teff": (1.0, 1e6),
    "ref_epoch": (1800.0, 2200.0),
}
REQUIRED = {"tic_id", "ra_j2000", "dec_j2000"}
WANTED = {name for names in NAMES.values() for name in names}
PREFIX = re.compile(r"^\s*TIC[ _-]*", re.IGNORECASE)  # of numbers: TIC 261136679

# What `write_tic` writes: column, type in the file, unit.
FITS_COLUMNS = (
    ("ID", ">i8", None),
    ("ra", ">f8", "deg"),
    ("dec", ">f8", "deg"),
    ("pmRA", ">f8", "mas/yr"),
    ("pmDEC", ">f8", "mas/yr"),
    ("Tmag", ">f8", "mag"),
    ("Teff", ">f8", "K"),
    ("objType", "S10", None),
    ("disposition", "S12", None),
)
REGION_COLUMNS = ("dec_low", "dec_high", "ra_low", "ra_high")  # [deg]
_MISSING = {"", "nan", "null", "none", "--", "n/a", "<na>"}
# Disposition of a star that 2MASS took for one and Gaia for several: its row has the position and
# the magnitude of the brightest of them, whose own row is a DUPLICATE (Paegert et al. 2021). Some
# answers of MAST have numbers: 6 DUPLICATE, 7 ARTIFACT, 8 SPLIT (its release notes of TIC 8).
SPLIT = {"split", "8", "8.0"}
FIRST_ROWS = 1000  # that `check_tic` looks at
LONGEST_EXACT = 2**53  # whole numbers up to here are exact in double precision


def read_tic(path: Path, faint_limit: float = np.inf) -> pd.DataFrame:
    """Read stars, without the catalog's phantoms and doubles; a piece of the file at a time.

    Parameters
    ----------
    path : Path
        A table, see `tessphot_lib.io.stars.star_tables`.
    faint_limit : float
        Fainter stars are left out, and where it is finite those without Tmag.

    Returns
    -------
    DataFrame
        ``tic_id`` (int64), ``ra_j2000``, ``dec_j2000`` [deg], ``pm_ra`` (cos(dec)
        included), ``pm_dec`` [mas/yr], ``tmag``, ``teff`` [K], ``ref_epoch`` [year] that the
        positions are of (float64, NaN where missing), in the order of the file. ``attrs``
        has ``n_rows`` of the file, and of those left out ``n_phantoms``: rows that have a
        disposition (DUPLICATE, ARTIFACT) other than SPLIT, ``n_repeated``: rows whose
        ``tic_id`` an earlier one has, or whose Gaia number one of a lower ``tic_id``
        has, ``n_faint``, and ``n_without_tmag``;
        ``marks_phantoms`` is False if there is no such column, so that none is left out:
        then of rows with the same position and ``tmag`` that of the lowest number is kept,
        as the TIC's duplicates have higher ones, and the others count as repeated.

    Raises
    ------
    InputDataError
        If the file cannot be read, has no rows, lacks a column, or has a value
        that is impossible; the row is counted from 1.
    """
    path = Path(path)
    counts = dict.fromkeys(("n_rows", "n_phantoms", "n_faint", "n_without_tmag"), 0)
    counts["marks_phantoms"] = False
    parts = []
    for table in read_columns(path, WANTED):
        parts.append(_stars_of(path, table, counts, faint_limit))
    if counts["n_rows"] == 0:
        raise InputDataError(f"{path}: no stars in the file")
    stars = pd.concat(parts, ignore_index=True)
    repeated = stars["tic_id"].duplicated().to_numpy()
    repeated |= _has_gaia_number_of_another(stars, repeated)
    del stars["gaia"]
    if not counts["marks_phantoms"]:
        repeated |= _is_twin(stars)
    if repeated.any():
        stars = stars[~repeated].reset_index(drop=True)
    stars.attrs = counts | {"n_repeated": int(repeated.sum())}
    return stars


def check_tic(path: Path) -> None:
    """Read the first rows of a list of stars, which shows in a moment whether it is one.

    Raises
    ------
    InputDataError
        As of `read_tic`, for these rows.
    """
    counts = {"n_rows": 0, "n_phantoms": 0}
    for table in read_columns(path, WANTED, FIRST_ROWS):
        _stars_of(path, table, counts, np.inf)
        if counts["n_rows"]:
            return
    raise InputDataError(f"{path}: no stars in the file")


def write_tic(
    path: Path, stars: Sequence[pd.DataFrame], cards: Sequence[tuple], region: np.ndarray
) -> None:
    """Write stars to a FITS table that `read_tic` reads; ``path`` appears complete or not at all.

    Parameters
    ----------
    path : Path
        Ends in ``.fits``.
    stars : sequence of DataFrame
        With the columns of `FITS_COLUMNS`; they are written one after the other.
    cards : sequence of (keyword, value, comment)
        Where the stars come from.
    region : (n, 4) array
        Pieces of the sky that hold all the stars there are [deg]: lower and
        upper declination, lower and upper right ascension.
    """
    rows = np.zeros(
        sum(len(part) for part in stars), dtype=[(name, kind) for name, kind, _ in FITS_COLUMNS]
    )
    first = 0
    for part in stars:
        for name, _, _ in FITS_COLUMNS:
            rows[name][first : first + len(part)] = part[name].to_numpy()
        first += len(part)
    table = fits.BinTableHDU(rows, name="TIC")
    for number, (_, _, unit) in enumerate(FITS_COLUMNS, start=1):
        if unit:
            table.header.set(f"TUNIT{number}", unit, after=f"TFORM{number}")
    pieces = fits.BinTableHDU.from_columns(
        [
            fits.Column(name, "D", "deg", array=np.reshape(region, (-1, 4))[:, index])
            for index, name in enumerate(REGION_COLUMNS)
        ],
        name="REGION",
    )
    hdus = fits.HDUList([fits.PrimaryHDU(header=fits.Header(list(cards))), table, pieces])
    for hdu in hdus:
        hdu.add_checksum(when="of this HDU")  # else a date would be there
    with complete_file(path) as partial:
        hdus.writeto(partial)


def read_tic_region(path: Path) -> np.ndarray | None:
    """Read the pieces of the sky that `write_tic` was given; None of another kind of file."""
    if not Path(path).name.lower().endswith(".fits"):
        return None
    with told_as_damage(path), open_fits(path) as hdus:
        if "REGION" not in hdus or set(REGION_COLUMNS) - set(hdus["REGION"].columns.names):
            return None
        data = hdus["REGION"].data
        return np.stack([np.array(data[name], dtype=float) for name in REGION_COLUMNS], axis=1)


def read_tic_rows(path: Path) -> pd.DataFrame:
    """Read what `write_tic` wrote, phantoms included, as it was given.

    Raises
    ------
    InputDataError
        If the file is damaged or of another kind.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", AstropyUserWarning)  # of a wrong checksum
            with fits.open(io.BytesIO(path.read_bytes()), checksum=True) as hdus:
                data = hdus["TIC"].data
                return pd.DataFrame({name: native(data[name]) for name, _, _ in FITS_COLUMNS})
    except (OSError, EOFError, KeyError, TypeError, ValueError, AstropyUserWarning) as error:
        raise InputDataError(f"{path} cannot be read: {error}") from error


def _stars_of(
    path: Path, table: pd.DataFrame, counts: dict[str, int], faint_limit: float
) -> pd.DataFrame:
    """Check and convert a piece of the file, and count what is left out of it."""
    stars, names = _renamed(path, table)
    stars.index = pd.RangeIndex(counts["n_rows"], counts["n_rows"] + len(stars))
    counts["n_rows"] += len(stars)
    if "disposition" in stars:
        counts["marks_phantoms"] = True
        phantom = _is_phantom(stars.pop("disposition"))
        counts["n_phantoms"] += int(phantom.sum())
        stars = stars[~phantom]
    gaia = _gaia_numbers(stars["gaia"]) if "gaia" in stars else None
    numeric = [name for name in NAMES if name not in NO_NUMBERS]
    columns = {name: _numbers(path, stars[name], names) for name in numeric if name in stars}
    stars = pd.DataFrame(columns, columns=numeric).astype("float64").assign(gaia=gaia)
    stars["tic_id"] = stars["tic_id"].astype("int64")
    if np.isfinite(faint_limit):
        unknown, faint = stars["tmag"].isna(), stars["tmag"] > faint_limit
        counts["n_without_tmag"] += int(unknown.sum())
        counts["n_faint"] += int(faint.sum())
        stars = stars[~(unknown | faint)]
    return stars


def _renamed(path: Path, table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Pick our columns, under our names; and tell the names in the file."""
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
    return pd.DataFrame({ours: table[name].to_numpy() for ours, name in chosen.items()}), chosen


def _is_missing(values: pd.Series) -> np.ndarray:
    if values.dtype.kind in "iufb":
        return values.isna().to_numpy()
    return (values.isna() | values.astype(str).str.strip().str.lower().isin(_MISSING)).to_numpy()


def _is_inexact(values: pd.Series, numbers: pd.Series) -> pd.Series:
    """Numbers of stars that have been rounded: single precision, or 1.2346e+09."""
    if values.dtype == np.float32:
        return numbers > 2**24
    if values.dtype.kind in "iuf":
        return pd.Series(False, index=values.index)
    return values.astype(str).str.contains("e", case=False, regex=False)


def _is_phantom(disposition: pd.Series) -> np.ndarray:
    """Rows that stand for no star, or for one that has another row."""
    is_split = disposition.astype(str).str.strip().str.lower().isin(SPLIT)
    return ~_is_missing(disposition) & ~is_split.to_numpy()


def _gaia_numbers(values: pd.Series) -> pd.Series:
    """Gaia numbers as text; None where missing, or no longer exact: rounded they are of many."""
    if values.dtype.kind == "f":
        known = (values > 0) & (values <= LONGEST_EXACT)
        values = values.where(known, 0).astype("int64")
    texts = values.astype(str).str.strip()
    is_number = texts.str.fullmatch(r"[1-9]\d*")
    return texts.astype(object).where(is_number, None)


def _has_gaia_number_of_another(stars: pd.DataFrame, repeated: np.ndarray) -> np.ndarray:
    """Rows of the Gaia number of one with a lower TIC number: the same star."""
    by_number = stars[~repeated & stars["gaia"].notna()].sort_values("tic_id", kind="stable")
    again = by_number.index[by_number["gaia"].duplicated()]
    return np.isin(np.arange(len(stars)), again)


def _is_twin(stars: pd.DataFrame) -> np.ndarray:
    """Rows of the position and magnitude of one with a lower number."""
    by_number = stars.sort_values("tic_id", kind="stable")
    twin = by_number.duplicated(["ra_j2000", "dec_j2000", "tmag"]) & by_number["tmag"].notna()
    return twin.sort_index().to_numpy()


def _numbers(path: Path, values: pd.Series, names: dict[str, str]) -> pd.Series:
    """Convert a column to float64, refusing what is no number or out of its range."""
    missing = _is_missing(values)
    if values.name == "tic_id" and values.dtype.kind not in "iuf":
        values = values.astype(str).str.replace(PREFIX, "", regex=True)
    numbers = pd.to_numeric(values.where(~missing), errors="coerce").astype("float64")
    low, high = LIMITS[str(values.name)]
    wrong = (numbers.isna() & ~missing) | np.isinf(numbers) | (numbers < low) | (numbers > high)
    if values.name in REQUIRED:
        wrong |= missing
    if values.name == "tic_id":
        wrong |= (numbers % 1 != 0) | _is_inexact(values, numbers)
    if wrong.any():
        index = wrong.idxmax()
        value = values[index].item() if isinstance(values[index], np.generic) else values[index]
        empty = "" if values.name in REQUIRED else "; leave it empty where it is not known"
        raise InputDataError(
            f"{path}: row {index + 1}, column {names[values.name]}: {value!r} is not possible, "
            f"it must be a number from {low:g} to {high:g}{empty}"
        )
    return numbers


TIC_VERSION = "8.2"
