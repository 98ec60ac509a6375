"""Affine motion of the images, fitted to the positions of stars."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.affine import affine_design, displacement
from tessphot_lib.core.medians import medians_of_known, running_median

AROUND = 0.5  # [d] images within a quarter of a day on each side tell where one should be
CLIP = 4.0  # [sigma] stars off the fit by more are left out
MIN_SIDE = 8  # images on one side that show where an image should be
MAX_POSITIONS = 10  # at which motion is judged, spread over the CCD
CLEAR = 4.0  # [sigma] that a displacement must stand out
N_CLIPS = 5  # at most, of stars off the fit
AT_ONCE = 1_000_000  # positions that are looked at together
MIN_STARS = 8  # for an affine fit; from 3 on a translation is fitted


def fit_motion(
    measured_row: NDArray, measured_column: NDArray, row: NDArray, column: NDArray
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Fit one affine motion per image to the positions of the stars.

    Parameters
    ----------
    measured_row, measured_column : (n_images, n_stars) arrays
        From `measure_positions`, or what they are off any fixed position of each
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
        squares, count = np.zeros(len(scatter)), np.zeros(len(scatter))
        at_once = max(1, AT_ONCE // len(scatter))
        for first in range(0, n_images, at_once):
            part = slice(first, first + at_once)
            fit = _fit_many(design, displacement[0][part], displacement[1][part], scatter)
            motion[part], error[part] = fit.motion, fit.error
            n_used[part] = fit.n_used
            clipped = np.minimum(fit.residual, CLIP) ** 2
            squares += np.where(fit.used, clipped, 0.0).sum(axis=0)
            count += fit.used.sum(axis=0)
        rms = np.sqrt(squares / np.maximum(count, 1))
        scatter = scatter * np.where(count > 0, np.maximum(rms, 1e-3), np.inf)
        scatter = np.maximum(scatter, 0.2 * np.median(scatter))
    return motion, error, n_used, of_all


class _Fits(NamedTuple):
    """Fits of some images.

    Attributes
    ----------
    motion : (n_images, 6) array
        NaN where fewer than three stars are left.
    error : (n_images,) array
    residual : (n_images, n_stars) array
        [scatter of the star]
    used : (n_images, n_stars) bool array
        Stars that count; none in images without a fit.
    n_used : (n_images,) int array
        How many; in images without a fit, how many were left.
    """

    motion: NDArray
    error: NDArray
    residual: NDArray
    used: NDArray
    n_used: NDArray


def _fit_many(design: NDArray, d_row: NDArray, d_column: NDArray, scatter: NDArray) -> _Fits:
    """Robust weighted fits of images, each by itself, (n_images, n_stars) of displacements."""
    shape = d_row.shape
    usable = np.isfinite(d_row) & np.isfinite(d_column) & np.isfinite(scatter)
    n_images = shape[0]
    found = _Fits(
        motion=np.full((n_images, 6), np.nan),
        error=np.full(n_images, np.nan),
        residual=np.zeros(shape),
        used=usable.copy(),
        n_used=np.zeros(n_images, dtype=int),
    )
    left = np.arange(n_images)  # images whose fit is not yet what it will be
    for _ in range(N_CLIPS):
        used = found.used[left]
        found.n_used[left] = used.sum(axis=1)
        is_fitted = found.n_used[left] >= 3
        bad = left[~is_fitted]
        found.motion[bad], found.error[bad], found.used[bad] = np.nan, np.nan, False
        left, used = left[is_fitted], used[is_fitted]
        if not left.size:
            break
        by_row, by_column = (np.where(used, values[left], 0.0) for values in (d_row, d_column))
        solved = _solve_weighted(design, used / scatter**2, by_row, by_column)
        off = np.hypot(
            d_row[left] - solved[:, 0] @ design.T, d_column[left] - solved[:, 1] @ design.T
        )
        residual = off / (scatter * np.sqrt(2))
        square = medians_of_known(np.where(used, residual, np.nan).T ** 2)
        typical = np.maximum(np.sqrt(square / np.log(2)), 1e-9)
        found.motion[left] = solved.reshape(-1, 6)
        found.error[left] = typical * np.sqrt(1 / (used / scatter**2).sum(axis=1))
        found.residual[left] = residual
        with np.errstate(invalid="ignore"):
            keep = usable[left] & (residual < CLIP * typical[:, None])
        same = (keep == used).all(axis=1)
        left = left[~same]
        found.used[left] = keep[~same]
        found.n_used[left] = keep[~same].sum(axis=1)
    return found


def _solve_weighted(design: NDArray, weight: NDArray, d_row: NDArray, d_column: NDArray) -> NDArray:
    """Weighted least squares of images, (n_images, 2, 3); a translation with few stars.

    ``weight``, ``d_row`` and ``d_column`` are (n_images, n_stars); stars of weight 0 do not count.
    """
    solved = np.zeros((len(weight), 2, 3))
    many = np.count_nonzero(weight, axis=1) >= MIN_STARS
    for n_terms, images in ((1, ~many), (3, many)):
        terms, of_images = design[:, :n_terms], weight[images]
        products = (terms[:, :, None] * terms[:, None, :]).reshape(len(terms), -1)
        normal = (of_images @ products).reshape(-1, n_terms, n_terms)
        inverse = np.linalg.pinv(normal, hermitian=True)
        for axis, values in enumerate((d_row[images], d_column[images])):
            right = (of_images * values) @ terms
            solved[images, axis, :n_terms] = np.einsum("tab,tb->ta", inverse, right)
    return solved


def is_displaced(
    motion: NDArray,
    error: NDArray,
    time: NDArray,
    row: NDArray,
    column: NDArray,
    *,
    limit: float,
) -> NDArray:
    """Return which images are displaced from those around them, as in coarse pointing.

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
    if not known.size:
        return result
    moved = np.hstack(displacement(motion[known], *_spread(row, column)))
    clear = np.maximum(limit, CLEAR * np.nan_to_num(error[known]))
    times = time[known]
    # At a step of the pointing the images of one side are where this one is.
    offsets = []
    for before, after in ((0.5, 0.5), (0.5, 0.0), (0.0, 0.5)):
        first = np.searchsorted(times, times - before * AROUND, side="left")
        last = np.searchsorted(times, times + after * AROUND, side="right")
        off = np.hypot(*np.hsplit(moved - running_median(moved, first, last), 2))
        of_image = np.median(off, axis=1)
        if not (before and after):
            of_image[last - first < MIN_SIDE] = np.inf
        offsets.append(of_image)
    result[known] = np.min(offsets, axis=0) > clear
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
