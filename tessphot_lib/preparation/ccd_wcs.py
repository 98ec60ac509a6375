"""The WCS of a CCD of which only stamps are known, each with a WCS of its own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import FIRST_SCIENCE_COLUMN
from tessphot_lib.core.geometry import Window

if TYPE_CHECKING:
    from astropy.wcs import WCS

# Degree of the distortion of the CCD's WCS by the number of stamps it is fitted to.
DEGREE_BY_COUNT = ((24, 3), (12, 2))
GRID = np.array([-0.5, 0.0, 0.5])  # points of each stamp that the CCD's WCS is fitted to
NARROWEST = 4.0  # [pixels] their distance at least: of narrower ones astropy fits none


class Placed(Protocol):
    """A cutout or the stamp of a target pixel file: science pixels, and their linear WCS."""

    @property
    def window(self) -> Window:
        """Its science pixels."""

    @property
    def wcs(self) -> "WCS":
        """Zero-based pixels of ``window``."""


def fit_ccd_wcs(stamps: Sequence[Placed], *, has_distortion: bool = True) -> "WCS":
    """Fit one WCS to those of the stamps, in the pixels of the full image.

    Tangential, with a distortion where there are enough stamps for it, and if
    it is wanted. Good to some hundredths of a pixel on them; far from them it is
    a guess, the better one without a distortion.
    """
    from astropy.coordinates import SkyCoord
    from astropy.wcs.utils import fit_wcs_from_points

    column, row, ra, dec = (
        np.concatenate(parts) for parts in zip(*map(_points, stamps), strict=True)
    )
    sky = SkyCoord(ra, dec, unit="deg")
    degree = next((d for count, d in DEGREE_BY_COUNT if len(stamps) >= count), None)
    degree = degree if has_distortion else None
    return fit_wcs_from_points((column, row), sky, projection="TAN", sip_degree=degree)


def _along(n_pixels: int) -> NDArray:
    """Positions along an axis of a stamp, beyond it if there is little on the CCD."""
    return 0.5 * (n_pixels - 1) + GRID * max(n_pixels - 1.0, NARROWEST)


def _points(stamp: Placed) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Points of a stamp: zero-based column and row of the full image, ra and dec [deg]."""
    n_rows, n_columns = stamp.window.shape
    y, x = (axis.ravel() for axis in np.meshgrid(*map(_along, (n_rows, n_columns)), indexing="ij"))
    ra, dec = stamp.wcs.all_pix2world(x, y, 0)
    first = stamp.window.column0 + FIRST_SCIENCE_COLUMN
    return x + first, y + stamp.window.row0, ra, dec


def wcs_text(wcs: "WCS") -> str:
    """The WCS as header cards in one-based pixels of the full image."""
    header = wcs.to_header(relax=True)
    matrix = wcs.pixel_scale_matrix
    for key in [key for key in header if key.startswith(("PC", "CDELT", "MJD", "DATE"))]:
        del header[key]
    for (row, column), value in np.ndenumerate(matrix):
        header[f"CD{row + 1}_{column + 1}"] = value
    return header.tostring(sep="\n", endcard=False, padding=False)
