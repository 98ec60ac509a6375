"""Affine motion of the images, fitted to the positions of stars."""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.affine import affine_design, displacement

AROUND = 0.5  # [d] images within a quarter of a day on each side tell where one should be
CLIP = 4.0  # [sigma] stars off the fit by more are left out
MIN_SIDE = 8  # images on one side that show where an image should be
MAX_POSITIONS = 10  # at which motion is judged, spread over the CCD
CLEAR = 4.0  # [sigma] that a displacement must stand out
MIN_STARS = 8  # for an affine fit; from 3 on a translation is fitted


def fit_motion(
    measured_row: NDArray, measured_column: NDArray, row: NDArray, column: NDArray
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Fit one affine motion per image to the positions of the stars.

    Parameters
    ----------
    measured_row, measured_column : (n_images, n_stars) arrays
        From `measure_positions`, or what they are off any fixed place of each
        star, which needs single precision only; NaN where a star was not found.
    row, column : (n_stars,) arrays
        Where the stars are [science pixels], to a tenth of a pixel.

    Returns
    -------
    motion : (n_images, 6) float64 array
        Against the median position of each star; NaN for images with fewer
        than three stars. With fewer than `MIN_STARS` only the translation.
    error : (n_images,) float64 array
        1-sigma error of the translation per coordinate [pixels].
    n_used : (n_images,) int array
        Stars that the fit used.
    scatter : (n_stars,) float64 array
        What the weight of each star in the fits is from [pixels]; infinite without weight.
    """
    n_images = len(measured_row)
    motion, error = np.full((n_images, 6), np.nan), np.full(n_images, np.nan)
    n_used = np.zeros(n_images, dtype=int)
    often = (
        np.isfinite(measured_row).sum(axis=0) > 0.5 * np.isfinite(measured_row).any(axis=1).sum()
    )
    of_all = np.full(len(row), np.inf)
    if not often.any():
        return motion, error, n_used, of_all
    design = affine_design(row[often], column[often])
    displacement = []
    for measured in (measured_row[:, often], measured_column[:, often]):
        displacement.append(measured - np.nanmedian(measured, axis=0))
    scatter = np.ones(int(often.sum()))
    for _ in range(2):  # the second time with each star's own scatter as its weight
        of_all[often] = scatter
        residual_sum, residual_count = np.zeros(len(scatter)), np.zeros(len(scatter))
        for index in range(n_images):
            fit = _fit_one(design, displacement[0][index], displacement[1][index], scatter)
            motion[index], error[index], n_used[index], residual, used = fit
            residual_sum[used] += np.minimum(residual[used], CLIP) ** 2
            residual_count[used] += 1
        rms = np.sqrt(residual_sum / np.maximum(residual_count, 1))
        scatter = scatter * np.where(residual_count > 0, np.maximum(rms, 1e-3), np.inf)
        scatter = np.maximum(scatter, 0.2 * np.median(scatter))
    return motion, error, n_used, of_all


def _fit_one(
    design: NDArray, d_row: NDArray, d_column: NDArray, scatter: NDArray
) -> tuple[NDArray, float, int, NDArray, NDArray]:
    """Robust weighted fit of one image: motion, error, number, residuals [scatter], stars used."""
    used = np.isfinite(d_row) & np.isfinite(d_column) & np.isfinite(scatter)
    residual = np.full(len(d_row), np.nan)
    motion, error = np.full(6, np.nan), np.nan
    for _ in range(5):
        n_used = int(used.sum())
        if n_used < 3:
            return np.full(6, np.nan), np.nan, n_used, residual, np.zeros_like(used)
        n_terms = 3 if n_used >= MIN_STARS else 1
        weighted = design[used, :n_terms] / scatter[used, None]
        both = np.column_stack([d_row[used], d_column[used]]) / scatter[used, None]
        solution, *_ = np.linalg.lstsq(weighted, both, rcond=None)
        motion = np.zeros((2, 3))
        motion[:, :n_terms] = solution.T
        with np.errstate(invalid="ignore"):
            residual = np.hypot(d_row - design @ motion[0], d_column - design @ motion[1]) / (
                scatter * np.sqrt(2)
            )
        typical = max(np.sqrt(np.median(residual[used] ** 2) / np.log(2)), 1e-9)
        error = typical * np.sqrt(1.0 / np.sum(1.0 / scatter[used] ** 2))
        keep = np.isfinite(residual) & (residual < CLIP * typical) & np.isfinite(scatter)
        if np.array_equal(keep, used):
            break
        used = keep
    return motion.ravel(), float(error), int(used.sum()), residual, used


def is_displaced(
    motion: NDArray,
    error: NDArray,
    time: NDArray,
    row: NDArray,
    column: NDArray,
    *,
    limit: float,
) -> NDArray:
    """Tell which images are displaced from those around them, as in coarse pointing.

    Parameters
    ----------
    motion : (n_images, 6) array
        NaN images are not flagged.
    error : (n_images,) array
        1-sigma error of the displacement [pixels]; NaN counts as none.
    time : (n_images,) array
        Increasing [d].
    row, column : (n_positions,) arrays
        Where there are pixels [science pixels]; of more than `MAX_POSITIONS` that many count.
    limit : float
        [pixels] that the median of these positions may be off the running median over
        `AROUND` days, or over the half of them on one side, if that is clear.

    Returns
    -------
    (n_images,) bool array
    """
    result = np.zeros(len(motion), dtype=bool)
    known = np.flatnonzero(np.isfinite(motion).all(axis=1))
    moved = np.stack(displacement(motion[known], *_spread(row, column)))
    clear = np.maximum(limit, CLEAR * np.nan_to_num(error[known]))
    times = time[known]
    first, last = (np.searchsorted(times, times + side * AROUND) for side in (-1, 1))
    for position, index in enumerate(known):
        around = slice(first[position], last[position])  # twice as wide: exact below
        since = times[around] - time[index]
        near = np.abs(since) <= 0.5 * AROUND
        # At a step of the pointing the images of one side are where this one is.
        sides = [near & (since <= 0), near & (since >= 0)]
        here = moved[:, around]
        offset = [
            np.median(np.hypot(*(moved[:, position] - np.median(here[:, some], axis=1))))
            for some in (near, *(side for side in sides if side.sum() >= MIN_SIDE))
        ]
        result[index] = min(offset) > clear[position]
    return result


def _spread(row: NDArray, column: NDArray) -> tuple[NDArray, NDArray]:
    """Choose at most `MAX_POSITIONS` of some positions, evenly in the order of their rows."""
    if len(row) <= MAX_POSITIONS:
        return row, column
    order = np.lexsort((column, row))
    some = order[np.linspace(0, len(row) - 1, MAX_POSITIONS).astype(int)]
    return row[some], column[some]


def relative_to(motion: NDArray, reference: NDArray) -> NDArray:
    """Motion against the reference image instead of the median: small, so differences add."""
    return motion - reference
