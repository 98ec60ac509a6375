"""Cells of a CCD where the average image and the light that its list of stars predicts differ.

In crowds stars too faint for any list make most pixels differ from what is predicted: what counts
is what stands out of that. Fits take time, so that only the cells that differ most are
fitted, as many as have a certain number of stars to be fitted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.catalog.saturation import BLEED_SHARE, FULL_WELL_RATE, TRAIL_END
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.core.stamps import nearest_pixel
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.photometry.typical_noise import typical_noise
from tessphot_lib.prf.census_light import CONFUSION
from tessphot_lib.prf.evaluate import prf_stamps
from tessphot_lib.prf.list_check import SKY_ERROR, TWIN_TMAG, close_pairs
from tessphot_lib.prf.scene import model_error, scene_image
from tessphot_lib.prf.sources import matched_filter

CELL, MARGIN = 16, 10  # [pixels] side of the cells that are fitted, and around them
REACH = 20  # [pixels] beyond, from where stars give light
NOISE_FACTOR = 3.0  # the average image errs by more than its photons do
MAX_SOURCE_TMAG = 17.0  # fainter sources disturb no star that is measured
TRIAGE_SNR, TRIAGE_LIKENESS = 6.0, 0.4
TRIAGE_ERROR = 0.12  # of the predicted light in each pixel: smaller deviations are none
MAX_TWIN_TMAG = 16.0  # of pairs that the image is asked about
TWIN_DEFICIT = 0.5  # of the least light that lacks at a star listed twice: else they are two
OFF_FRACTION = 0.15  # of the light in a star's pixels that is left when its entry is wrong
PEAK_SIZE = 7  # [pixels] side of the square in which a source has one peak
SQUARE = 64  # [pixels] side of the squares that show what faint stars leave
AREA = 256  # [pixels] side of the areas that have a part of the stars that are fitted
FITTED_MARGIN = 6  # [pixels] around what is fitted, from where faint stars give light
MAX_FITTED = 0.25  # stars per pixel that are fitted at most: as many as pixels can tell apart
MAX_OF_AREA, MAX_OF_CCD = 15_000, 60_000  # stars that are fitted at most, in all cells together


@dataclass
class ComparedList:
    """What is compared: the image, the PRF, and the list with its positions in the image.

    Attributes
    ----------
    cube : PixelCube
    prf : Prf
    row, column, flux : (n_stars,) arrays
        Positions in the average image [science pixels], expected fluxes [e-/s]; NaN if unknown.
    same_as : (n_stars,) int array
        Index of the star that an entry is another one of; negative if it counts.
    """

    cube: PixelCube
    prf: Prf
    row: NDArray
    column: NDArray
    flux: NDArray
    same_as: NDArray

    @property
    def counted(self) -> NDArray:
        """Stars that are known and no other entry of another one."""
        return self._is_known & (self.same_as < 0)

    def counted_around(self, window: Window, margin: float = REACH) -> NDArray:
        """Indices of the stars that count in and around a window, ascending."""
        order, rows = self._by_row
        first, last = np.searchsorted(rows, (window.row0 - margin, window.row1 + margin))
        some = order[first:last]
        some = some[(self.same_as[some] < 0) & is_around(window, *self.at(some), margin)]
        return np.sort(some)

    def at(self, stars: NDArray) -> tuple[NDArray, NDArray]:
        """Rows and columns of some stars."""
        return self.row[stars], self.column[stars]

    @cached_property
    def _is_known(self) -> NDArray:
        return np.isfinite(self.row) & np.isfinite(self.column) & np.isfinite(self.flux)

    @cached_property
    def _by_row(self) -> tuple[NDArray, NDArray]:
        """Known stars in the order of their rows, and these."""
        known = np.flatnonzero(self._is_known)
        order = known[np.argsort(self.row[known], kind="stable")]
        return order, self.row[order]


@dataclass(frozen=True)
class Cell:
    """A part of the CCD to be fitted: its pixels, and those around that are fitted, too."""

    core: Window
    window: Window


@dataclass(frozen=True)
class ChosenCells:
    """Cells to be fitted, and how many differ from the list."""

    cells: list[Cell]
    n_suspicious: int


def is_around(window: Window, row: NDArray, column: NDArray, margin: float = REACH) -> NDArray:
    """Which stars may give light to a window, those beyond the CCD's edges among them."""
    inside = (row >= window.row0 - margin) & (row < window.row1 + margin)
    return inside & (column >= window.column0 - margin) & (column < window.column1 + margin)


def image_without_full(cube: PixelCube, window: Window) -> NDArray:
    """The average image without what is full, and what that may bleed into [e-/s]."""
    image = cube.average_image(window).astype(float)
    return np.where(scipy.ndimage.binary_dilation(is_full(image), TRAIL_END), np.nan, image)


def is_full(image: NDArray) -> NDArray:
    """Pixels that are full, bool."""
    with np.errstate(invalid="ignore"):
        return image > BLEED_SHARE * FULL_WELL_RATE


def average_noise(cube: PixelCube, window: Window) -> NDArray:
    """Error of the average image [e-/s]."""
    n_averaged = max(int(cube.is_averaged().sum()), 1)
    return NOISE_FACTOR * typical_noise(cube, window) / np.sqrt(n_averaged)


def cells_to_fit(ccd: ComparedList, saturated: NDArray) -> ChosenCells:
    """Choose the cells of a CCD that differ most from its list; patches of cutouts are all chosen.

    Parameters
    ----------
    ccd : ComparedList
    saturated : (n_sources, 6) array
        Saturated sources that the list lacks; row, column and flux come first.
    """
    windows = ccd.cube.grid.windows
    if not ccd.cube.grid.is_continuous:
        return ChosenCells([Cell(box, box) for box in windows], len(windows))
    (box,) = windows
    found = _suspicion(ccd, box, saturated)
    cells, worst = [], []
    for cell in _all_cells(box):
        significance = float(found[cell.core.slices_in(box)].max())
        if significance > 0:
            cells.append(cell)
            worst.append(significance)
    chosen = choose_worst(cells, np.array(worst), _to_be_fitted(ccd, box, cells))
    return ChosenCells([cells[k] for k in chosen], len(cells))


def _all_cells(box: Window) -> Iterator[Cell]:
    for row in range(box.row0, box.row1, CELL):
        for column in range(box.column0, box.column1, CELL):
            core = Window(row, row + CELL, column, column + CELL).intersect(box)
            yield Cell(core, core.widened(MARGIN).intersect(box))


def choose_worst(cells: list[Cell], significance: NDArray, n_stars: NDArray) -> list[int]:
    """Choose the most significant cells of each area, and of these those of all, by their stars.

    Parameters
    ----------
    cells : list of Cell
    significance, n_stars : (n_cells,) arrays
        How much the cells differ from the list, and how many stars are fitted in each.

    Returns
    -------
    list of int
        Indices of the cells, ascending: as many as have `MAX_OF_AREA` stars in each area of
        `AREA` x `AREA` pixels and `MAX_OF_CCD` in all, but one at least.
    """
    in_areas: dict[tuple[int, int], int] = {}
    total, chosen = 0, []
    order = np.argsort(-significance, kind="stable")
    for k in order.tolist():
        area = cells[k].core.row0 // AREA, cells[k].core.column0 // AREA
        of_area = in_areas.get(area, 0) + int(n_stars[k])
        in_areas[area] = of_area
        if of_area > MAX_OF_AREA:
            continue
        total += int(n_stars[k])
        if total > MAX_OF_CCD:
            break
        chosen.append(k)
    return sorted(chosen or order[:1].tolist())


def max_fitted(window: Window) -> int:
    """How many stars in and around a window are fitted at most."""
    n_rows, n_columns = (size + 2 * FITTED_MARGIN for size in window.shape)
    return int(MAX_FITTED * n_rows * n_columns)


def _to_be_fitted(ccd: ComparedList, box: Window, cells: list[Cell]) -> NDArray:
    """How many stars are fitted in each cell, ints: those around it, but not too many."""
    row, column = (nearest_pixel(axis[ccd.counted]) for axis in (ccd.row, ccd.column))
    row, column = row - box.row0 + FITTED_MARGIN, column - box.column0 + FITTED_MARGIN
    n_rows, n_columns = (size + 2 * FITTED_MARGIN for size in box.shape)
    inside = (row >= 0) & (row < n_rows) & (column >= 0) & (column < n_columns)
    pixels = row[inside] * n_columns + column[inside]
    counts = np.bincount(pixels, minlength=n_rows * n_columns).reshape(n_rows, n_columns)
    below = np.pad(counts.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    number = []
    for cell in cells:
        rows, columns = cell.window.slices_in(box)
        last = rows.stop + 2 * FITTED_MARGIN, columns.stop + 2 * FITTED_MARGIN
        around = below[last] - below[rows.start, last[1]] - below[last[0], columns.start]
        around += below[rows.start, columns.start]
        number.append(min(int(around), max_fitted(cell.window)))
    return np.array(number, dtype=int)


def _suspicion(ccd: ComparedList, box: Window, saturated: NDArray) -> NDArray:
    """By how much the image differs from what the list predicts, (n_rows, n_columns).

    Significance in units of what counts, 0 where it is less.
    """
    image, sigma = image_without_full(ccd.cube, box), average_noise(ccd.cube, box)
    counted = ccd.counted
    at = [
        np.append(values[counted], saturated[:, k])
        for k, values in enumerate((ccd.row, ccd.column, ccd.flux))
    ]
    expected = scene_image(ccd.prf, box, *at)
    matters = is_around(box, at[0], at[1])
    matters &= at[2] * ccd.prf.error.max() > CONFUSION
    of_prf = model_error(ccd.prf, box, *(values[matters] for values in at))
    residual = image - expected
    noise = np.hypot(sigma, np.maximum(in_squares(np.abs(residual), box), CONFUSION))
    error = np.sqrt(noise**2 + (2 * of_prf) ** 2 + (TRIAGE_ERROR * expected) ** 2)
    found = np.zeros(box.shape)
    for light in (residual, -residual):
        flux, snr, likeness = matched_filter(ccd.prf, box, light, error, phases=(0.0,))
        counts = (flux > flux_of(MAX_SOURCE_TMAG, ccd.prf.zeropoint)) & (snr > TRIAGE_SNR)
        counts &= likeness > TRIAGE_LIKENESS
        found = np.maximum(found, _of_peaks(np.where(counts, snr / TRIAGE_SNR, 0.0)))
    stars = np.flatnonzero(counted & box.contains(ccd.row, ccd.column))
    row, column = (nearest_pixel(axis[stars]) for axis in (ccd.row, ccd.column))
    row, column = row - box.row0, column - box.column0
    off = off_significance(residual, expected, noise, of_prf)[row, column]
    off[ccd.flux[stars] <= flux_of(MAX_SOURCE_TMAG, ccd.prf.zeropoint)] = 0.0
    pairs, lacking = pairs_lacking_light(ccd, stars, box, residual, noise)
    np.maximum.at(off, pairs, lacking)
    of_stars = np.zeros(box.shape)
    np.maximum.at(of_stars, (row, column), off)
    return np.maximum(found, _of_peaks(of_stars))


def _of_peaks(significance: NDArray) -> NDArray:
    """Leave the highest pixel of a source as it is; of others around it just that they count."""
    is_peak = significance == scipy.ndimage.maximum_filter(significance, PEAK_SIZE, mode="constant")
    return np.where(is_peak, significance, np.minimum(significance, 1.0))


def in_squares(values: NDArray, window: Window) -> NDArray:
    """Scatter of values in squares of the CCD, from the median of their absolute values.

    Parameters
    ----------
    values : (n_rows, n_columns) array
        Absolute values; NaN is none.
    window : Window

    Returns
    -------
    (n_rows, n_columns) array
        That of the square of `SQUARE` x `SQUARE` pixels that each is in; 0 without any.
    """
    scatter = np.zeros(window.shape)
    for row in range(window.row0 // SQUARE * SQUARE, window.row1, SQUARE):
        for column in range(window.column0 // SQUARE * SQUARE, window.column1, SQUARE):
            square = Window(row, row + SQUARE, column, column + SQUARE).intersect(window)
            scatter[square.slices_in(window)] = robust_scatter(values[square.slices_in(window)])
    return scatter


def robust_scatter(values: NDArray) -> float:
    """Scatter about zero from absolute values, of which NaN is none; 0 without any."""
    values = values[np.isfinite(values)]
    return 1.4826 * float(np.median(values)) if values.size else 0.0


def pairs_lacking_light(
    ccd: ComparedList, stars: NDArray, box: Window, residual: NDArray, noise: NDArray
) -> tuple[NDArray, NDArray]:
    """Which of some stars may be twins of each other, their indices among these.

    Of a star listed twice the 3 x 3 pixels about it lack the light of one of the entries; where
    not all of them are there, nobody can tell. The second array is how significant that is.
    """
    bright = np.flatnonzero(ccd.flux[stars] > flux_of(MAX_TWIN_TMAG, ccd.prf.zeropoint))
    if len(bright) < 2:
        return bright[:0], np.zeros(0)
    pairs = close_pairs(ccd.row[stars[bright]], ccd.column[stars[bright]])
    row, column, flux = (values[stars[bright]][pairs] for values in (ccd.row, ccd.column, ccd.flux))
    alike = flux.max(axis=1) < flux.min(axis=1) * 10 ** (0.4 * TWIN_TMAG)
    pairs, row, column, flux = (values[alike] for values in (pairs, row, column, flux))
    at = nearest_pixel(row[:, 0]) - box.row0, nearest_pixel(column[:, 0]) - box.column0
    padded = np.pad(residual, 1, constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    left = around[at].sum(axis=(1, 2))
    corner = (np.repeat(nearest_pixel(axis[:, 0]) - 1, 2) for axis in (row, column))
    stamps = prf_stamps(ccd.prf, row.ravel(), column.ravel(), *corner, (3, 3))
    light = (flux * stamps.sum(axis=(1, 2)).reshape(flux.shape)).sum(axis=1)
    least = light * (1 - np.sqrt(flux.max(axis=1) / flux.sum(axis=1)))  # as of `twins`
    error = TRIAGE_SNR * 3 * np.nan_to_num(noise[at])  # of nine pixels
    is_two = (-left < TWIN_DEFICIT * least) | (least < error)
    significance = np.where(np.isfinite(left), -left, least) / np.maximum(error, CONFUSION)
    chosen = pairs[~is_two]
    return bright[chosen.ravel()], np.repeat(significance[~is_two], 2)


def off_significance(
    residual: NDArray, expected: NDArray, noise: NDArray, of_prf: NDArray
) -> NDArray:
    """How clearly a star at a pixel has another flux or position than expected.

    A flux that is 0.3 mag off, or a position off by 0.25 pixels, leaves a fifth of the star's
    brightest pixel in one of the 3 x 3 pixels about it. What the PRF errs by, mostly in the
    light of brighter stars, says nothing.

    Returns
    -------
    (n_rows, n_columns) array
        What is left in units of what counts; 0 where it does not.
    """
    left = scipy.ndimage.maximum_filter(np.nan_to_num(np.abs(residual)), 3)
    light, noise, of_prf = (
        scipy.ndimage.maximum_filter(np.nan_to_num(one), 3) for one in (expected, noise, of_prf)
    )
    ratio = left / np.maximum(TRIAGE_SNR * noise + SKY_ERROR, of_prf)
    return np.where((ratio > 1) & (left > OFF_FRACTION * light), ratio, 0.0)
