"""Images in which the stars of a small stamp are not there at all.

Where a CCD shows only a star or two, their light says nothing: an eclipse looks like a camera
that sees nothing. What differs is the rest of the stamp: neighbors, however faint, stay in an
eclipse, and so does the sky.

Pixels are compared with those `ASIDE` columns beside them, in the same row: this takes off the
sky and the pattern of the read-out, which whole rows have in common.
"""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import MAD_TO_SIGMA
from tessphot_lib.core.medians import medians_of_known

ASIDE = 2  # [columns]
GONE = 0.05  # of the usual light; deeper eclipses of single stars without neighbors are rare
CLEAR = 3.0  # [sigma] that this must be above the noise, and a star in a dark image below
STILL_THERE = 5.0  # [sigma] of what is left of the usual pattern of the stamp
DARK = 0.5  # of the first percentile of the sky: less light never came in
FIRST_PERCENTILE = 1.0
MIN_PIXELS = 9  # that tell what the noise is
MIN_IMAGES = 10  # that tell what is usual


def contrast(flux: NDArray) -> NDArray:
    """Pixels against those beside them in their row.

    Parameters
    ----------
    flux : (n_images, n_rows, n_columns) array
        [e-/s]; NaN where unknown.

    Returns
    -------
    (n_images, n_pixels) float64 array
        n_pixels = n_rows * max(n_columns - 2 `ASIDE`, 0); NaN where one of the pixels is.
    """
    values = np.asarray(flux, dtype=float)
    n_columns = values.shape[2]
    middle = values[:, :, ASIDE : max(n_columns - ASIDE, ASIDE)]
    left, right = values[:, :, : middle.shape[2]], values[:, :, n_columns - middle.shape[2] :]
    return (middle - 0.5 * (left + right)).reshape(len(values), -1)


def lacks_light(pattern: NDArray, is_usual: NDArray, sky: NDArray) -> tuple[NDArray, NDArray]:
    """Tell in which images a stamp has lost the light of all its stars.

    Parameters
    ----------
    pattern : (n_images, n_pixels) array
        `contrast` of the stamp; NaN where unknown.
    is_usual : (n_images,) bool array
        Images that may tell what is usual: not flagged as bad.
    sky : (n_images,) array
        Background [e-/s per pixel]; NaN where unknown.

    Returns
    -------
    lacks : (n_images,) bool array
        Whether less than `GONE` of the stars' light is left, and nothing of the fainter part of
        the pattern. All False of stamps without clear stars.
    is_judged : (n_images,) bool array
        Whether the image could show it: it has data, and a star would be clear.

    Notes
    -----
    The brightest star decides what light is left: the projection on the usual pattern. In the
    second projection no pixel counts more than the median pixel, so that faint neighbors count
    as much as the brightest star. The noise is that of the image's own pixels; a star whose
    light is lost in it is gone only if the sky is dark, too.
    """
    nobody = np.zeros(len(pattern), dtype=bool)
    if np.count_nonzero(is_usual) < MIN_IMAGES:
        return nobody, nobody
    usual = medians_of_known(pattern[is_usual])
    known = np.isfinite(usual)
    if known.sum() < MIN_PIXELS or not np.any(usual[known]):
        return nobody, nobody
    usual, pattern = usual[known], pattern[:, known]
    leveled = np.clip(usual, *(np.array([-1.0, 1.0]) * np.median(np.abs(usual))))
    is_known = np.isfinite(pattern)
    # A pixel that an image lacks is as usual: it hides nothing.
    pattern = np.where(is_known, pattern, usual)
    noise = MAD_TO_SIGMA * np.median(np.abs(pattern), axis=1)
    norm = np.sqrt(np.square(usual).sum())
    light = pattern @ usual / norm**2
    error = noise / norm
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.abs(pattern @ leveled) / (noise * np.sqrt(np.square(leveled).sum()))
    nothing_left = ~(left > STILL_THERE)
    is_clear = error * CLEAR < GONE
    is_judged = is_known.any(axis=1) & (CLEAR * error < 1 - GONE)
    gone = is_clear & (np.abs(light) < GONE)
    in_the_dark = is_dark(sky, is_usual) & (np.abs(light) < GONE + CLEAR * error)
    return is_judged & nothing_left & (gone | in_the_dark), is_judged


def is_dark(sky: NDArray, is_usual: NDArray) -> NDArray:
    """Tell in which images there is much less sky than ever in the others, (n_images,) bool.

    Parameters
    ----------
    sky : (n_images,) array
        [e-/s per pixel]; NaN where unknown: not dark. Where it has been taken off none is.
    is_usual : (n_images,) bool array
    """
    known = is_usual & np.isfinite(sky)
    if not known.any():
        return np.zeros(len(sky), dtype=bool)
    least = float(np.percentile(sky[known], FIRST_PERCENTILE))
    with np.errstate(invalid="ignore"):
        return (sky < DARK * least) & (least > 0)
