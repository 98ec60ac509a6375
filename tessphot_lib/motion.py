"""Motion of the images on the CCD, from the positions of some thousand stars.

Each star's position is measured in each image with a Gaussian window that
follows it; then one affine transformation per image (translation, rotation,
scale, shear, so that differential velocity aberration fits) is fitted to the
displacements of all stars against their median position
(`tessphot_lib.affine` tells how it is kept).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from tessphot_lib.affine import affine_design
from tessphot_lib.constants import SCIENCE_COLUMNS, SCIENCE_ROWS
from tessphot_lib.model import Window

HALF_STAMP = 4  # [pixels] positions are measured in stamps of 9 x 9
WINDOW_SIGMA = 1.0  # [pixels] of the Gaussian window
N_ITERATIONS = 8
MAX_DISPLACEMENT = 2.0  # [pixels] from where the catalog says; further is another star
ISOLATION_RADIUS = 4.0  # [pixels]
ISOLATION_TMAG = 2.0  # [mag] neighbors this much fainter are harmless
GRID = 16  # stars are spread over GRID x GRID cells of the CCD
AROUND = 0.5  # [d] images within a quarter of a day on each side tell where one should be
CLIP = 4.0  # [sigma] stars off the fit by more are left out
MIN_STARS = 8  # for an affine fit; from 3 on a translation is fitted


def select_motion_stars(
    row: NDArray,
    column: NDArray,
    tmag: NDArray,
    window: Window,
    *,
    n_stars: int,
    bright_limit: float,
    faint_limit: float,
) -> NDArray:
    """Choose stars whose positions tell the motion: unsaturated, isolated, spread evenly.

    Parameters
    ----------
    row, column, tmag : (n,) arrays
        The catalog [science pixels, mag]; NaN rows are never chosen.
    window : Window
        The pixels there are; stars closer than a stamp to its edge are left out.
    n_stars : int
        At most as many are chosen on a full CCD, the brightest of each cell.
    bright_limit, faint_limit : float
        Range of Tmag.

    Returns
    -------
    (n_chosen,) int array
        Indices, increasing; empty where no star qualifies.
    """
    known = np.isfinite(row) & np.isfinite(column) & np.isfinite(tmag)
    inside = (
        (row >= window.row0 + HALF_STAMP)
        & (row <= window.row1 - 1 - HALF_STAMP)
        & (column >= window.column0 + HALF_STAMP)
        & (column <= window.column1 - 1 - HALF_STAMP)
    )
    candidates = np.flatnonzero(known & inside & (tmag >= bright_limit) & (tmag <= faint_limit))
    candidates = candidates[_is_isolated(row, column, tmag, known, candidates)]
    candidates = candidates[np.argsort(tmag[candidates], kind="stable")]
    cell = (row[candidates] // (SCIENCE_ROWS / GRID)).astype(int) * GRID + (
        column[candidates] // (SCIENCE_COLUMNS / GRID)
    ).astype(int)
    per_cell = max(1, n_stars // GRID**2)
    n_cells_seen = np.prod([-(-size * GRID // 2048) for size in window.shape])
    per_cell = max(per_cell, min(n_stars // max(n_cells_seen, 1), 12))
    order = np.argsort(cell, kind="stable")
    rank = np.empty(len(order), dtype=int)
    starts = np.searchsorted(cell[order], cell[order])
    rank[order] = np.arange(len(order)) - starts
    return np.sort(candidates[rank < per_cell])


def _is_isolated(
    row: NDArray, column: NDArray, tmag: NDArray, known: NDArray, candidates: NDArray
) -> NDArray:
    """Tell which candidates have no bright neighbor, one bool per candidate."""
    if candidates.size == 0:
        return np.zeros(0, dtype=bool)
    index = np.flatnonzero(known)
    tree = cKDTree(np.column_stack([row[index], column[index]]))
    pairs = tree.query_ball_point(
        np.column_stack([row[candidates], column[candidates]]), ISOLATION_RADIUS
    )
    return np.array(
        [
            np.sum(tmag[index[near]] < tmag[star] + ISOLATION_TMAG) == 1
            for star, near in zip(candidates, pairs, strict=True)
        ]
    )


def measure_positions(
    image: NDArray, window: Window, row: NDArray, column: NDArray, background: NDArray
) -> tuple[NDArray, NDArray]:
    """Measure where stars are in one image.

    Parameters
    ----------
    image : (n_rows, n_columns) array
        Sky included [e-/s]; a star with a NaN pixel in its stamp is not measured.
    window : Window
        The pixels that the image covers.
    row, column : (n_stars,) arrays
        Where the stars are expected [science pixels], at least `HALF_STAMP`
        from the edge of the window.
    background : (n_stars,) array
        Background at each star [e-/s per pixel].

    Returns
    -------
    measured_row, measured_column : (n_stars,) float64 arrays
        Positions at which the Gaussian-weighted first moment vanishes; NaN
        where a star was not found.
    """
    first_row = np.round(row).astype(int) - HALF_STAMP
    first_column = np.round(column).astype(int) - HALF_STAMP
    offsets = np.arange(2 * HALF_STAMP + 1)
    stamps = image[
        (first_row - window.row0)[:, None, None] + offsets[:, None],
        (first_column - window.column0)[:, None, None] + offsets,
    ].astype(np.float64)
    stamps -= background[:, None, None]
    stamp_row, stamp_column = measure_stamps(stamps, row - first_row, column - first_column)
    return stamp_row + first_row, stamp_column + first_column


def measure_stamps(stamps: NDArray, row: NDArray, column: NDArray) -> tuple[NDArray, NDArray]:
    """Measure where stars are in stamps of their own; what `measure_positions` does.

    Parameters
    ----------
    stamps : (n, side, side) float64 array
        Background-subtracted [e-/s]; one with a NaN pixel is not measured.
    row, column : (n,) arrays
        Where the stars are expected [pixels of the stamp].

    Returns
    -------
    row, column : (n,) float64 arrays
        [pixels of the stamp]; NaN where a star was not found.
    """
    offsets = np.arange(stamps.shape[1])
    at_row, at_column = row.astype(float), column.astype(float)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for _ in range(N_ITERATIONS):
            d_row = offsets - at_row[:, None]
            d_column = offsets - at_column[:, None]
            weight_row = np.exp(-0.5 * (d_row / WINDOW_SIGMA) ** 2)
            weight_column = np.exp(-0.5 * (d_column / WINDOW_SIGMA) ** 2)
            along_rows = np.einsum("src,sc->sr", stamps, weight_column)
            total = (along_rows * weight_row).sum(axis=1)
            moment_row = (along_rows * weight_row * d_row).sum(axis=1) / total
            along_columns = np.einsum("src,sr->sc", stamps, weight_row)
            moment_column = (along_columns * weight_column * d_column).sum(axis=1) / total
            # Twice the moment is the whole step for a Gaussian as wide as its window.
            at_row = at_row + np.clip(2 * moment_row, -0.5, 0.5)
            at_column = at_column + np.clip(2 * moment_column, -0.5, 0.5)
        distance = np.hypot(at_row - row, at_column - column)
        found = (distance < MAX_DISPLACEMENT) & (total > 0) & (np.abs(moment_row) < 0.05)
        found &= np.abs(moment_column) < 0.05
    return np.where(found, at_row, np.nan), np.where(found, at_column, np.nan)


def fit_motion(
    measured_row: NDArray, measured_column: NDArray, row: NDArray, column: NDArray
) -> tuple[NDArray, NDArray, NDArray]:
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
    """
    n_images = len(measured_row)
    motion, error = np.full((n_images, 6), np.nan), np.full(n_images, np.nan)
    n_used = np.zeros(n_images, dtype=int)
    often = (
        np.isfinite(measured_row).sum(axis=0) > 0.5 * np.isfinite(measured_row).any(axis=1).sum()
    )
    if not often.any():
        return motion, error, n_used
    design = affine_design(row[often], column[often])
    displacement = []
    for measured in (measured_row[:, often], measured_column[:, often]):
        displacement.append(measured - np.nanmedian(measured, axis=0))
    scatter = np.ones(int(often.sum()))
    for _ in range(2):  # the second time with each star's own scatter as its weight
        residual_sum, residual_count = np.zeros(len(scatter)), np.zeros(len(scatter))
        for index in range(n_images):
            fit = _fit_one(design, displacement[0][index], displacement[1][index], scatter)
            motion[index], error[index], n_used[index], residual, used = fit
            residual_sum[used] += np.minimum(residual[used], CLIP) ** 2
            residual_count[used] += 1
        rms = np.sqrt(residual_sum / np.maximum(residual_count, 1))
        scatter = scatter * np.where(residual_count > 0, np.maximum(rms, 1e-3), np.inf)
        scatter = np.maximum(scatter, 0.2 * np.median(scatter))
    return motion, error, n_used


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


def is_displaced(motion: NDArray, time: NDArray, *, limit: float) -> NDArray:
    """Tell which images are displaced from those around them, as in coarse pointing.

    Parameters
    ----------
    motion : (n_images, 6) array
        NaN images are not flagged.
    time : (n_images,) array
        Increasing [d].
    limit : float
        [pixels] that the middle of the CCD may be off the running median over
        `AROUND` days.

    Returns
    -------
    (n_images,) bool array
    """
    result = np.zeros(len(motion), dtype=bool)
    known = np.flatnonzero(np.isfinite(motion).all(axis=1))
    middle = motion[known][:, [0, 3]]
    for position, index in enumerate(known):
        near = np.abs(time[known] - time[index]) <= 0.5 * AROUND
        offset = middle[position] - np.median(middle[near], axis=0)
        result[index] = np.hypot(*offset) > limit
    return result


def relative_to(motion: NDArray, reference: NDArray) -> NDArray:
    """Motion against the reference image instead of the median: small, so differences add."""
    return motion - reference
