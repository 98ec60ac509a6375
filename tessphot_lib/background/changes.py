"""What changed in an image against the mean of many: sky, stars, and neither of them.

What does not change is no anomaly: a galaxy is in all images. What changes is the
sky, smoothly; a star, with its own shape; and what is left is foreign light, such as
an internal reflection or the edge of scattered light, or the lack of it. It is
looked for in bins of some pixels, so that little noise hides it, with its sign.
"""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.background.mesh_fit import (
    CLIP,
    MIN_PIXELS,
    SkySampler,
    clipped_cell_means,
    filled,
    nodes_of_means,
)
from tessphot_lib.core.bins import BIN_SIDE, Bins
from tessphot_lib.core.constants import ROUNDED_MAD_TO_SIGMA
from tessphot_lib.core.mesh import Mesh

STAR_LIGHT = 0.8  # [e-/s] pixels of the reference with less belong to no star
DARK = 3.0  # [e-/s] of starlight, with less of it a pixel shows the noise of the sky
SIGNIFICANT = 4.0  # [sigma] a star's change that is less is left to the noise
WING, WING_CORE, WING_BINS = 0.06, 4.0, 8  # of a star's light; [pixels^2]; bins that they reach
UNEXPLAINED = 0.3  # of a star's change in light may be wrong with its shape
MIN_STAR_ERROR = 0.004  # of a pixel's starlight, that no image shows better than
USUAL_STAR_ERROR = 0.01  # where too few star pixels tell
STAR_ERROR_PIXELS = 20  # that tell it
BRIGHT_PIXEL = 50.0  # [sigma] of the sky's noise: starlight that tells it
N_ROUNDS = 3  # of sky and foreign light in turn
BIN_SIGMA, SINGLE_SIGMA = 5.0, 7.0  # significance of foreign light: 3 x 3 bins, one bin
SINGLE_LIMIT = 2.0  # times the limit, for one bin
EDGE = 0.5  # of the limit: foreign light ends where it is less
SEEN_BINS, FEWEST_BINS = 0.25, 3  # of a cell must show sky, for a level; MIN_PIXELS are enough
MIN_WEIGHT = 0.5  # of a usual bin's, for a bin to show sky
COVERED = 0.6  # of a cell in foreign light: its sky is taken from its neighbors
UNEVEN, USUAL_QUANTILE = 3.0, 0.25  # times the scatter of a quiet cell, of this quantile
TERMS_BY_CELLS = ((24, 6), (5, 3), (1, 1))  # known cells, terms of the surface through them

_DISTANCE = BIN_SIDE * np.arange(-WING_BINS, WING_BINS + 1)
WING_KERNEL = WING / (WING_CORE + _DISTANCE[:, None] ** 2 + _DISTANCE**2) ** 1.5


@dataclass(frozen=True)
class Segments:
    """The pixels of stars, each belonging to the one that it lies on the slope of.

    Attributes
    ----------
    pixels : (n,) int array
        Flat indices into the image.
    star : (n,) int array
        Number of the star of each.
    light : (n,) float array
        Its starlight in the reference [e-/s].
    """

    pixels: NDArray
    star: NDArray
    light: NDArray

    @classmethod
    def of(cls, starlight: NDArray) -> "Segments":
        """Divide the pixels brighter than `STAR_LIGHT`; NaN pixels belong to no star."""
        smooth = scipy.ndimage.gaussian_filter(np.nan_to_num(starlight), 0.7)
        padded = np.pad(smooth, 1, constant_values=-np.inf)
        n_rows, n_columns = starlight.shape
        flat = np.arange(starlight.size).reshape(starlight.shape)
        uphill, best = flat.copy(), smooth.copy()
        for d_row in (-1, 0, 1):
            for d_column in (-1, 0, 1):
                beside = padded[
                    1 + d_row : 1 + d_row + n_rows, 1 + d_column : 1 + d_column + n_columns
                ]
                higher = beside > best
                best[higher] = beside[higher]
                uphill[higher] = (flat + d_row * n_columns + d_column)[higher]
        top = uphill.ravel()
        while True:
            higher_up = top[top]
            if np.array_equal(higher_up, top):
                break
            top = higher_up
        with np.errstate(invalid="ignore"):
            pixels = np.flatnonzero(starlight.ravel() > STAR_LIGHT)
        _, star = np.unique(top[pixels], return_inverse=True)
        return cls(pixels, star, starlight.ravel()[pixels].astype(float))


def star_changes(residual: NDArray, segments: Segments, sigma: float) -> NDArray:
    """Find by how much the stars of an image are brighter or fainter than in the reference.

    Of each star's pixels a straight line against its light is fitted: its slope is the
    star's change, what is left the light that lies on it.

    Parameters
    ----------
    residual : (n_rows, n_columns) array
        Image without sky and reference [e-/s]; NaN pixels do not count.
    segments : Segments
        Of the reference; without any pixel nothing changes.
    sigma : float
        Noise of a pixel of sky [e-/s], above 0.

    Returns
    -------
    (n_rows, n_columns) float32 array
        The change [e-/s], in missing pixels of a star, too; 0 off the stars, and where it is
        less than `SIGNIFICANT`.
    """
    change = np.zeros(residual.size, dtype=np.float32)
    if not segments.pixels.size:
        return change.reshape(residual.shape)
    values = residual.ravel()[segments.pixels]
    known = np.isfinite(values)
    values = np.where(known, values, 0.0)
    light = np.where(known, segments.light, 0.0)
    # Noise grows with the light; weights keep its peak from deciding about its slope.
    weight = known / (sigma**2 + np.abs(light) / 50 + (MIN_STAR_ERROR * light) ** 2)
    n_stars = int(segments.star.max()) + 1

    def per_star(of: NDArray) -> NDArray:
        return np.bincount(segments.star, of, n_stars)

    total = np.maximum(per_star(weight), 1e-30)
    mean_light, mean_value = per_star(weight * light) / total, per_star(weight * values) / total
    power = per_star(weight * light**2) - total * mean_light**2
    common = per_star(weight * light * values) - total * mean_light * mean_value
    slope = np.divide(common, power, out=np.zeros(n_stars), where=power > 0)
    slope[np.abs(slope) * np.sqrt(np.maximum(power, 0.0)) < SIGNIFICANT] = 0.0
    change[segments.pixels] = slope[segments.star] * segments.light
    return change.reshape(residual.shape)


def pixel_noise(residual: NDArray, dark: NDArray) -> float:
    """Noise of a pixel of sky, from the differences of neighbors [e-/s]; NaN if there are none.

    ``dark`` (n_rows, n_columns) bool: pixels without starlight.
    """
    both = dark[:, 1:] & dark[:, :-1]
    difference = (residual[:, 1:] - residual[:, :-1])[both]
    difference = difference[np.isfinite(difference)]
    if not difference.size:
        return np.nan
    return float(ROUNDED_MAD_TO_SIGMA * np.median(np.abs(difference)) / np.sqrt(2))


def star_error(rest: NDArray, starlight: NDArray, sigma: float) -> float:
    """Typical fraction of starlight that motion and the like leave in the residual of an image.

    Parameters
    ----------
    rest : (n_rows, n_columns) array
        What is left of the image, the changes of stars taken off [e-/s]; NaN does not count.
    starlight : (n_rows, n_columns) array
        Of the reference [e-/s].
    sigma : float
        Noise of a pixel of sky [e-/s].

    Returns
    -------
    float
        From the median of the bright pixels, at least `MIN_STAR_ERROR`; `USUAL_STAR_ERROR`
        with fewer than `STAR_ERROR_PIXELS` of them.
    """
    with np.errstate(invalid="ignore"):
        bright = (starlight > BRIGHT_PIXEL * sigma) & np.isfinite(rest)
    if np.count_nonzero(bright) < STAR_ERROR_PIXELS:
        return USUAL_STAR_ERROR
    fraction = np.median(np.abs(rest[bright]) / starlight[bright]) * ROUNDED_MAD_TO_SIGMA
    return max(float(fraction), MIN_STAR_ERROR)


@dataclass(frozen=True)
class BinnedResidual:
    """What is left of an image in bins, (n_bin_rows, n_bin_columns) float64 arrays each.

    Attributes
    ----------
    mean : array
        Weighted mean [e-/s per pixel]; NaN where no pixel counts.
    error : array
        Its 1-sigma error by the noise of the pixels [e-/s per pixel]; infinite where no pixel
        counts.
    doubt : array
        What stars may have left in it, positive [e-/s per pixel]; infinite where no pixel
        counts.
    """

    mean: NDArray
    error: NDArray
    doubt: NDArray


def bin_residual(
    residual: NDArray,
    starlight: NDArray,
    segments: Segments,
    new_light: NDArray | None,
    bins: Bins,
    *,
    sigma: float | None = None,
) -> BinnedResidual:
    """Take the changes of stars off a residual, and average the rest in bins.

    Parameters
    ----------
    residual : (n_rows, n_columns) array
        Image without sky and reference [e-/s]; NaN pixels do not count.
    starlight : (n_rows, n_columns) array
        Of the reference [e-/s].
    segments : Segments
        Of ``starlight``.
    new_light : (n_rows, n_columns) array, optional
        Of stars that are much brighter than in the reference [e-/s], from `new_stars`.
    bins : Bins
        Of the residual.
    sigma : float, optional
        Noise of the pixels without starlight, where it is known already: from `pixel_noise`.
    """
    light = np.maximum(np.nan_to_num(starlight), 0.0)
    if sigma is None:
        sigma = pixel_noise(residual, light < DARK)
    if not sigma > 0:  # a crowd: the faintest pixels
        sigma = pixel_noise(residual, light <= np.quantile(light, 0.3))
    if not sigma > 0:
        sigma = 1.0
    rest = residual if new_light is None else residual - new_light
    change = star_changes(rest, segments, sigma)
    rest = rest - change
    fraction = star_error(rest, light, sigma)
    changed = np.abs(change) if new_light is None else np.abs(change) + np.abs(new_light)
    doubt = UNEXPLAINED * changed
    variance = sigma**2 + (fraction * light) ** 2 + doubt**2
    known = np.isfinite(rest)
    weight = np.where(known, sigma**2 / variance, 0.0)
    total = bins.sums(weight)
    usable = total > 1e-6
    safe = np.where(usable, total, 1.0)
    mean = np.where(usable, bins.sums(np.where(known, rest, 0.0) * weight) / safe, np.nan)
    error = np.where(usable, sigma / np.sqrt(safe), np.inf)
    doubt = bins.sums((doubt + fraction * light) * weight) / safe
    if changed.any():  # its wings reach beyond neighbors that hide where they come from
        doubt += scipy.signal.fftconvolve(bins.sums(changed), WING_KERNEL, mode="same")
    return BinnedResidual(mean, error, np.where(usable, doubt, np.inf))


@dataclass(frozen=True)
class Judgement:
    """What changed in an image.

    Attributes
    ----------
    sky : (n_cell_rows, n_cell_columns) array
        Nodes to be added to its background [e-/s per pixel].
    error : (n_cell_rows, n_cell_columns) array
        1-sigma error of the background of the cells; large where foreign light covers one.
    foreign : (n_bin_rows, n_bin_columns) bool array
        True for bins with foreign light, or with less light than sky and stars give; see
        `find_foreign`.
    """

    sky: NDArray
    error: NDArray
    foreign: NDArray


def bin_sampler(bins: Bins, mesh: Mesh) -> SkySampler:
    """Choose the bins of the cells of a mesh: all of them."""
    cells = bins.cells(mesh)
    size = np.outer(np.diff(cells.row_edges), np.diff(cells.column_edges)).ravel()
    needed = np.clip(np.ceil(SEEN_BINS * size).astype(int), FEWEST_BINS, MIN_PIXELS)
    return SkySampler.from_mask(cells, np.zeros(bins.shape, dtype=bool), needed=needed)


def judge(
    binned: BinnedResidual,
    bins: Bins,
    mesh: Mesh,
    background: NDArray,
    *,
    limit: float,
    sampler: SkySampler | None = None,
) -> Judgement:
    """Divide what is left of an image into sky and foreign light.

    Parameters
    ----------
    binned : BinnedResidual
    bins : Bins
    mesh : Mesh
        Cells of the background.
    background : (n_cell_rows, n_cell_columns) array
        Nodes of the background that was taken off the image.
    limit : float
        Change from which light is foreign [e-/s per pixel].
    sampler : SkySampler, optional
        From `bin_sampler`: the same for all images.

    Returns
    -------
    Judgement
        Where foreign light leaves no cell, the sky is that of the round before, and its error
        as large as what is left; where no cell ever shows sky, it is 0.
    """
    sampler = sampler or bin_sampler(bins, mesh)
    cells = sampler.mesh
    finite = np.isfinite(binned.error)
    foreign = np.zeros(bins.shape, dtype=bool)
    sky = np.zeros(mesh.shape)
    if not finite.any():
        return Judgement(sky, np.full(mesh.shape, np.nan), foreign)
    rest = binned.mean
    usual = np.quantile(binned.error[finite], 0.25)
    shows_sky = binned.error < usual / np.sqrt(MIN_WEIGHT)
    before = total = _cell_means(bins.evaluate(background, mesh), cells)
    for number in range(N_ROUNDS + 1):
        seen = np.where(shows_sky & ~foreign, binned.mean, np.nan)
        means = clipped_cell_means(seen, sampler, CLIP)
        level, error = (part.reshape(mesh.shape) for part in means)
        # A reflection makes cells uneven: at first they are taken from those around them.
        in_doubt = _uneven(seen, cells) if number == 0 else _cell_means(foreign, cells) > COVERED
        known = np.isfinite(level) & ~in_doubt
        if not known.any():
            known = np.isfinite(level)
        if not known.any():
            limit = float(np.hypot(limit, np.sqrt(np.nanmean(rest**2))))
            break
        total = _completed(np.where(known, level + before, np.nan))
        sky = nodes_of_means(total - before, mesh)
        rest = binned.mean - bins.evaluate(sky, mesh)
        foreign = find_foreign(rest, binned.error, binned.doubt, limit=limit)
    return Judgement(sky, _cell_errors(total, error, known, limit), foreign)


def _completed(level: NDArray) -> NDArray:
    """Give unknown cells what a smooth surface through the known ones, at least one, has there."""
    known = np.isfinite(level)
    if known.all():
        return level
    row, column = (axis / max(level.shape) for axis in np.indices(level.shape))
    terms = [np.ones(level.shape), row, column, row**2, row * column, column**2]
    n_terms = next(n for cells, n in TERMS_BY_CELLS if np.count_nonzero(known) >= cells)
    design = np.stack(terms[:n_terms], axis=-1)
    surface = design @ np.linalg.lstsq(design[known], level[known], rcond=None)[0]
    return surface + filled(level - surface)


def _uneven(seen: NDArray, cells: Mesh) -> NDArray:
    """Tell which cells have far more scatter between their bins than is usual."""
    known = np.isfinite(seen)
    share = _cell_means(known, cells)
    is_seen = share > 0
    if not is_seen.any():
        return is_seen
    share = np.where(is_seen, share, 1.0)
    mean = _cell_means(np.where(known, seen, 0.0), cells) / share
    square = _cell_means(np.where(known, seen, 0.0) ** 2, cells) / share
    scatter = np.sqrt(np.maximum(square - mean**2, 0.0))
    return scatter > UNEVEN * np.quantile(scatter[is_seen], USUAL_QUANTILE)


def _cell_errors(level: NDArray, error: NDArray, known: NDArray, limit: float) -> NDArray:
    """Errors of cells; where no sky was seen, the limit, and how much neighbors differ."""
    slope = [np.gradient(level, axis=axis) for axis in (0, 1) if level.shape[axis] > 1]
    steep = np.sqrt(sum(part**2 for part in slope)) if slope else np.zeros(level.shape)
    return np.where(known, np.nan_to_num(error), np.hypot(limit, steep))


def _cell_means(values: NDArray, cells: Mesh) -> NDArray:
    """Mean over the bins of each cell."""
    rows = np.add.reduceat(values.astype(float), cells.row_edges[:-1], axis=0)
    total = np.add.reduceat(rows, cells.column_edges[:-1], axis=1)
    return total / np.outer(np.diff(cells.row_edges), np.diff(cells.column_edges))


def find_foreign(rest: NDArray, error: NDArray, doubt: NDArray, *, limit: float) -> NDArray:
    """Find the bins where light is that is neither sky nor star, or where light is missing.

    Parameters
    ----------
    rest, error, doubt : (n_bin_rows, n_bin_columns) arrays
        As in `BinnedResidual`, the sky taken off [e-/s per pixel]; NaN or infinite where no
        pixel counts.
    limit : float
        Change of 3 x 3 bins from which light is foreign, if it is `BIN_SIGMA` beyond what
        stars may have left [e-/s per pixel]; of a single bin `SINGLE_LIMIT` times that.

    Returns
    -------
    (n_bin_rows, n_bin_columns) bool array
        True for foreign light of either sign, down to `EDGE` of what is needed beside it; a
        bin without pixels where over 0.3 of the 3 x 3 bins about it are.
    """
    known = np.isfinite(rest) & np.isfinite(error)
    weight = np.where(known, 1 / np.where(known, error, 1.0) ** 2, 0.0)
    around = {"size": 3, "mode": "constant"}
    total = scipy.ndimage.uniform_filter(weight, **around)
    safe = np.where(total > 0, total, 1.0)
    mean = scipy.ndimage.uniform_filter(np.where(known, rest, 0.0) * weight, **around) / safe
    wide_doubt = scipy.ndimage.uniform_filter(np.where(known, doubt, 0.0) * weight, **around) / safe
    wide_error = np.where(total > 0, 1 / (3 * np.sqrt(safe)), np.inf)
    needed = np.maximum(limit, BIN_SIGMA * wide_error) + wide_doubt
    alone = np.maximum(SINGLE_LIMIT * limit, SINGLE_SIGMA * np.where(known, error, np.inf)) + doubt
    foreign = np.zeros(rest.shape, dtype=bool)
    anywhere = np.ones((3, 3), dtype=bool)
    for sign in (1.0, -1.0):
        one = np.where(known, sign * rest, -np.inf)
        seed = (sign * mean > needed) | (one > np.where(known, alone, np.inf))
        near = seed | (sign * mean > EDGE * needed) | (one > np.where(known, needed, np.inf))
        foreign |= scipy.ndimage.binary_propagation(seed, anywhere, mask=near)
    # A bin that shows nothing, a bright star's, is decided by those around it.
    beside = scipy.ndimage.uniform_filter(foreign.astype(float), 3, mode="constant")
    return foreign | (~known & (beside > 0.3))
