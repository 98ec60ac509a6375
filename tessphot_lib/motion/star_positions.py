"""Motion of the images on the CCD, from the positions of some thousand stars.

Each star's position is measured in each image with a Gaussian window that
follows it (the windowed positions of SExtractor; Bertin & Arnouts 1996, A&AS 117, 393,
and its manual); then one affine transformation per image (translation, rotation,
scale, shear, so that differential velocity aberration fits) is fitted to the
displacements of all stars against their median position
(`tessphot_lib.core.affine` tells how it is kept).
"""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import SCIENCE_COLUMNS, SCIENCE_ROWS
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.isolation import is_isolated
from tessphot_lib.core.stamps import cut_stamps

HALF_STAMP = 4  # [pixels] positions are measured in stamps of 9 x 9
WINDOW_SIGMA = 1.0  # [pixels] of the Gaussian window
N_ITERATIONS = 8
MAX_DISPLACEMENT = 2.0  # [pixels] from where the catalog says; further is another star
ISOLATION_RADIUS = 4.0  # [pixels]
ISOLATION_TMAG = 2.0  # [mag] neighbors this much fainter are harmless
ENOUGH_STARS = 8  # if there are fewer, fainter ones are taken, too
TWIN_DISTANCE = 1.5  # [pixels] within which two stars have one position
FAINTER = 2.0  # [mag]
GRID = 16  # stars are spread over GRID x GRID cells of the CCD


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
        Range of Tmag. Where fewer than `ENOUGH_STARS` are in it, the brightest of the stars
        down to `FAINTER` magnitudes below complete them.

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
    usable = known & inside & (tmag >= bright_limit) & (tmag <= faint_limit + FAINTER)
    candidates = np.flatnonzero(usable)
    limits = {"radius": ISOLATION_RADIUS, "tmag_difference": ISOLATION_TMAG}
    candidates = candidates[is_isolated(row, column, tmag, candidates, **limits)]
    candidates = bright_enough(candidates, tmag, faint_limit)
    cell = (row[candidates] // (SCIENCE_ROWS / GRID)).astype(int) * GRID + (
        column[candidates] // (SCIENCE_COLUMNS / GRID)
    ).astype(int)
    per_cell = max(1, n_stars // GRID**2)
    n_cells_seen = np.prod([-(-size * GRID // SCIENCE_ROWS) for size in window.shape])
    per_cell = max(per_cell, min(n_stars // max(n_cells_seen, 1), 12))
    order = np.argsort(cell, kind="stable")
    rank = np.empty(len(order), dtype=int)
    starts = np.searchsorted(cell[order], cell[order])
    rank[order] = np.arange(len(order)) - starts
    return np.sort(candidates[rank < per_cell])


def bright_enough(candidates: NDArray, tmag: NDArray, faint_limit: float) -> NDArray:
    """Sort stars by brightness, and drop those fainter than the limit unless few are brighter.

    Parameters
    ----------
    candidates : (n_candidates,) int array
        Indices of stars down to ``faint_limit + FAINTER``.
    tmag : (n_stars,) array
    faint_limit : float
        [Tmag] `ENOUGH_STARS` are kept in any case.

    Returns
    -------
    (n,) int array
    """
    candidates = candidates[np.argsort(tmag[candidates], kind="stable")]
    n_bright = int(np.count_nonzero(tmag[candidates] <= faint_limit))
    return candidates[: max(n_bright, ENOUGH_STARS)]


def without_twins(candidates: NDArray, row: NDArray, column: NDArray, tmag: NDArray) -> NDArray:
    """Drop stars that cannot be told from a brighter candidate: none is to count twice.

    Parameters
    ----------
    candidates : (n_candidates,) int array
    row, column, tmag : (n_stars,) arrays

    Returns
    -------
    (n,) int array
        In order of brightness.
    """
    kept: list[int] = []
    for star in candidates[np.argsort(tmag[candidates], kind="stable")]:
        distance = np.hypot(row[kept] - row[star], column[kept] - column[star])
        if not (distance < TWIN_DISTANCE).any():
            kept.append(int(star))
    return np.array(kept, dtype=int)


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
    first = first_row - window.row0, first_column - window.column0
    stamps = cut_stamps(image, *first, (2 * HALF_STAMP + 1, 2 * HALF_STAMP + 1))
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
