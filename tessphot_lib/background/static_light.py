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
from tessphot_lib.core.constants import ROUNDED_MAD_TO_SIGMA

SCALES = (1.6, 4.0, 10.0)  # [pixels] sigma of the Gaussians over which the light is averaged
N_ROUNDS = 2  # an average is too low on a summit: what it is too low by is averaged, and so on
HIDDEN = 0.03  # mean weight of the pixels below which a coarser average counts
COARSE = 5.0  # [pixels] sigma of the average that shows whether there is extended light
MODEL_FRACTION = 0.25  # of the starlight between stars, by which it may be wrong
STAR_FRACTION = 0.3  # of a pixel's starlight may be wrong: so stars do not become sky
SURE_LIGHT = 1.0  # [e-/s] of starlight that may be wrong without harm
CELL = 4  # [pixels] in which unknown stars show how well the averages are known
SEED, GROWN = 7.0, 3.0  # [sigma] of extended light, and as far as it goes
LEAST = 1.0  # [e-/s per pixel] less does not count
AROUND, SURROUNDED = 25, 0.7  # [pixels] of the pixels about a bright star that have such light
STRUCTURE, AROUND_STAR = 4.0, 3.0  # [pixels] that a star hides, and around it
STRUCTURE_ERROR = 1.5  # of what light there differs from its average
TAPER = 4.0  # [pixels] over which it ends
TILE = 256  # [pixels] in which the averages are made at once
REACH = N_ROUNDS * int(4 * max(SCALES) + 0.5)  # [pixels] of the averages: scipy's Gaussians

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
    # A bright star shows nothing of what it stands on; those around it do.
    blind = (np.abs(coarse) < LEAST + doubt) & (doubt > LEAST) & ~extended
    around = [scipy.ndimage.uniform_filter(one.astype(float), AROUND) for one in (extended, ~blind)]
    extended |= blind & (around[0] > SURROUNDED * around[1]) & (around[1] > 0)
    taper = scipy.ndimage.gaussian_filter(extended.astype(float), TAPER)
    result = np.zeros(image.shape)
    for part, around, inside in _parts(taper > 0):
        result[part] = _average_at_all_scales(rest[around], weight[around])[inside] * taper[part]
    return result


def _parts(wanted: NDArray) -> Iterator[tuple[Slices, Slices, Slices]]:
    """Tiles that have any of the pixels wanted (n_rows, n_columns) bool.

    With what lies about each, as far as the averages reach; and where the tile is in that.
    """
    n_rows, n_columns = wanted.shape
    for row in range(0, n_rows, TILE):
        for column in range(0, n_columns, TILE):
            part = slice(row, min(row + TILE, n_rows)), slice(column, min(column + TILE, n_columns))
            if not wanted[part].any():
                continue
            around = tuple(
                slice(max(one.start - REACH, 0), min(one.stop + REACH, size))
                for one, size in zip(part, wanted.shape, strict=True)
            )
            inside = tuple(
                slice(one.start - wide.start, one.stop - wide.start)
                for one, wide in zip(part, around, strict=True)
            )
            yield part, around, inside


def _average_at_all_scales(rest: NDArray, weight: NDArray) -> NDArray:
    """Where stars hide what is near, what is farther away counts, and at last nothing."""
    found = np.zeros(rest.shape)
    for _ in range(N_ROUNDS):
        left, change = (rest - found) * weight, np.zeros(rest.shape)
        for sigma in SCALES[::-1]:
            mean, share = _average(left, weight, sigma)
            share /= share + HIDDEN
            change = share * mean + (1 - share) * change
        found += change
    return found


def static_light_error(static: NDArray) -> NDArray:
    """Estimate how wrong static light is where a star hides it.

    By what it differs from its own average over `STRUCTURE` pixels around each pixel; the factor
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
    fine = static - scipy.ndimage.gaussian_filter(np.asarray(static, dtype=float), STRUCTURE)
    local = scipy.ndimage.gaussian_filter(fine**2, AROUND_STAR)
    return STRUCTURE_ERROR * np.sqrt(np.maximum(local, 0.0))


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
