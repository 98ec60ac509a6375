"""What changed in the images of a CCD against their median: sky, stars, foreign light.

The images are read in bands of rows, some at a time, so that memory stays small.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.background.changes import BinnedResidual, Starlight, bin_residual
from tessphot_lib.background.foreign_light import bin_sampler, judge
from tessphot_lib.background.new_stars import find_new_stars, new_starlight
from tessphot_lib.core.affine import displacement_in
from tessphot_lib.core.bins import BIN_SIDE, Bins
from tessphot_lib.core.flags import PixelFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.medians import median, medians_of_known
from tessphot_lib.core.mesh import Mesh, evaluate_background_image
from tessphot_lib.core.pointing import Pointing
from tessphot_lib.core.slopes import image_slopes
from tessphot_lib.io.products.block_hdf5 import read_flags, read_flux

BAND_ROWS = 128  # of a block at once, from multiples of it: a multiple of `BIN_SIDE`
MARGIN = 24  # [pixels] around a band that stars reach over
MAX_REFERENCE = 64  # images at most, spread evenly, that the reference is the median of
QUIET = 0.7  # of the images with the least sky are quiet enough
QUIET_QUANTILE, BRIGHT_FIELD = 0.2, 1.5  # see `is_quiet`
NOISE_LIMIT = 2.0  # [sigma of a pixel of sky] less light does not harm a star
NOT_AVERAGED = np.uint8(PixelFlag.MANUAL_EXCLUDE)

assert BAND_ROWS % BIN_SIDE == 0


class NewStar(NamedTuple):
    """A star of an image that the reference lacks: number of the image, position, flux [e-/s]."""

    image: int
    row: float
    column: float
    flux: float


@dataclass(frozen=True)
class Images:
    """The images of a CCD as far as they are known before they are compared.

    Attributes
    ----------
    blocks : list of Path
    lengths : list of int
        Number of images of each.
    mesh : Mesh
    backgrounds : (n_images, n_cell_rows, n_cell_columns) array
        Rough ones; NaN: no image.
    motion : (n_images, 6) array
        Against their mean, without whole pixels of ``pointing``; NaN counts as none.
    pointing : Pointing
        Where they point.
    """

    blocks: list[Path]
    lengths: list[int]
    mesh: Mesh
    backgrounds: NDArray
    motion: NDArray
    pointing: Pointing

    @property
    def window(self) -> Window:
        """That of all images."""
        return self.mesh.window

    def in_blocks(self, wanted: NDArray) -> Iterator["BlockImages"]:
        """Give the blocks that have any of the images wanted (n_images,) bool, with these."""
        first = 0
        for block, length in zip(self.blocks, self.lengths, strict=True):
            inside = np.flatnonzero(wanted[first : first + length])
            if inside.size:
                yield BlockImages(block, inside, inside + first)
            first += length

    def light(self, some: "BlockImages", region: Window) -> NDArray:
        """Some images of a block without their sky, (n, n_rows, n_columns) float32."""
        flux = self.flux(some, region)
        for light, number in zip(flux, some.numbers, strict=True):
            light -= self.sky(number, region)
        return flux

    def flux(self, some: "BlockImages", region: Window) -> NDArray:
        """Some images of a block as they are, (n, n_rows, n_columns) float32."""
        pixels, whole = region.slices_in(self.window), self.pointing.whole[some.numbers]
        return read_flux(some.block, pixels, some.inside, whole=whole)

    def sky(self, number: int, region: Window, added: NDArray | float = 0.0) -> NDArray:
        """Sky of an image, (n_rows, n_columns) float32, with something added to its nodes."""
        mesh = self.mesh.displaced(self.pointing.whole_of(number))
        return evaluate_background_image(self.backgrounds[number] + added, mesh, region)

    def not_averaged(self, some: "BlockImages", region: Window) -> NDArray | None:
        """Pixels of some images that must not be averaged, bool; None if there are none."""
        pixels, whole = region.slices_in(self.window), self.pointing.whole[some.numbers]
        flags = read_flags(some.block, pixels, some.inside, whole=whole)
        if not (np.bitwise_or.reduce(flags, axis=None) & NOT_AVERAGED):
            return None
        return (flags & NOT_AVERAGED) != 0


class BlockImages(NamedTuple):
    """Some images of a block.

    Attributes
    ----------
    block : Path
    inside : (n,) int array
        Their numbers in the block, increasing.
    numbers : (n,) int array
        Their numbers among all images.
    """

    block: Path
    inside: NDArray
    numbers: NDArray


@dataclass
class Changes:
    """What `find_changes` found.

    Attributes
    ----------
    bins : Bins
    sky, error : (n_images, n_cell_rows, n_cell_columns) arrays
        To be added to the backgrounds; their errors. NaN: the image was not compared.
    packed : (n_images, n_bin_rows, n_bytes) uint8 array
        Bins with foreign light, eight in a byte: see `foreign`.
    new_stars : list of NewStar
    """

    bins: Bins
    sky: NDArray
    error: NDArray
    packed: NDArray
    new_stars: list[NewStar] = field(default_factory=list)

    def foreign(self, image: int, rows: slice = slice(None)) -> NDArray:
        """Bins with foreign light in an image, (n_bin_rows, n_bin_columns) bool."""
        return unpacked(self.packed[image, rows], self.bins)


def is_quiet(level: NDArray, max_background: float) -> NDArray:
    """Return which images have little enough sky for the average image, (n_images,) bool.

    That is ``max_background`` [e-/s per pixel], or `BRIGHT_FIELD` times what the quieter
    images have: light of a bright nebula is in all of them.
    """
    known = level[np.isfinite(level)]
    usual = float(np.quantile(known, QUIET_QUANTILE)) if known.size else 0.0
    return np.asarray(np.nan_to_num(level, nan=np.inf) < max(max_background, BRIGHT_FIELD * usual))


def reference_images(is_averaged: NDArray, level: NDArray) -> NDArray:
    """Choose the quiet images that the reference is made of, (n,) int; in order of time."""
    candidates = np.flatnonzero(is_averaged)
    if candidates.size:
        quiet = level[candidates] <= np.quantile(level[candidates], QUIET)
        candidates = candidates[quiet]
    if candidates.size > MAX_REFERENCE:
        some = np.linspace(0, candidates.size - 1, MAX_REFERENCE).astype(int)
        candidates = candidates[some]
    return candidates


def reference_image(images: Images, chosen: NDArray, changes: "Changes | None" = None) -> NDArray:
    """Take the median of some images without their sky, (n_rows, n_columns) float32 [e-/s].

    With ``changes``, of what an earlier reference showed: foreign light does not count where
    there is another image, and the sky is better known.
    """
    result = np.full(images.window.shape, np.nan, dtype=np.float32)
    wanted = np.isin(np.arange(len(images.backgrounds)), chosen)
    for band in bands(images.window):
        stack = []
        for some in images.in_blocks(wanted):
            light = images.flux(some, band)
            left_out = images.not_averaged(some, band)
            if left_out is not None:
                light[left_out] = np.nan
            for image, number in zip(light, some.numbers, strict=True):
                sky = 0.0
                if changes is not None:
                    sky = changes.sky[number]
                    foreign = changes.foreign(number, changes.bins.rows_in(band))
                    if foreign.any():
                        image[Bins.over(band).spread(foreign)] = np.nan
                image -= images.sky(number, band, sky)
            stack.append(light)
        result[band.slices_in(images.window)] = medians_of_known(np.concatenate(stack))
    return result


def median_sky(images: Images, chosen: NDArray, changes: Changes) -> NDArray:
    """Median of the backgrounds of some images, with what was found of them, at each node.

    (n_cell_rows, n_cell_columns) [e-/s per pixel]; 0 if none is known.
    """
    sky = images.backgrounds[chosen] + changes.sky[chosen]
    sky = sky[np.isfinite(sky).all(axis=(1, 2))]
    return np.median(sky, axis=0) if len(sky) else np.zeros(images.mesh.shape)


def find_changes(
    images: Images,
    reference: NDArray,
    starlight: NDArray,
    *,
    limit: float,
    chosen: NDArray | None = None,
    usual_sky: NDArray | float = 0.0,
) -> Changes:
    """Compare images with the reference.

    Parameters
    ----------
    images : Images
    reference : (n_rows, n_columns) array
        From `reference_image`.
    starlight : (n_rows, n_columns) array
        What of it is starlight [e-/s].
    limit : float
        ``prepare.background.reflection_limit`` [e-/s per pixel].
    chosen : (n,) int array, optional
        Images that are compared; all by default.
    usual_sky : (n_cell_rows, n_cell_columns) array, optional
        Nodes of the sky that all images have, from `median_sky`.
    """
    wanted = np.isfinite(images.backgrounds).all(axis=(1, 2))
    if chosen is not None:
        wanted &= np.isin(np.arange(len(wanted)), chosen)
    bins = Bins.over(images.window)
    n_images = len(images.backgrounds)
    shape = images.backgrounds.shape
    changes = Changes(
        bins,
        np.zeros(shape),
        np.full(shape, np.nan),
        np.zeros((n_images, bins.shape[0], -(-bins.shape[1] // 8)), dtype=np.uint8),
    )
    sampler = bin_sampler(bins, images.mesh)
    slopes = image_slopes(reference)
    scenes = [
        _BandScene.of(reference, slopes, starlight, images.window, band)
        for band in bands(images.window)
    ]
    for some in images.in_blocks(wanted):
        binned = _binned(images, some, scenes, bins, changes.new_stars)
        for number, values in zip(some.numbers, binned, strict=True):
            residual = BinnedResidual(*values.astype(float))
            error = residual.error[np.isfinite(residual.error)]
            noise = BIN_SIDE * median(error) if error.size else 0.0
            # Nodes are of the detector, bins of the pixels as they are read.
            d_row, d_column = images.pointing.whole_of(number)
            nodes = images.backgrounds[number] - usual_sky
            judged = judge(
                residual,
                bins,
                images.mesh,
                images.mesh.nodes_moved(nodes, (d_row, d_column)),
                limit=max(limit, NOISE_LIMIT * noise),
                sampler=sampler,
            )
            changes.sky[number] = images.mesh.nodes_moved(judged.sky, (-d_row, -d_column))
            changes.error[number] = judged.error
            changes.packed[number] = np.packbits(judged.foreign, axis=-1)
    return changes


def _binned(
    images: Images,
    some: BlockImages,
    scenes: list["_BandScene"],
    bins: Bins,
    new_stars: list[NewStar],
) -> NDArray:
    """Bin what is left of some images of a block, (n, 3, *bins.shape) float32.

    Their new stars are added to the list.
    """
    binned = np.full((len(some.numbers), 3, *bins.shape), np.nan, dtype=np.float32)
    for scene in scenes:
        rows = bins.rows_in(scene.band)
        light = images.light(some, scene.region)
        for image, number, parts in zip(light, some.numbers, binned, strict=True):
            found, stars = scene.compare(image, images.motion[number])
            for part, values in zip(parts, found, strict=True):
                part[rows] = values
            at = stars.row + scene.region.row0
            mine = (at >= scene.band.row0 - 0.5) & (at < scene.band.row1 - 0.5)
            column = stars.column + scene.region.column0
            new_stars += [
                NewStar(int(number), *map(float, star))
                for star in zip(at[mine], column[mine], stars.flux[mine], strict=True)
            ]
    return binned


def average_images(
    images: Images, is_averaged: NDArray, changes: Changes
) -> tuple[NDArray, NDArray]:
    """Average images without their sky; pixels with foreign light do not count.

    Returns
    -------
    average : (n_rows, n_columns) float64 array
        NaN where a pixel has no image [e-/s].
    count : (n_rows, n_columns) int32 array
    """
    window = images.window
    total, count = np.zeros(window.shape), np.zeros(window.shape, dtype=np.int32)
    for band in bands(window):
        pixels = band.slices_in(window)
        rows = changes.bins.rows_in(band)
        bins = Bins.over(band)
        for some in images.in_blocks(is_averaged):
            flux = images.flux(some, band)
            left_out = images.not_averaged(some, band)
            for index, number in enumerate(some.numbers):
                light = flux[index] - images.sky(number, band, changes.sky[number])
                bad = ~np.isfinite(light)
                if left_out is not None:
                    bad |= left_out[index]
                foreign = changes.foreign(number, rows)
                if foreign.any():
                    bad |= bins.spread(foreign)
                if bad.any():
                    light[bad] = 0.0
                    count[pixels] -= bad
                total[pixels] += light
                count[pixels] += 1
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0), count


def unpacked(packed: NDArray, bins: Bins) -> NDArray:
    """Bins (..., n_bin_rows, n_bin_columns) bool from eight in a byte."""
    return np.unpackbits(packed, axis=-1, count=bins.shape[1]).astype(bool)


def bands(window: Window) -> Iterator[Window]:
    """Bands of rows, as wide as the window, with borders at multiples of `BAND_ROWS`."""
    first = window.row0
    while first < window.row1:
        last = min((first // BAND_ROWS + 1) * BAND_ROWS, window.row1)
        yield Window(first, last, window.column0, window.column1)
        first = last


@dataclass(frozen=True)
class _BandScene:
    """What an image should show in a band, and around it in ``region``; float32 arrays."""

    band: Window
    region: Window
    bins: Bins
    reference: NDArray
    starlight: NDArray
    slopes: NDArray
    stars: Starlight

    @classmethod
    def of(
        cls, reference: NDArray, slopes: NDArray, starlight: NDArray, window: Window, band: Window
    ) -> "_BandScene":
        """Cut the scene of a band out of that of the window."""
        region = band.widened(MARGIN, window)
        cut = region.slices_in(window)
        image, light = (values[cut].astype(np.float32) for values in (reference, starlight))
        steep = slopes[:, *cut].astype(np.float32)
        return cls(band, region, Bins.over(region), image, light, steep, Starlight.of(light))

    def compare(self, light: NDArray, motion: NDArray):
        """Bin what is left of an image in the band, (mean, error, doubt); and its new stars.

        ``light`` (n_rows, n_columns) float32: the image without its sky [e-/s].
        """
        residual = light - self.reference
        # To first order, the reference moved.
        moved = displacement_in(np.nan_to_num(motion), self.region, np.float32)
        for displacement, slopes in zip(moved, self.slopes, strict=True):
            displacement *= slopes
            residual += displacement
        sigma = self.stars.dark.noise(residual)
        stars = find_new_stars(residual, self.starlight, sigma if sigma > 0 else 1.0)
        extra = new_starlight(residual, stars) if stars.row.size else None
        rows = self.bins.rows_in(self.band)
        binned = bin_residual(residual, self.stars, extra, self.bins, sigma=sigma, rows=rows)
        return (binned.mean, binned.error, binned.doubt), stars
