"""``jitter.ecsv``: the affine motion of each image of a CCD against the reference image."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.pointing import Pointing
from tessphot_lib.io.files.ecsv import read_ecsv, write_ecsv

COLUMNS = (
    *("time", "cadenceno", "error", "n_stars", "source"),
    *("light", "sharpness", "quality"),
)
POINTING = ("pointing_row", "pointing_column")
TERMS = ("row_0", "row_u", "row_v", "column_0", "column_u", "column_v")


def write_jitter(
    path: Path,
    ccd_id: CcdId,
    *,
    time: NDArray,
    cadenceno: NDArray,
    motion: NDArray,
    error: NDArray,
    n_stars: NDArray,
    source: NDArray,
    light: NDArray,
    sharpness: NDArray,
    quality: NDArray,
    star_scatter: NDArray,
    pointing: Pointing,
    attributes: Mapping[str, str] | None = None,
) -> None:
    """Write one row per image.

    Parameters
    ----------
    time : (n,) array
        [BTJD]
    cadenceno : (n,) array
    motion : (n, 6) array
        See `tessphot_lib.motion.star_positions` [pixels].
    error : (n,) array
        1-sigma error of the translation, per coordinate [pixels].
    n_stars : (n,) array
        Stars used.
    source : (n,) array of str
        'stars', 'header' (fall-back; of target pixel files POS_CORR, also where that is better)
        or 'none'.
    light, sharpness : (n,) arrays
        Light of the stars, and the fraction of it in their cores, relative to what they are in
        the whole sector; NaN where no star was measured.
    quality : (n,) int array
        `tessphot_lib.core.flags.CadenceFlag` bits that follow from motion and stars.
    star_scatter : (n_stars,) array
        Of the motion stars about the motion, that their weights are from [pixels]; infinite
        without weight.
    pointing : Pointing
        Displacements for hours, which are part of the motion.
    attributes : mapping, optional
        Of `tessphot_lib.core.provenance.provenance`, for the head of the table.
    """
    from astropy.table import Table

    meta: dict[str, object] = {"ccd": str(ccd_id), "reference": "row, column at u = v = 0: 1023.5"}
    # Texts, since infinity is no number everywhere.
    meta["star_scatter"] = [f"{value:.6g}" for value in star_scatter]
    table = Table(meta=meta | dict(attributes or {}))
    table["time"], table["time"].unit = time, "d"
    table["cadenceno"] = cadenceno
    for index, name in enumerate(TERMS):
        table[name] = motion[:, index]
        table[name].unit = "pix"
    table["error"] = error
    table["error"].unit = "pix"
    table["n_stars"] = n_stars
    table["source"] = source
    table["light"], table["sharpness"], table["quality"] = light, sharpness, quality
    for name, values in zip(POINTING, pointing.displacement.T, strict=True):
        table[name], table[name].unit = values, "pix"
    table["is_usual"] = pointing.is_usual
    write_ecsv(path, table)


def read_jitter(path: Path) -> tuple[dict[str, NDArray], Pointing]:
    """Read back what `write_jitter` wrote: all by its argument names, and the pointing.

    Raises
    ------
    InputDataError
        If the file cannot be read, or a column is missing.
    """
    table = read_ecsv(path)
    try:
        result = {name: np.asarray(table[name]) for name in COLUMNS}
        result["star_scatter"] = np.array([float(one) for one in table.meta["star_scatter"]])
        result["motion"] = np.column_stack([np.asarray(table[name]) for name in TERMS])
        displacement = np.column_stack([np.asarray(table[name]) for name in POINTING])
        return result, Pointing(displacement, np.asarray(table["is_usual"]).astype(bool))
    except (OSError, ValueError, KeyError) as err:
        raise InputDataError(f"{path}: cannot be read: {err}") from err
