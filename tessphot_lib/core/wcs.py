"""World coordinates of full-frame images: sky to science pixels and back."""

import re
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from tessphot_lib.core.constants import FIRST_SCIENCE_COLUMN, SCIENCE_COLUMNS, SCIENCE_ROWS
from tessphot_lib.core.sphere import separation, unit_vector

if TYPE_CHECKING:
    from astropy.wcs import WCS

BTC_KEYS = ("BTC_PIX1", "BTC_PIX2")  # (column, row), one-based, that BARYCORR is for
BTC_PIXEL = (1068.0, 1024.0)  # what they are in all images of the mission
MAX_SEPARATION = 16.0  # [deg] from the centre of a CCD, whose corners lie 8.5 deg from it
PLAUSIBLE_SCALE = (15.0, 27.0)  # [arcsec/pixel] of a WCS that can be trusted; TESS has 20.5-21.3
PLAUSIBLE_CRPIX = 5000.0  # [pixels]


def has_valid_wcs(header: fits.Header) -> bool:
    """Return whether a header has a WCS that can be true: present, finite, TESS's pixel scale."""
    keys = ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1", "CD1_2", "CD2_1", "CD2_2")
    try:
        values = np.array([float(header[key]) for key in keys])
    except (KeyError, TypeError, ValueError):
        return False
    if not np.all(np.isfinite(values)) or np.any(np.abs(values[2:4]) > PLAUSIBLE_CRPIX):
        return False
    scale = 3600.0 * np.sqrt(abs(np.linalg.det(values[4:].reshape(2, 2))))
    low, high = PLAUSIBLE_SCALE
    return bool(low < scale < high)


def wcs_header(header: fits.Header) -> fits.Header:
    """Return only the cards that make the celestial WCS, in the pixels of the full image."""
    pattern = re.compile(
        r"(WCSAXES|RADESYS|EQUINOX|CTYPE[12]|CRVAL[12]|CRPIX[12]|CUNIT[12]|CD[12]_[12]|"
        r"(A|B|AP|BP)_(ORDER|\d_\d))"
    )
    return fits.Header([card for card in header.cards if pattern.fullmatch(card.keyword)])


def ffi_wcs(header: fits.Header | str) -> "WCS":
    """Build the WCS of a full image from its header, or from the text of `wcs_header`."""
    from astropy.wcs import WCS

    if isinstance(header, str):
        header = fits.Header.fromstring(header, sep="\n")
    return WCS(wcs_header(header), relax=True)


def sky_to_pixel(wcs: "WCS", ra: NDArray, dec: NDArray) -> tuple[NDArray, NDArray]:
    """Convert positions on the sky to science pixels.

    Parameters
    ----------
    wcs : WCS
        Of a full-frame image, in its own pixels.
    ra, dec : (n,) arrays
        ICRS at the epoch of the image [deg].

    Returns
    -------
    row, column : (n,) float64 arrays
        Zero-based science pixels; NaN for directions that lie on the other
        half of the sky or so far away that the distortion cannot be inverted.
    """
    row, column = np.full(np.shape(ra), np.nan), np.full(np.shape(ra), np.nan)
    center_ra, center_dec = wcs.wcs.crval
    near = separation(center_ra, center_dec, ra, dec) < MAX_SEPARATION
    if near.any():
        x, y = wcs.all_world2pix(
            np.asarray(ra)[near], np.asarray(dec)[near], 0, quiet=True, tolerance=1e-5
        )
        row[near], column[near] = y, x - FIRST_SCIENCE_COLUMN
    return row, column


def pixel_to_sky(wcs: "WCS", row: NDArray, column: NDArray) -> tuple[NDArray, NDArray]:
    """Convert science pixels to (ra, dec) [deg]; the inverse of `sky_to_pixel`."""
    return tuple(wcs.all_pix2world(np.asarray(column) + FIRST_SCIENCE_COLUMN, row, 0))


def pointing(header: fits.Header) -> NDArray:
    """Directions of the middle and two corners of the CCD by an image's WCS, unit vectors.

    Returns
    -------
    (3, 3) float64 array
        One direction per row; NaN where the header has no usable WCS.
    """
    if not has_valid_wcs(header):
        return np.full((3, 3), np.nan)
    row = np.array([0.5 * (SCIENCE_ROWS - 1), 0.0, SCIENCE_ROWS - 1.0])
    column = np.array([0.5 * (SCIENCE_COLUMNS - 1), 0.0, 0.0])
    return unit_vector(*pixel_to_sky(ffi_wcs(header), row, column))


def corrected_direction(header: fits.Header) -> tuple[float, float]:
    """Direction (ra, dec) [deg] that BARYCORR is for; NaN where the header has no usable WCS."""
    if not has_valid_wcs(header):
        return np.nan, np.nan
    column, row = (
        float(header.get(key, pixel)) for key, pixel in zip(BTC_KEYS, BTC_PIXEL, strict=True)
    )
    ra, dec = ffi_wcs(header).all_pix2world(column, row, 1)
    return float(ra), float(dec)
