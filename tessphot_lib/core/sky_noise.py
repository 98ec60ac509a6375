"""Level and scatter of the sky in the average image."""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import ROUNDED_MAD_TO_SIGMA

SKY_CELL = 64  # [pixels] side of the cells in which the noise of the average image is measured
MIN_CELL = 50  # pixels of sky that a cell needs
MIN_SKY = 8  # and the whole image; with fewer the faintest pixels count as sky
FAINTEST_SHARE = 0.3


def sky_noise(
    average_image: NDArray, sky: NDArray, elsewhere: NDArray | None = None
) -> tuple[NDArray, NDArray]:
    """Local level and scatter of the average image outside stars.

    Parameters
    ----------
    average_image : (n_rows, n_columns) array
        [e-/s]; NaN pixels do not count.
    sky : (n_rows, n_columns) bool array
        True outside stars.
    elsewhere : (n,) array, optional
        Sky pixels of other parts of the CCD.

    Returns
    -------
    level, noise : (n_rows, n_columns) float64 arrays
        Median, and 1.4826 x median absolute deviation, of each cell of
        `SKY_CELL` pixels; where a cell shows no sky of the whole image and
        ``elsewhere``, or, without any, of the faintest pixels.
    """
    level, noise = np.full(average_image.shape, np.nan), np.full(average_image.shape, np.nan)
    usable = sky & np.isfinite(average_image)
    values = average_image[usable]
    if elsewhere is not None:
        values = np.concatenate([values, elsewhere])
    if values.size < MIN_SKY and np.isfinite(average_image).any():
        faintest = np.sort(average_image[np.isfinite(average_image)])
        values = faintest[: max(1, round(FAINTEST_SHARE * len(faintest)))]
    everywhere = _median_and_mad(values)
    for row in range(0, average_image.shape[0], SKY_CELL):
        for column in range(0, average_image.shape[1], SKY_CELL):
            cell = slice(row, row + SKY_CELL), slice(column, column + SKY_CELL)
            values = average_image[cell][usable[cell]]
            found = _median_and_mad(values) if values.size >= MIN_CELL else everywhere
            level[cell], noise[cell] = found
    return level, noise


def _median_and_mad(values: NDArray) -> tuple[float, float]:
    """Median and scaled median absolute deviation; (0, 0) of nothing."""
    if values.size == 0:
        return 0.0, 0.0
    median = np.median(values)
    return float(median), float(ROUNDED_MAD_TO_SIGMA * np.median(np.abs(values - median)))
