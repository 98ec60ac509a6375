"""What ``pixels.hdf5`` says of a CCD in short; its blocks are neither looked at nor needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.catalog_shift import CatalogShift
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.flags import OWN_BAD_CADENCE, CadenceFlag
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.noise_model import NoiseModel
from tessphot_lib.io.files.format_version import check_format_version
from tessphot_lib.io.products.pixels_hdf5 import FORMAT_VERSION

DISPLACED = 0.5  # [pixels] from the good images, which `read_pointing_summary` counts


@dataclass(frozen=True)
class PointingSummary:
    """Where the stars of a CCD were, in short.

    Attributes
    ----------
    d_row, d_column : float
        By what the positions of the catalog were set right [pixels]; zeros: by nothing.
    n_stars : int
        That show it.
    n_images, n_displaced : int
        Images, and those that are flagged since their stars have changed, and are displaced
        from the good ones by more than half a pixel.
    displacement : float
        Median of those [pixels]; NaN without any.
    """

    d_row: float
    d_column: float
    n_stars: int
    n_images: int
    n_displaced: int
    displacement: float


@contextmanager
def _open_pixels(path: Path) -> Iterator[h5py.File]:
    """Open the file to read it; all that can be wrong with it is an InputDataError."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            check_format_version(file, path, FORMAT_VERSION)
            yield file
    except (OSError, KeyError) as err:
        raise InputDataError(f"{path}: cannot be read: {err}") from err


def read_image_quality(path: Path) -> tuple[NDArray, int]:
    """Read what is wrong with the images.

    Returns
    -------
    quality : (n_cadences,) int array
        Bits of `tessphot_lib.core.flags.CadenceFlag`.
    bad_quality : int
        Those with which an image is bad, by ``prepare.bad_quality``.

    Raises
    ------
    InputDataError
        If the file cannot be read, or has another format version.
    """
    with _open_pixels(path) as file:
        return file["quality"][()], int(file.attrs["bad_quality"])


def read_noise(path: Path) -> tuple[CcdId, NoiseModel | None]:
    """Read the CCD and its noise model, None where the file has none.

    Raises
    ------
    InputDataError
        If the file cannot be read, or has another format version.
    """
    with _open_pixels(path) as file:
        text = file.attrs.get("noise")
        noise = NoiseModel.from_json(str(text)) if text else None
        return CcdId.from_string(str(file.attrs["ccd"])), noise


def read_star_density(path: Path) -> float:
    """Read the stars per square degree, see `tessphot_lib.catalog.crowding`; 0 if unknown.

    Raises
    ------
    InputDataError
        If the file cannot be read, or has another format version.
    """
    with _open_pixels(path) as file:
        return float(file.attrs.get("star_density", 0.0))


def read_pointing_summary(path: Path) -> PointingSummary:
    """Read where the stars were: images are compared with those of their own pointing.

    Raises
    ------
    InputDataError
        If the file cannot be read, or has another format version.
    """
    with _open_pixels(path) as file:
        shift = CatalogShift.from_array(file.attrs.get("catalog_shift", np.zeros(0)))
        quality, motion = file["quality"][()], file["motion"][()][:, [0, 3]]
        if "pointing" in file:
            motion = motion - file["pointing/displacement"][()]
        bad = int(file.attrs["bad_quality"]) | int(OWN_BAD_CADENCE)
    known = np.isfinite(motion).all(axis=1)
    good = known & (quality & bad == 0)
    off = np.full(len(motion), np.nan)
    if good.any():
        off = np.hypot(*(motion - motion[good].mean(axis=0)).T)
    with np.errstate(invalid="ignore"):
        displaced = off[(quality & int(CadenceFlag.STARS_CHANGED) != 0) & (off > DISPLACED)]
    return PointingSummary(
        shift.d_row,
        shift.d_column,
        shift.n_stars,
        len(motion),
        len(displaced),
        float(np.median(displaced)) if len(displaced) else np.nan,
    )
