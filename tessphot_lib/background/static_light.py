"""Extended light that never changes: nebulae, galaxies, unresolved cores of clusters.

What is finer than the mesh of the background stands in the mean image, between the stars,
and is part of the sky of each of them.
"""

from collections.abc import Iterator

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.background.changes import pixel_noise
from tessphot_lib.background.new_stars import find_new_stars, new_starlight
from tessphot_lib.background.surface import KNOTS, smooth_surface
from tessphot_lib.core.constants import ROUNDED_MAD_TO_SIGMA

COARSE = 5.0  # [pixels] sigma of the average that shows whether there is extended light
MODEL_FRACTION = 0.25  # of the starlight between stars, by which it may be wrong
STAR_FRACTION = 0.3  # of a pixel's starlight may be wrong: so stars do not become sky
SURE_LIGHT = 1.0  # [e-/s] of starlight that may be wrong without harm
CELL = 4  # [pixels] in which unknown stars show how well the averages are known
SEED, GROWN = 7.0, 3.0  # [sigma] of extended light, and as far as it goes
LEAST = 1.0  # [e-/s per pixel] less does not count
AROUND, SURROUNDED = 41, 0.55  # [pixels] of the pixels around others that have such light
HOLE_RADIUS, HOLE_DISTANCE = 4.0, 16  # [pixels] what a star of Tmag 10 hides
AROUND_HOLE = 8.0  # [pixels] over which what is found in holes is averaged
HOLE_ERROR = 1.5  # times that under stars
TAPER = 4.0  # [pixels] over which it ends
TILE, REACH = 256, 64  # [pixels] in which a surface is fitted at once, and around them: whole knots

Slices = tuple[slice, ...]


def static_light(image: NDArray, starlight: NDArray) -> NDArray:
    """Find the extended light of a mean image.

    Parameters
    ----------
    image : (n_rows, n_columns) array
        Mean image without its smooth sky [e-/s]; NaN pixels do not count.
    starlight : (n_rows, n_columns) array
        Light of known stars in it [e-/s].

    Returns
    -------
    (n_rows, n_columns) float64 array
        Zero away from extended light [e-/s].
    """
    rest = image - starlight
    known = np.isfinite(rest)
    if not known.any():
        return np.zeros(image.shape)
    # Stars that the catalog lacks are no extended light.
    sigma = pixel_noise(rest, known & (starlight < SURE_LIGHT))
    unknown = find_new_stars(rest, starlight, sigma if sigma > 0 else 1.0)
    starlight = starlight + new_starlight(rest, unknown)
    rest = image - starlight
    stars = np.abs(np.where(known, starlight, 0.0))
    weight = np.where(known, 1 / (1 + (STAR_FRACTION * stars / SURE_LIGHT) ** 2), 0.0)
    rest = np.where(known, rest, 0.0)
    light = rest * weight
    coarse, total = _average(light, weight, COARSE)
    error = _error_of_coarse(rest, coarse, weight) / np.sqrt(np.maximum(total, 1e-9))
    doubt = MODEL_FRACTION * scipy.ndimage.gaussian_filter(stars, COARSE)
    significance = np.maximum(np.abs(coarse) - doubt, 0.0) / error
    seen = np.abs(coarse) > LEAST + doubt
    extended = scipy.ndimage.binary_propagation(
        (significance > SEED) & seen, np.ones((3, 3), dtype=bool), mask=significance > GROWN
    )
    if not extended.any():
        return np.zeros(image.shape)
    # A bright star shows nothing of what it stands on, nor does light show where the smooth sky,
    # which has its mean, is as bright; those around do.
    blind = (np.abs(coarse) < LEAST + doubt) & (doubt > LEAST) & ~extended
    around = [scipy.ndimage.uniform_filter(one.astype(float), AROUND) for one in (extended, ~blind)]
    extended |= (around[0] > SURROUNDED * around[1]) & (around[1] > 0)
    taper = scipy.ndimage.gaussian_filter(extended.astype(float), TAPER)
    result = np.zeros(image.shape)
    for part, around, inside in _parts(taper > 0):
        result[part] = smooth_surface(rest[around], weight[around])[inside] * taper[part]
    return result


def _parts(wanted: NDArray) -> Iterator[tuple[Slices, Slices, Slices]]:
    """Parts of tiles that have all pixels wanted (n_rows, n_columns) bool.

    With what lies about each, as far as the averages reach; and where the part is in that.
    """
    n_rows, n_columns = wanted.shape
    for row in range(0, n_rows, TILE):
        for column in range(0, n_columns, TILE):
            tile = wanted[row : row + TILE, column : column + TILE]
            rows, columns = np.flatnonzero(tile.any(axis=1)), np.flatnonzero(tile.any(axis=0))
            if not rows.size:
                continue
            part = tuple(  # from a knot on: the splines are the same ones in all parts
                slice(first + int(axis[0]) // KNOTS * KNOTS, first + int(axis[-1]) + 1)
                for first, axis in ((row, rows), (column, columns))
            )
            around = tuple(
                slice(max(one.start - REACH, 0), min(one.stop + REACH, size))
                for one, size in zip(part, wanted.shape, strict=True)
            )
            inside = tuple(
                slice(one.start - wide.start, one.stop - wide.start)
                for one, wide in zip(part, around, strict=True)
            )
            yield part, around, inside


def static_light_error(static: NDArray) -> NDArray:
    """Estimate how wrong static light is where a star hides it.

    By how well it is found again in holes of the size of stars that are put into it; the factor
    is that of stars in simulated nebulae, galaxies and clusters.

    Parameters
    ----------
    static : (n_rows, n_columns) array
        From `static_light` [e-/s].

    Returns
    -------
    (n_rows, n_columns) float64 array
        [e-/s per pixel]
    """
    static = np.asarray(static, dtype=float)
    hidden = _holes(static.shape)
    square = np.zeros(static.shape)
    for part, around, inside in _parts(static != 0):
        found = smooth_surface(static[around], (~hidden[around]).astype(float))[inside]
        square[part] = np.where(hidden[part], found - static[part], 0.0) ** 2
    fraction = scipy.ndimage.gaussian_filter(hidden.astype(float), AROUND_HOLE)
    local = scipy.ndimage.gaussian_filter(square, AROUND_HOLE) / np.maximum(fraction, 1e-9)
    return HOLE_ERROR * np.sqrt(np.maximum(local, 0.0))


def _holes(shape: tuple[int, ...]) -> NDArray:
    """Discs on a square lattice, bool."""
    d_row, d_column = (np.arange(size) % HOLE_DISTANCE - HOLE_DISTANCE // 2 for size in shape)
    return np.hypot(d_row[:, None], d_column) <= HOLE_RADIUS


def _average(light: NDArray, weight: NDArray, sigma: float) -> tuple[NDArray, NDArray]:
    """Weighted average around each pixel, and the mean weight of a pixel."""
    total = scipy.ndimage.gaussian_filter(weight, sigma)
    return scipy.ndimage.gaussian_filter(light, sigma) / np.maximum(total, 1e-9), total


def _error_of_coarse(rest: NDArray, coarse: NDArray, weight: NDArray) -> float:
    """Scatter of the coarse average that unknown stars and noise make: from small cells."""
    n_rows, n_columns = (size // CELL * CELL for size in rest.shape)
    shape = n_rows // CELL, CELL, n_columns // CELL, CELL
    cut = slice(0, n_rows), slice(0, n_columns)
    total = weight[cut].reshape(shape).sum(axis=(1, 3))
    off = np.where(weight > 0, rest - coarse, 0.0) * weight
    mean = off[cut].reshape(shape).sum(axis=(1, 3)) / np.maximum(total, 1e-9)
    usable = total > 0.5 * CELL**2 * 0.5
    if not usable.any():
        return np.inf
    scatter = ROUNDED_MAD_TO_SIGMA * np.median(np.abs(mean[usable] - np.median(mean[usable])))
    n_cells = 4 * np.pi * COARSE**2 / CELL**2
    return max(float(scatter) / np.sqrt(n_cells), 1e-6)
