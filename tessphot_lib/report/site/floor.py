"""The noise that light curves are expected to have."""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import FRAME_TIME
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.prf.evaluate import prf_stamps

STAMP = 21  # [pixels] around the star
PHASES = 4  # positions of the star in its pixel, along rows and along columns
# Limits between which TASOC's data validation accepts an aperture: Tmag, pixels.
SMALLEST_APERTURE = (
    (0, 4, 5.5, 6.8, 7.6, 8.4, 9.1, 10, 10.5, 11, 11.5, 11.6),
    (30, 29, 28, 26, 25, 22, 20, 15, 11, 8, 5, 4),
)
LARGEST_APERTURE = (
    (2, 3.5, 4.8, 6.8, 7.6, 8.4, 9.1, 10, 11, 12, 13.3, 14.5, 16),
    (3200, 1400, 900, 470, 260, 200, 170, 130, 100, 86, 67, 54, 50),
)


def expected_noise(
    tmag: NDArray,
    prf: Prf,
    center: tuple[float, float],
    *,
    sky: float,
    read_noise: float,
    exposure_time: float,
    cadence_seconds: float,
) -> NDArray:
    """Scatter over one hour of a lone star, as far as photons, sky and read noise go.

    It is the Cramer-Rao bound of a fit of the PRF with a known position: the variance
    of the flux is the inverse of the sum of p^2 / v over the pixels, with the fraction p of
    the light and the variance v of a pixel. The mean over positions within a pixel is given.

    Parameters
    ----------
    tmag : (n,) array
    prf : Prf
    center : (row, column)
        Where on the CCD the PRF is taken from.
    sky : float
        [e-/s per pixel]
    read_noise : float
        [e-] of a pixel in one frame of 2 s.
    exposure_time : float
        Time on source in one image [s].
    cadence_seconds : float
        Time from image to image [s].

    Returns
    -------
    (n,) float64 array
        [ppm]; NaN where ``tmag`` is, all NaN where ``sky`` is.
    """
    phase = (np.arange(PHASES) + 0.5) / PHASES - 0.5
    down, along = (offset.ravel() for offset in np.meshgrid(phase, phase, indexing="ij"))
    row, column = np.rint(center[0]) + down, np.rint(center[1]) + along
    first = [np.full(len(down), int(np.rint(at)) - STAMP // 2) for at in center]
    light = prf_stamps(prf, row, column, *first, (STAMP, STAMP)).reshape(len(down), -1)
    light = np.clip(light, 0, None)
    flux = np.asarray(flux_of(np.asarray(tmag, float), prf.zeropoint))
    read_variance = read_noise**2 / (FRAME_TIME * exposure_time)  # (e-/s)^2 in one image
    variance = (flux[:, None, None] * light + sky) / exposure_time + read_variance
    sigma = np.sqrt(1 / (light**2 / variance).sum(axis=2)).mean(axis=1)
    return 1e6 * sigma / flux / np.sqrt(3600 / cadence_seconds)
