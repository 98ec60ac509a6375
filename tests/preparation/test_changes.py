"""Which images make the average image, and what is found in all of them: from known truth."""

from dataclasses import replace

import numpy as np
import pytest
from images_block import write_images_block
from scipy.ndimage import distance_transform_edt
from star_images import gaussian_star

from tessphot_lib.core.bins import Bins
from tessphot_lib.core.flags import PixelFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.mesh import Mesh
from tessphot_lib.core.pointing import Pointing
from tessphot_lib.core.slopes import image_slopes
from tessphot_lib.preparation.changes import (
    Changes,
    Images,
    _BandScene,
    average_images,
    find_changes,
    is_quiet,
    median_sky,
    reference_image,
    reference_images,
)

WINDOW = Window(171, 411, 1001, 1297)  # not square; bands and cells end within it
MESH, BINS = Mesh.over(WINDOW, 64), Bins.over(WINDOW)
ROW, COLUMN = np.mgrid[WINDOW.row0 : WINDOW.row1, WINDOW.column0 : WINDOW.column1]
N_IMAGES, SIGMA, LIMIT = 5, 0.5, 1.0
SINGLE = Pointing.single(N_IMAGES)
STARS = [
    (183.2, 1012.4, 2e4),
    (211.6, 1104.3, 8e3),
    (254.9, 1033.7, 3e4),
    (281.1, 1141.2, 5e3),
    (390.7, 1260.2, 2e4),
]
RING = [
    (250.3, 1045.1),
    (258.6, 1085.4),
    (270.8, 1125.2),
    (285.2, 1170.9),
    (320.5, 1190.3),
]  # centers
NOVA = 2, 254.6, 1090.3, 2e4  # image, position beside the border of two bands, light


class Sector:
    """Images of some stars that move, under a sky with a ring that moves, in blocks."""

    def __init__(self, folder, lengths):
        rng = np.random.default_rng(8)
        shift = rng.normal(0, 0.04, (N_IMAGES, 2))
        shift -= shift.mean(axis=0)
        self.stars = np.array(
            [
                sum(
                    gaussian_star(WINDOW, row + up, column + along, flux)
                    for row, column, flux in STARS
                )
                for up, along in shift
            ]
        )
        self.reference = self.stars.mean(axis=0)
        self.stars[NOVA[0]] += gaussian_star(WINDOW, *NOVA[1:])
        distance = [np.hypot(ROW - row, COLUMN - column) for row, column in RING]
        self.ring = 25 * np.exp(-0.5 * ((np.array(distance) - 18) / 2.5) ** 2)
        self.lit = self.ring > 3
        level = 100.0 + 5 * np.arange(N_IMAGES)
        # Rough backgrounds are off by this, and do not know the slopes.
        error, slope = np.array([[2, -3, 0, 1, -2], [-0.04, 0.03, 0, 0.05, -0.02]])
        self.sky = (level + error)[:, None, None] + slope[:, None, None] * (ROW - 290.0)
        self.flux = self.stars + self.ring + self.sky
        self.flux = self.flux + SIGMA * rng.normal(size=self.flux.shape)
        flags = np.zeros(self.flux.shape, dtype=np.uint8)
        flags[3, 100:110, 20:24] = int(PixelFlag.MANUAL_EXCLUDE)
        self.is_excluded = flags != 0
        self.flux[self.is_excluded] += 0.8  # too little to be found
        blocks, first = [], 0
        for length in lengths:
            part, path = slice(first, first + length), folder / f"b{first}.hdf5"
            write_images_block(path, WINDOW, self.flux[part], pixel_flags=flags[part])
            blocks.append(path)
            first += length
        backgrounds = level[:, None, None] + np.zeros(MESH.shape)
        motion = np.zeros((N_IMAGES, 6))
        motion[:, [0, 3]] = shift
        self.images = Images(blocks, list(lengths), MESH, backgrounds, motion, SINGLE)

    def compare(self):
        """(what changed, average image, number of images of each pixel)."""
        changes = find_changes(self.images, self.reference, self.reference, limit=LIMIT)
        average = average_images(self.images, np.ones(N_IMAGES, dtype=bool), changes)
        return changes, *average

    def backgrounds(self, changes):
        """In the pixels of all images [e-/s]."""
        return MESH.evaluate(self.images.backgrounds + changes.sky, WINDOW)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The sector in one block, and what is found in it."""
    sector = Sector(tmp_path_factory.mktemp("sector"), [N_IMAGES])
    return sector, *sector.compare()


def test_bright_images_are_not_quiet_but_bright_fields_are():
    level = np.array([200.0, 210.0, 1100.0, np.nan, 205.0])
    np.testing.assert_array_equal(is_quiet(level, 1000.0), [True, True, False, False, True])
    nebula = np.array([3000.0, 3010.0, 5000.0, 3005.0])
    np.testing.assert_array_equal(is_quiet(nebula, 1000.0), [True, True, False, True])
    assert not is_quiet(np.full(3, np.nan), 1000.0).any()


def test_reference_is_of_the_quieter_images_all_over_the_sector():
    level = np.tile([200.0, 300.0, 210.0, 205.0], 75)
    is_averaged = np.ones(300, dtype=bool)
    is_averaged[:30] = False
    chosen = reference_images(is_averaged, level)
    assert 50 <= len(chosen) <= 64
    assert chosen[0] >= 30
    assert chosen[-1] > 290
    assert (level[chosen] < 300).all()
    assert reference_images(np.zeros(300, dtype=bool), level).size == 0


def foreign_pixels(changes):
    return np.array([BINS.spread(changes.foreign(index)) for index in range(len(changes.sky))])


def test_moving_ring_is_flagged_where_it_is_in_each_image(compared):
    sector, changes, _, _ = compared
    for lit, foreign in zip(sector.lit, foreign_pixels(changes), strict=True):
        assert foreign[lit].mean() > 0.98
        assert foreign[distance_transform_edt(~lit) > 8].mean() < 0.03


def test_sky_of_each_image_is_found_beside_the_ring(compared):
    sector, changes, _, _ = compared
    off = MESH.evaluate(sector.images.backgrounds + changes.sky, WINDOW) - sector.sky
    assert np.abs(np.median(off, axis=(1, 2))).max() < 0.1
    assert np.std(off, axis=(1, 2)).max() < 0.25
    assert changes.error.shape == (N_IMAGES, *MESH.shape)
    assert (changes.error < 0.5).all()


def test_star_that_only_one_image_has_is_listed_once(compared):
    _, changes, _, _ = compared
    (star,) = changes.new_stars
    assert star.image == NOVA[0]
    assert star[1:3] == pytest.approx(NOVA[1:3], abs=0.1)
    assert star.flux == pytest.approx(NOVA[3], rel=0.02)


def test_average_is_starlight_of_the_images_without_foreign_light_there(compared):
    sector, changes, average, count = compared
    used = ~foreign_pixels(changes) & ~sector.is_excluded
    np.testing.assert_array_equal(count, used.sum(axis=0))
    off = average - (sector.stars * used).sum(axis=0) / count
    assert np.std(off) < 1.1 * SIGMA / np.sqrt(np.median(count)) + 0.1
    assert abs(np.mean(off[sector.lit.any(axis=0)])) < 0.1  # the ring was a fifth of 25
    assert abs(np.mean(off[sector.is_excluded.any(axis=0)])) < 0.1


@pytest.mark.parametrize("lengths", [[2, 1, 2], [1, 4]])
def test_other_blocks_give_the_same(compared, tmp_path, lengths):
    _, changes, average, count = compared
    other, *averaged = Sector(tmp_path, lengths).compare()
    np.testing.assert_array_equal(other.packed, changes.packed)
    np.testing.assert_array_equal(other.sky, changes.sky)
    np.testing.assert_array_equal(other.error, changes.error)
    assert other.new_stars == changes.new_stars
    np.testing.assert_array_equal(averaged[0], average)
    np.testing.assert_array_equal(averaged[1], count)


@pytest.mark.parametrize("rows", [32, 64])
def test_narrower_bands_give_nearly_the_same(compared, monkeypatch, rows):
    """Not quite: each band has a noise of its own."""
    sector, changes, _, _ = compared
    monkeypatch.setattr("tessphot_lib.preparation.changes.BAND_ROWS", rows)
    other, _, _ = sector.compare()
    assert (foreign_pixels(other) != foreign_pixels(changes)).mean() < 0.003
    np.testing.assert_allclose(other.sky, changes.sky, atol=0.05)
    np.testing.assert_allclose(other.error, changes.error, atol=0.02)
    assert other.new_stars == changes.new_stars


@pytest.mark.parametrize("shift", [(0.5, 0.0), (0.0, -0.5), (-0.3, 0.4)])
def test_known_motion_is_no_foreign_light(tmp_path, shift):
    """Of a galaxy, whose edges have no star to explain them; the other way it is twice as bad."""
    galaxy = 2 * np.pi * 8**2 * 400, 8.0  # whole light, width
    here = np.array([290.0, 1150.0])
    reference = gaussian_star(WINDOW, *here, *galaxy)
    noise = SIGMA * np.random.default_rng(4).normal(size=WINDOW.shape)
    image = gaussian_star(WINDOW, *here + shift, *galaxy) + noise
    block = write_images_block(tmp_path / "b0.hdf5", WINDOW, [image])
    motion = np.zeros((1, 6))
    motion[0, [0, 3]] = shift
    found = []
    for moved in (motion, 0 * motion, -motion):
        images = Images([block], [1], MESH, np.zeros((1, *MESH.shape)), moved, Pointing.single(1))
        changes = find_changes(images, reference, 0 * reference, limit=LIMIT)
        found.append(BINS.spread(changes.foreign(0)).sum())
    assert found[0] == 0
    assert found[2] > found[1] > 100


def test_reference_is_the_median_of_what_is_not_foreign(tmp_path):
    """Light that most images have in the same place is no part of it, if it is known."""
    rng = np.random.default_rng(5)
    flux = 10.0 + rng.normal(0, SIGMA, (N_IMAGES, *WINDOW.shape))
    square = (slice(81, 101), slice(51, 71))  # of bins; beside the border of two bands
    flux[(slice(0, 3), *square)] += 50
    flux[4] += 1000  # is not chosen
    blocks = [
        write_images_block(tmp_path / f"b{part.start}.hdf5", WINDOW, flux[part])
        for part in (slice(0, 2), slice(2, 5))
    ]
    backgrounds, sky = np.full((N_IMAGES, *MESH.shape), 9.0), np.ones((N_IMAGES, *MESH.shape))
    images = Images(blocks, [2, 3], MESH, backgrounds, np.zeros((N_IMAGES, 6)), SINGLE)
    chosen = np.arange(4)
    assert np.median(reference_image(images, chosen)[square]) == pytest.approx(51, abs=0.5)
    lit = np.zeros((N_IMAGES, *BINS.shape), dtype=bool)
    lit[:3] = BINS.sums(np.abs(flux[0] - 10) > 25) > 0
    changes = Changes(BINS, sky, sky, np.packbits(lit, axis=-1))
    better = reference_image(images, chosen, changes)
    assert np.median(better[square]) == pytest.approx(0, abs=0.1)
    assert np.abs(better).max() < 6 * SIGMA


def test_sky_of_displaced_images_is_found_where_it_is_on_the_detector(tmp_path):
    """It is steep, and so is what the rough background, which is of the detector, lacks of it."""

    def plane(row, column, along):
        return along * ((row - 290) - (column - 1150) / 2)

    flux = plane(ROW, COLUMN, 0.4) + np.random.default_rng(8).normal(0, SIGMA, (2, *WINDOW.shape))
    block = write_images_block(tmp_path / "b.hdf5", WINDOW, flux)
    row, column = (
        0.5 * (edges[:-1] + edges[1:] - 1) for edges in (MESH.row_edges, MESH.column_edges)
    )
    true, rough = (plane(row[:, None], column, along) for along in (0.4, 0.37))
    pointing = Pointing(np.array([[0.0, 0.0], [3.2, -2.1]]), np.ones(2, dtype=bool))
    backgrounds, motion = np.repeat(rough[None], 2, axis=0), np.zeros((2, 6))
    images = Images([block], [2], MESH, backgrounds, motion, pointing)
    nothing = np.zeros(WINDOW.shape)
    changes = find_changes(images, nothing, nothing, limit=LIMIT)
    np.testing.assert_allclose(rough + changes.sky[0], true, atol=0.05)
    # The last rows of the displaced image are not there.
    np.testing.assert_allclose((rough + changes.sky[1])[:-1], true[:-1], atol=0.05)


def test_bins_beside_missing_pixels_are_compared():
    """Of every second column."""
    reference = np.random.default_rng(1).normal(0, SIGMA, WINDOW.shape)
    reference[:, ::2] = np.nan
    scene = _BandScene.of(reference, image_slopes(reference), reference, WINDOW, WINDOW)
    motion = np.array([0.01, 0, 0, 0.02, 0, 0])
    (mean, error, _), _ = scene.compare((reference + 3.0).astype(np.float32), motion)
    assert np.isfinite(error[:, 1:-1]).all()
    np.testing.assert_allclose(mean[:, 1:-1], 3.0, atol=0.1)


def test_foreign_light_is_found_in_a_crowd_as_on_a_smooth_sky(tmp_path):
    """A crowd gives each cell another level in all images; a plate covers one cell, and more."""
    plate = 20.0 * (np.hypot(ROW - 290, COLUMN - 1150) < 40)
    noise = np.random.default_rng(6).normal(0, SIGMA, (3, *WINDOW.shape))
    level = 100 + np.random.default_rng(7).normal(0, 8, MESH.shape)
    nothing, chosen, found = np.zeros(WINDOW.shape), np.arange(3), []
    for name, nodes in (("crowd", level), ("smooth", 100 + 0 * level)):
        flux = MESH.evaluate(nodes[None], WINDOW) + noise
        flux[2] += plate
        block = write_images_block(tmp_path / f"{name}.hdf5", WINDOW, flux)
        # Rough backgrounds know the crowd, and half of the plate where it is.
        rough = np.repeat(nodes[None], 3, axis=0)
        rough[2, 1:3, 2] += 10.0
        images = Images([block], [3], MESH, rough, np.zeros((3, 6)), Pointing.single(3))
        first = find_changes(images, nothing, nothing, limit=LIMIT)
        usual = median_sky(images, chosen, first)
        np.testing.assert_allclose(usual, nodes, atol=0.2)
        changes = find_changes(images, nothing, nothing, limit=LIMIT, usual_sky=usual)
        found.append((changes.sky[2], foreign_pixels(changes)[2]))
    (sky, foreign), (smooth_sky, smooth_foreign) = found
    np.testing.assert_allclose(sky, smooth_sky, atol=0.1)
    assert (foreign == smooth_foreign).mean() > 0.99
    assert foreign[plate > 0].mean() > 0.95
    none = replace(images, backgrounds=np.nan * images.backgrounds)
    assert not median_sky(none, chosen, first).any()
