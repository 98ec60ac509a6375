"""The image that known stars make: their PRFs, added up."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.convolution import fft_convolve
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.core.stamps import add_stamps, nearest_pixel, stamp_pixels
from tessphot_lib.prf.evaluate import DERIVATIVES, REACH, prf_derivatives, prf_stamps, wing_values

FAINT_LIGHT = 0.02  # [e-/s] cores are drawn as far as they give a pixel so much
STARS_AT_ONCE = 5_000
FEW = 4  # stars per pixel, the pixels around that give wings included, added up one by one


def scene_image(prf: Prf, window: Window, row: NDArray, column: NDArray, flux: NDArray) -> NDArray:
    """Add up the light of stars, (n_rows, n_columns) [e-/s]: the first of `scene_derivatives`."""
    return scene_derivatives(prf, window, row, column, flux, orders=DERIVATIVES[:1])[0]


def scene_derivatives(
    prf: Prf,
    window: Window,
    row: NDArray,
    column: NDArray,
    flux: NDArray,
    *,
    orders: Sequence[tuple[int, int]] = DERIVATIVES,
    with_wings: bool = True,
) -> NDArray:
    """Add up the light of stars, and how it changes when all of them move together.

    Parameters
    ----------
    prf : Prf
    window : Window
        The pixels.
    row, column, flux : (n,) arrays
        Positions [science pixels] and fluxes [e-/s]; stars beside the window
        give it light, too. NaN stars are dark.
    orders : sequence of (int, int)
        Orders of the derivatives by row and column.
    with_wings : bool
        Whether wings are added to the cores.

    Returns
    -------
    (n_orders, n_rows, n_columns) float64 array
        [e-/s per pixel**order]. Cores are exact; wings are those of the nearest
        four pixels' centres, weighted by their distance, and have no derivatives.
    """
    images = np.zeros((len(orders), *window.shape))
    known = np.isfinite(row) & np.isfinite(column) & np.isfinite(flux)
    row, column, flux = (np.asarray(values, dtype=float)[known] for values in (row, column, flux))
    half = _core_half(prf, flux)
    for size in np.unique(half):
        same = np.flatnonzero(half == size)
        same = same[np.argsort(row[same], kind="stable")]  # each group in a few rows
        for first in range(0, len(same), STARS_AT_ONCE):
            stars = same[first : first + STARS_AT_ONCE]
            light = row[stars], column[stars], flux[stars]
            _add_cores(images, orders, prf, window, *light, int(size))
    if with_wings and len(prf.wing_share):
        wings = wing_image(prf, window, row, column, flux)
        for image, order in zip(images, orders, strict=True):
            if order == (0, 0):
                image += wings
    return images


def _core_half(prf: Prf, flux: NDArray) -> NDArray:
    """Half size of the stamps that cores are drawn in, by flux [pixels]."""
    full = int(np.ceil(prf.half_size))
    sizes = np.array(sorted({3, 5, full}))
    offsets = np.arange(-full, full + 1)
    distance = np.maximum(np.abs(offsets)[:, None], np.abs(offsets)[None, :])
    core = np.abs(
        prf_stamps(
            prf,
            np.zeros(1),
            np.zeros(1),
            *[np.array([-full])] * 2,
            (len(offsets),) * 2,
            with_wing=False,
        )
    )[0]
    beyond = np.array([core[distance > size].max(initial=0.0) for size in sizes])
    needed = np.asarray(flux)[:, None] * beyond > FAINT_LIGHT
    return sizes[np.minimum(needed.sum(axis=1), len(sizes) - 1)]


def _add_cores(
    images: NDArray,
    orders: Sequence[tuple[int, int]],
    prf: Prf,
    window: Window,
    row: NDArray,
    column: NDArray,
    flux: NDArray,
    half: int,
) -> None:
    """Add the cores of stars in stamps of one size, and their derivatives."""
    first_row, first_column = nearest_pixel(row) - half, nearest_pixel(column) - half
    near = (first_row + 2 * half >= window.row0) & (first_row < window.row1)
    near &= (first_column + 2 * half >= window.column0) & (first_column < window.column1)
    if not near.any():
        return
    row, column, flux = row[near], column[near], flux[near]
    first_row, first_column = first_row[near], first_column[near]
    size = 2 * half + 1
    corner = first_row, first_column
    cores = prf_derivatives(prf, row, column, *corner, (size, size), orders=orders, with_wing=False)
    cores *= flux[:, None, None]
    pixels = stamp_pixels(
        first_row - window.row0, first_column - window.column0, (size, size), window.shape
    )
    for image, light in zip(images, cores, strict=True):
        add_stamps(image, *pixels, light)


def model_error(
    prf: Prf,
    window: Window,
    row: NDArray,
    column: NDArray,
    flux: NDArray,
    *,
    limits: tuple[float, float] | None = None,
) -> NDArray:
    """Add up, in squares, how wrong the PRF may be in the light of each star.

    Parameters
    ----------
    prf, window, row, column, flux
        As of `scene_derivatives`, all finite.
    limits : tuple of 2 float, optional
        Each pixel errs by at most the first of these times what the PRF has there, and the
        second of all light.

    Returns
    -------
    (n_rows, n_columns) float64 array
        [e-/s]
    """
    squares = np.zeros(window.shape)
    for first in range(0, len(row), STARS_AT_ONCE):
        some = slice(first, first + STARS_AT_ONCE)
        _add_squared_errors(squares, prf, window, row[some], column[some], flux[some], limits)
    return np.sqrt(squares)


def _add_squared_errors(
    squares: NDArray,
    prf: Prf,
    window: Window,
    row: NDArray,
    column: NDArray,
    flux: NDArray,
    limits: tuple[float, float] | None,
) -> None:
    shape, half = prf.error.shape, prf.error.shape[0] // 2
    first_row, first_column = nearest_pixel(row) - half, nearest_pixel(column) - half
    error = prf.error
    if limits is not None:
        light = prf_stamps(prf, row, column, first_row, first_column, shape, with_wing=False)
        error = np.minimum(error, limits[0] * np.abs(light) + limits[1])
    pixels = stamp_pixels(
        first_row - window.row0, first_column - window.column0, shape, window.shape
    )
    add_stamps(squares, *pixels, (flux[:, None, None] * error) ** 2)


def wing_image(prf: Prf, window: Window, row: NDArray, column: NDArray, flux: NDArray) -> NDArray:
    """Add up the wings of stars (n,), (n_rows, n_columns) [e-/s]; as in `scene_derivatives`."""
    if not len(prf.wing_share):
        return np.zeros(window.shape)
    shape = window.shape[0] + 2 * REACH, window.shape[1] + 2 * REACH
    at_row, at_column = row - window.row0 + REACH, column - window.column0 + REACH
    inside = (at_row >= 0) & (at_row < shape[0] - 1)
    inside &= (at_column >= 0) & (at_column < shape[1] - 1)
    at_row, at_column, flux = at_row[inside], at_column[inside], flux[inside]
    low_row, low_column = np.floor(at_row).astype(int), np.floor(at_column).astype(int)
    high = at_row - low_row, at_column - low_column  # part of the next row and column
    radius, fraction = tuple(prf.wing_radius.tolist()), tuple(prf.wing_share.tolist())
    if flux.size * window.shape[0] * window.shape[1] <= FEW * shape[0] * shape[1]:
        middle = low_row - REACH, low_column - REACH
        return _few_wings(_wing_kernel(radius, fraction), window.shape, *middle, *high, flux)
    points = np.zeros(shape)
    for d_row in (0, 1):
        for d_column in (0, 1):
            part = np.abs(1 - d_row - high[0]) * np.abs(1 - d_column - high[1])
            np.add.at(points, (low_row + d_row, low_column + d_column), flux * part)
    kernel = _wing_kernel(radius, fraction)[1:-1, 1:-1]
    return fft_convolve(points, kernel, "same")[REACH:-REACH, REACH:-REACH]


def _few_wings(
    kernel: NDArray,
    shape: tuple[int, int],
    low_row: NDArray,
    low_column: NDArray,
    high_row: NDArray,
    high_column: NDArray,
    flux: NDArray,
) -> NDArray:
    """Add up wings star by star: of few stars in few pixels faster than a Fourier transform."""
    reach = kernel.shape[0] // 2
    # One row and column more: those of the next pixel are the ones of the pixel before.
    down, along = (
        np.arange(-1, size) - low[:, None]
        for size, low in zip(shape, (low_row, low_column), strict=True)
    )
    down, along = (np.clip(axis, -reach, reach) + reach for axis in (down, along))
    light = kernel[down[:, :, None], along[:, None, :]]
    by_row = np.stack([high_row, 1 - high_row])
    by_column = np.stack([high_column, 1 - high_column])
    image = np.zeros(shape)
    for k in (0, 1):
        for m in (0, 1):
            part = light[:, k : k + shape[0], m : m + shape[1]]
            image += np.tensordot(flux * by_row[k] * by_column[m], part, axes=1)
    return image


@lru_cache(maxsize=4)
def _wing_kernel(radius: tuple[float, ...], fraction: tuple[float, ...]) -> NDArray:
    """Wing by rows and columns from the star, with a rim of zeros beyond `REACH`."""
    offsets = np.arange(-REACH, REACH + 1)
    wing = wing_values(np.array(radius), np.array(fraction), np.hypot(offsets[:, None], offsets))
    kernel = np.pad(wing, 1)
    kernel.setflags(write=False)
    return kernel
