"""Stars of an image that its reference lacks, or has much fainter: novae, flares, asteroids.

Whatever they do, they have the shape of the PRF: their light stands on few pixels, and
falls off alike in all directions. A reflection is wider.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.medians import median, medians_of_known
from tessphot_lib.core.stamps import cut_stamps

PEAK_SIGMA = 25.0  # [sigma] a fainter peak is no matter for the sky
MORE_THAN_STAR = 1.0  # times the starlight of the reference: a star that changed less is known
HALF = 8  # [pixels] of the stamps in which the shape is judged
CORE, INNER, RING = 1, 4.5, (5.5, 8.5)  # [pixels] 3 x 3, all of a faint star, what it stands on
CONCENTRATION = 0.42  # of the light within INNER in 3 x 3 pixels; a stripe has half of that
OWN_RADIUS = 3.5  # [pixels] within which all the light is the star's
REACH_AT_17, FLUX_AT_17 = 2.25, 23.8  # [pixels], [e-/s]: half as far again as masks over stars
MAX_REACH = 60.0  # [pixels]
MIN_REACH = 6.0  # [pixels]

_OFFSET = np.arange(-HALF, HALF + 1)
_RADIUS = np.hypot(_OFFSET[:, None], _OFFSET)
_CORE = np.maximum(np.abs(_OFFSET)[:, None], np.abs(_OFFSET)) <= CORE
_RING = (RING[0] <= _RADIUS) & (RING[1] >= _RADIUS)


class NewStars(NamedTuple):
    """Position [pixels of the image], light over the reference [e-/s] of stars, (n,) each."""

    row: NDArray
    column: NDArray
    flux: NDArray


def find_new_stars(residual: NDArray, starlight: NDArray, sigma: float) -> NewStars:
    """Find peaks with the shape of a star that outshine what the reference has there.

    Parameters
    ----------
    residual : (n_rows, n_columns) array
        Image without sky and reference [e-/s]; NaN pixels do not count.
    starlight : (n_rows, n_columns) array
        Of the reference [e-/s].
    sigma : float
        Noise of a pixel of sky.
    """
    with np.errstate(invalid="ignore"):
        high = np.flatnonzero(residual.ravel() > PEAK_SIGMA * sigma)
        known = MORE_THAN_STAR * np.nan_to_num(starlight.ravel()[high])
        high = high[residual.ravel()[high] > known]
    rows, columns = np.unravel_index(high, residual.shape)
    around = cut_stamps(residual, rows - 2, columns - 2, (5, 5))
    highest = np.max(around, axis=(1, 2), initial=-np.inf, where=np.isfinite(around))
    is_peak = residual[rows, columns] >= highest
    rows, columns = rows[is_peak], columns[is_peak]
    if not rows.size:
        return NewStars(*np.zeros((3, 0)))
    side = 2 * HALF + 1
    stamps = cut_stamps(residual, rows - HALF, columns - HALF, (side, side)).astype(float)
    with np.errstate(invalid="ignore"):
        level = np.nan_to_num(medians_of_known(stamps[:, _RING].T))
        light = stamps - level[:, None, None]
        core = np.nansum(light[:, _CORE], axis=1)
        total = np.nansum(np.where(_RADIUS <= INNER, light, 0.0), axis=(1, 2))
        is_star = (core > CONCENTRATION * total) & (total > 0) & (core > 0)
        is_star &= np.isfinite(light[:, _CORE]).all(axis=1)
        is_star &= light[:, HALF, HALF] > PEAK_SIGMA * sigma
    middle = light[is_star][:, HALF - 1 : HALF + 2, HALF - 1 : HALF + 2]
    return NewStars(
        rows[is_star] + _peak(middle.sum(axis=2)),
        columns[is_star] + _peak(middle.sum(axis=1)),
        total[is_star],
    )


def new_starlight(residual: NDArray, stars: NewStars) -> NDArray:
    """Light of new stars as the image has it: near them all that is there, farther off rings.

    Parameters
    ----------
    residual : (n_rows, n_columns) array
        [e-/s]; NaN pixels do not count.
    stars : NewStars
        The brightest is taken off first.

    Returns
    -------
    (n_rows, n_columns) array
        [e-/s]
    """
    rest = np.array(residual, dtype=float)
    light = np.zeros(residual.shape)
    n_rows, n_columns = residual.shape
    for index in np.argsort(-stars.flux, kind="stable"):
        row, column, flux = stars.row[index], stars.column[index], stars.flux[index]
        reach = np.clip(REACH_AT_17 * (flux / FLUX_AT_17) ** 0.25, MIN_REACH, MAX_REACH)
        size = int(reach) + 4
        first_row, first_column = max(round(row) - size, 0), max(round(column) - size, 0)
        cut = (
            slice(first_row, min(round(row) + size + 1, n_rows)),
            slice(first_column, min(round(column) + size + 1, n_columns)),
        )
        part = rest[cut]
        d_row = np.arange(first_row, first_row + part.shape[0]) - row
        d_column = np.arange(first_column, first_column + part.shape[1]) - column
        radius = np.hypot(d_row[:, None], d_column)
        known = np.isfinite(part)
        outside = known & (radius > reach) & (radius <= reach + 4)
        level = _median(part[outside]) if outside.any() else 0.0
        ring = np.round(radius).astype(int)
        profile = np.zeros(ring.max() + 1)
        for distance in range(int(reach) + 1):
            here = known & (ring == distance)
            if here.any():
                profile[distance] = max(_median(part[here]) - level, 0.0)
        model = np.where(radius <= OWN_RADIUS, np.nan_to_num(part - level), profile[ring])
        light[cut] += model
        rest[cut] -= model
    return light


def _peak(sums: NDArray) -> NDArray:
    """Position of the peak of the Gaussian through three values (n, 3), from the middle one."""
    before, middle, after = np.log(np.maximum(sums, 1e-3 * sums.max(axis=1, keepdims=True))).T
    bend = 2 * middle - before - after
    step = np.divide(0.5 * (after - before), bend, out=np.zeros_like(bend), where=bend > 0)
    return np.asarray(np.clip(step, -0.5, 0.5))


def _median(values: NDArray) -> float:
    values = values[np.isfinite(values)]
    return median(values) if values.size else 0.0
