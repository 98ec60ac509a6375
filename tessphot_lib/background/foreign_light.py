"""Sky and foreign light in what is left of an image: each is found without the other.

Both are looked for in bins: the sky in the cells of a mesh, without the bins that have
foreign light; foreign light in the bins, without the sky; some times in turn.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.background.changes import BinnedResidual
from tessphot_lib.background.mesh_fit import (
    CLIP,
    MIN_PIXELS,
    SkySampler,
    clipped_cell_means,
    filled,
    nodes_of_means,
)
from tessphot_lib.core.bins import Bins
from tessphot_lib.core.mesh import Mesh

N_ROUNDS = 3  # of sky and foreign light in turn
BIN_SIGMA, SINGLE_SIGMA = 5.0, 7.0  # significance of foreign light: 3 x 3 bins, one bin
SINGLE_LIMIT = 2.0  # times the limit, for one bin
EDGE = 0.5  # of the limit: foreign light ends where it is less
AROUND_HIDDEN = 0.3  # of the 3 x 3 bins about one that a star hides
SEEN_BINS, FEWEST_BINS = 0.25, 3  # of a cell must show sky, for a level; MIN_PIXELS are enough
MIN_WEIGHT = 0.5  # of a usual bin's, for a bin to show sky
COVERED = 0.6  # of a cell in foreign light: its sky is taken from its neighbors
UNEVEN, USUAL_QUANTILE = 3.0, 0.25  # times the scatter of a quiet cell, of this quantile
SURE = 2.0  # [sigma] by which what a cell has left must exceed the noise to be in its error
TERMS_BY_CELLS = ((24, 6), (5, 3), (1, 1))  # known cells, terms of the surface through them


@dataclass(frozen=True)
class Judgement:
    """What changed in an image.

    Attributes
    ----------
    sky : (n_cell_rows, n_cell_columns) array
        Nodes to be added to its background [e-/s per pixel].
    error : (n_cell_rows, n_cell_columns) array
        1-sigma error of the background of the cells: of their means, and beside foreign light
        what the sky has that the mesh does not follow; large where such light covers one.
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
        Nodes of the background that was taken off the image. Where a cell shows no sky, this and
        what the others have besides are taken to be smooth: best without what all images have,
        such as a nebula, or stars that are too many to be told apart.
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
    search = ForeignSearch.of(binned, limit=limit)
    used: tuple[NDArray, NDArray] | None = None  # foreign light and known cells, in a round
    for number in range(N_ROUNDS + 1):
        if used is None or not np.array_equal(foreign, used[0]):
            seen = np.where(shows_sky & ~foreign, binned.mean, np.nan)
            means = clipped_cell_means(seen, sampler, CLIP)
            level, error = (part.reshape(mesh.shape) for part in means)
        # A reflection makes cells uneven: at first they are taken from those around them.
        covered = _cell_means(foreign, cells) > COVERED
        in_doubt = covered if number else _uneven(seen, cells, limit)
        known = np.isfinite(level) & ~in_doubt
        if not known.any():
            known = np.isfinite(level)
        if not known.any():
            limit = float(np.hypot(limit, np.sqrt(np.nanmean(rest**2))))
            break
        if used is not None and all(map(np.array_equal, used, (foreign, known))):
            break  # nothing would change any more
        used = foreign, known
        total = _completed(np.where(known, level + before, np.nan))
        sky = nodes_of_means(total - before, mesh)
        rest = binned.mean - bins.evaluate(sky, mesh)
        foreign = search.find(rest)
    if foreign.any():
        # Elsewhere what differs from the model is noise, and light of a nebula that moves.
        beside = scipy.ndimage.maximum_filter(_cell_means(foreign, cells), 3) > 0
        left = _misfit(rest, shows_sky & ~foreign, binned, cells)
        error = np.hypot(error, np.where(beside, left, 0.0))
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


def _uneven(seen: NDArray, cells: Mesh, limit: float) -> NDArray:
    """Return which cells have far more scatter between their bins than is usual.

    Less than the limit is no foreign light: bright nebulae are that uneven by noise and motion.
    """
    known = np.isfinite(seen)
    fraction = _cell_means(known, cells)
    is_seen = fraction > 0
    if not is_seen.any():
        return is_seen
    fraction = np.where(is_seen, fraction, 1.0)
    mean = _cell_means(np.where(known, seen, 0.0), cells) / fraction
    square = _cell_means(np.where(known, seen, 0.0) ** 2, cells) / fraction
    scatter = np.sqrt(np.maximum(square - mean**2, 0.0))
    return scatter > max(UNEVEN * np.quantile(scatter[is_seen], USUAL_QUANTILE), limit)


def _cell_errors(level: NDArray, error: NDArray, known: NDArray, limit: float) -> NDArray:
    """Errors of cells; where no sky was seen, the limit, and how much neighbors differ."""
    slope = [np.gradient(level, axis=axis) for axis in (0, 1) if level.shape[axis] > 1]
    steep = np.sqrt(sum(part**2 for part in slope)) if slope else np.zeros(level.shape)
    return np.where(known, np.nan_to_num(error), np.hypot(limit, steep))


def _misfit(rest: NDArray, seen: NDArray, binned: BinnedResidual, cells: Mesh) -> NDArray:
    """What the sky of each cell differs from its model by, beyond noise and stars (rms).

    Beside an edge, or a cell that foreign light covers, the surface through the cells' means is
    not the sky between them. ``seen`` (n_bin_rows, n_bin_columns) bool: bins that show it.
    """
    weight = np.where(seen, 1 / binned.error**2, 0.0)
    total = _around(weight)
    safe = np.where(total > 0, total, 1.0)
    mean = _around(np.where(seen, rest, 0.0) * weight) / safe
    of_stars = _around(np.where(seen, binned.doubt, 0.0) * weight) / safe
    fraction = _cell_means(seen, cells)
    size = np.outer(np.diff(cells.row_edges), np.diff(cells.column_edges))
    margin = SURE * np.sqrt(2 / np.maximum(fraction * size / 9, 1.0))
    power, noise = (
        _cell_means(np.where(seen, one, 0.0), cells) / np.where(fraction > 0, fraction, 1.0)
        for one in (mean**2, 1 / (9 * safe) + of_stars**2)
    )
    return np.sqrt(np.maximum(power - noise * (1 + margin), 0.0))


def _cell_means(values: NDArray, cells: Mesh) -> NDArray:
    """Mean over the bins of each cell."""
    values = values.astype(float)
    # Row by row of cells: five times as fast as `numpy.add.reduceat` along the first axis.
    rows = np.array([values[first:stop].sum(axis=0) for first, stop in pairwise(cells.row_edges)])
    total = np.add.reduceat(rows, cells.column_edges[:-1], axis=1)
    return total / np.outer(np.diff(cells.row_edges), np.diff(cells.column_edges))


@dataclass(frozen=True)
class ForeignSearch:
    """How much light bins need to be foreign; arrays (n_bin_rows, n_bin_columns).

    Attributes
    ----------
    known : bool array
        True for bins with pixels that count.
    weight, total : arrays
        Weight of each bin, and the mean one of the 3 x 3 bins about it, above 0.
    needed : array
        Light of 3 x 3 bins from which it is foreign [e-/s per pixel].
    alone : array
        The same of a single bin; infinite where none is known.
    hidden : bool array
        True for bins without pixels that count, or in which a star may hide what is foreign.
    """

    known: NDArray
    weight: NDArray
    total: NDArray
    needed: NDArray
    alone: NDArray
    hidden: NDArray

    @classmethod
    def of(cls, binned: BinnedResidual, *, limit: float) -> "ForeignSearch":
        """Find out what is needed.

        ``limit`` [e-/s per pixel] is the change of 3 x 3 bins from which light is foreign, if
        it is `BIN_SIGMA` beyond what stars may have left; of a single bin `SINGLE_LIMIT` times
        that.
        """
        known = np.isfinite(binned.mean) & np.isfinite(binned.error)
        error = np.where(known, binned.error, 1.0)
        doubt = np.where(known, binned.doubt, 0.0)
        weight = np.where(known, 1 / error**2, 0.0)
        total = _around(weight)
        safe = np.where(total > 0, total, 1.0)
        wide_error = np.where(total > 0, 1 / (3 * np.sqrt(safe)), np.inf)
        needed = np.maximum(limit, BIN_SIGMA * wide_error) + _around(doubt * weight) / safe
        alone = np.maximum(SINGLE_LIMIT * limit, SINGLE_SIGMA * error) + doubt
        hidden = ~known | (doubt > limit)
        return cls(known, weight, safe, needed, np.where(known, alone, np.inf), hidden)

    def find(self, rest: NDArray) -> NDArray:
        """Find the bins where light is that is neither sky nor star, or where light is missing.

        Parameters
        ----------
        rest : (n_bin_rows, n_bin_columns) array
            The mean of `BinnedResidual`, the sky taken off [e-/s per pixel].

        Returns
        -------
        (n_bin_rows, n_bin_columns) bool array
            True for foreign light of either sign, down to `EDGE` of what is needed beside it; a
            hidden bin where over `AROUND_HIDDEN` of the 3 x 3 bins about it are.
        """
        one = np.where(self.known, rest, 0.0)
        mean = _around(one * self.weight) / self.total
        foreign = np.zeros(rest.shape, dtype=bool)
        for wide, single in ((mean, one), (-mean, -one)):
            seed = (wide > self.needed) | (single > self.alone)
            if not seed.any():
                continue
            near = seed | (wide > EDGE * self.needed)
            near |= self.known & (single > self.needed)
            foreign |= _parts_with(seed, near)
        if foreign.any() and self.hidden.any():
            # A bin that shows nothing, a bright star's, is decided by those around it.
            foreign |= self.hidden & (_around(foreign.astype(float)) > AROUND_HIDDEN)
        return foreign


def _around(values: NDArray) -> NDArray:
    """Mean of the 3 x 3 bins about each; there is nothing beyond the edges."""
    # Half the time of `scipy.ndimage.uniform_filter`.
    rows = values.copy()
    rows[1:] += values[:-1]
    rows[:-1] += values[1:]
    total = rows.copy()
    total[:, 1:] += rows[:, :-1]
    total[:, :-1] += rows[:, 1:]
    total /= 9
    return total


def _parts_with(seed: NDArray, mask: NDArray) -> NDArray:
    """Those connected parts of a mask, corners included, in which a seed lies; bool."""
    labels, count = scipy.ndimage.label(mask, np.ones((3, 3), dtype=bool))
    chosen = np.zeros(count + 1, dtype=bool)
    chosen[labels[seed]] = True
    return chosen[labels]
