"""Quality of each point of a light curve, from the image and from the star's own pixels."""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.flags import (
    KNOWN_AS_BAD,
    CadenceFlag,
    LightCurveFlag,
    PixelFlag,
    is_bad_for_all_stars,
)

QUIET_QUANTILE = 0.2  # of the images are taken to have a quiet sky at a star
UNCERTAIN_SKY = 3.0  # times the usual error that the error by the background may be
LEAST_SKY = 1.0  # [e-/s per pixel] a quiet sky is not taken to be fainter

# Bit of the star's pixels -> bit of the light curve
FROM_PIXELS = {
    PixelFlag.MANUAL_EXCLUDE: LightCurveFlag.MANUAL_EXCLUDE,
    PixelFlag.BACKGROUND_ANOMALY: LightCurveFlag.BACKGROUND_ANOMALY,
}


def star_quality(
    cadence_quality: NDArray,
    pixel_flags: NDArray,
    flux: NDArray,
    sky: NDArray,
    *,
    bad_quality: int,
    straylight_factor: float,
    sky_error: NDArray | float = 0.0,
) -> NDArray:
    """Return what is wrong with the points of light curves.

    Parameters
    ----------
    cadence_quality : (n_cadences,) int array
        `CadenceFlag` of the images.
    pixel_flags : (n_stars, n_cadences) uint8 array
        `PixelFlag` that any of a star's pixels has.
    flux : (n_stars, n_cadences) array
        NaN where a pixel of the star is missing.
    sky : (n_stars, n_cadences) array
        Background at the star [e-/s per pixel]; NaN: unknown.
    bad_quality : int
        `CadenceFlag` bits with which an image is bad, besides those that this
        software sets (`OWN_BAD_CADENCE`). STRAYLIGHT_MEASURED, which tells of
        the brightest position of the CCD, does not count: what counts is the sky
        at the star, and only where that is unknown the bit of the image.
    straylight_factor : float
        Multiple of the quiet sky at a star, above which there is stray light.
    sky_error : (n_stars, n_cadences) array, optional
        Error of the flux by the background, over the usual error of all of it; NaN: unknown.
        More than `UNCERTAIN_SKY` is stray light, too.

    Returns
    -------
    (n_stars, n_cadences) int32 array
        `LightCurveFlag`. An image that is bad, or has stray light at the star,
        has FLAGGED_BAD; the other bits stand by themselves.
    """
    is_bad = is_bad_for_all_stars(cadence_quality, bad_quality)
    quality = np.zeros(flux.shape, dtype=np.int32)
    quality[:, is_bad] |= int(LightCurveFlag.FLAGGED_BAD)
    is_manual = cadence_quality & int(CadenceFlag.MANUAL_EXCLUDE) != 0
    quality[:, is_manual] |= int(LightCurveFlag.MANUAL_EXCLUDE)
    for pixel_flag, flag in FROM_PIXELS.items():
        quality[pixel_flags & int(pixel_flag) != 0] |= int(flag)
    in_light = cadence_quality & int(CadenceFlag.STRAYLIGHT_MEASURED) != 0
    is_bright = has_straylight_at_star(sky, straylight_factor) | (in_light & ~np.isfinite(sky))
    with np.errstate(invalid="ignore"):
        is_bright |= sky_error > UNCERTAIN_SKY
    quality[is_bright] |= int(LightCurveFlag.FLAGGED_BAD | LightCurveFlag.STRAYLIGHT)
    quality[~np.isfinite(flux)] |= int(LightCurveFlag.MISSING_PIXELS)
    return quality


def star_pixel_quality(cadence_quality: NDArray, pixel_flags: NDArray, quality: NDArray) -> NDArray:
    """Add to the bits of images what is peculiar to a star.

    Programs that know the mission's bits only leave out a point by `KNOWN_AS_BAD`. Where
    ``quality`` says that a point is bad for a reason that the mission has no bit for, or that
    concerns this star alone, the bit of the mission's that comes closest is added, and
    TRANSLATED, so that it is not taken for the mission's own.

    Parameters
    ----------
    cadence_quality : (n_cadences,) int array
        `CadenceFlag` of the images.
    pixel_flags : (..., n_cadences) uint8 array
        `PixelFlag` that any of the star's pixels has.
    quality : (..., n_cadences) int array
        `LightCurveFlag` of the points, see `star_quality`.

    Returns
    -------
    (..., n_cadences) int32 array
        `CadenceFlag`; SATURATED_STAR where a pixel is full. Its light is not
        lost: it bleeds into pixels that are summed, too.
    """
    saturated = pixel_flags & int(PixelFlag.SATURATED) != 0
    star = np.where(saturated, int(CadenceFlag.SATURATED_STAR), 0)
    unknown = (quality != 0) & (cadence_quality & int(KNOWN_AS_BAD) == 0)
    reasons = {
        CadenceFlag.SCATTERED_LIGHT: quality & int(LightCurveFlag.STRAYLIGHT) != 0,
        CadenceFlag.COARSE_POINT: cadence_quality & int(CadenceFlag.COARSE_MEASURED) != 0,
    }
    closest = np.zeros(quality.shape, dtype=np.int64)
    for flag, applies in reasons.items():
        closest[np.broadcast_to(applies, quality.shape)] |= int(flag)
    closest[closest == 0] = int(CadenceFlag.MANUAL_EXCLUDE)
    translated = np.where(unknown, closest | int(CadenceFlag.TRANSLATED), 0)
    return (cadence_quality | star | translated).astype(np.int32)


def has_straylight_at_star(sky: NDArray, factor: float) -> NDArray:
    """Return where the sky at stars is far above its quiet level, (n_stars, n_cadences) bool.

    The quiet level is that of each star itself: the `QUIET_QUANTILE` of its
    sky in all images, or `LEAST_SKY`.
    """
    known = np.isfinite(sky).any(axis=1)
    bright = np.zeros(sky.shape, dtype=bool)
    if known.any():
        quiet = np.nanquantile(sky[known], QUIET_QUANTILE, axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            bright[known] = sky[known] > factor * np.maximum(quiet, LEAST_SKY)
    return bright
