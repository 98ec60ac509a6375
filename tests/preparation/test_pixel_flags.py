"""Flags of all images from their blocks: the second look, whatever the blocks and bands."""

import numpy as np
import pytest

from tessphot_lib.core.flags import PixelFlag
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.mesh import Mesh
from tessphot_lib.io.products.block_hdf5 import IMAGE_COLUMNS, CubeBuffer, write_block
from tessphot_lib.preparation import pixel_flags as stage
from tessphot_lib.preparation.pixel_flags import KnownLight, pixel_flags

WINDOW = Window(100, 330, 500, 700)  # more than one band
ROW, COLUMN = np.indices(WINDOW.shape)
N_IMAGES = 5
ANOMALY, SATURATED = int(PixelFlag.BACKGROUND_ANOMALY), int(PixelFlag.SATURATED)
MOTION = np.array([0.25, 0.0, 0.0, -0.15, 0.0, 0.0])


def spots(d_row=0.0, d_column=0.0):
    """Stars, displaced."""
    rng = np.random.default_rng(4)
    light = np.zeros(WINDOW.shape)
    for row, column in rng.uniform([0, 0], WINDOW.shape, size=(150, 2)):
        distance = np.hypot(ROW - row - d_row, COLUMN - column - d_column)
        light += 10 ** rng.uniform(1, 3.5) * np.exp(-0.5 * (distance / 1.3) ** 2)
    return light


def band_of_light(index):
    """A vertical band that moves to the right."""
    return np.where(np.abs(COLUMN - 40 - 20 * index) < 6, 60.0, 0.0)


@pytest.fixture(scope="module")
def sky():
    """Average image, cube and first flags of all images."""
    average = spots()
    flux = np.stack([100.0 + average + band_of_light(index) for index in range(N_IMAGES)])
    flux[2] = 100.0 + spots(MOTION[0], MOTION[3]) + band_of_light(2)
    flux[4] -= band_of_light(4)  # the last image has none
    rng = np.random.default_rng(5)
    flux += rng.normal(0, 0.5, flux.shape)
    flags = np.zeros(flux.shape, dtype=np.uint8)
    for index in range(4):
        flags[index][(band_of_light(index) > 0) & (average < 5)] = ANOMALY
    flags[1, 60, 60] |= SATURATED
    return average, flux, flags


def write_blocks(folder, sky, lengths):
    """The images, cut into blocks."""
    _, flux, flags = sky
    blocks, first = [], 0
    for number, length in enumerate(lengths):
        cubes = CubeBuffer(WINDOW, length, 0.0)
        for index in range(length):
            cubes.put(index, flux[first + index], np.ones(WINDOW.shape, dtype=np.float32))
        cubes.pixel_flags[...] = flags[first : first + length]
        blocks.append(folder / f"b{number}.hdf5")
        write_block(
            blocks[-1],
            cubes,
            CcdId(14, 1, 1),
            images={name: np.zeros(length) for name in IMAGE_COLUMNS},
            flux_sum=np.zeros(WINDOW.shape),
            flux_count=np.zeros(WINDOW.shape),
            motion_stars={},
            attributes={},
        )
        first += length
    return blocks


def flags_of(folder, sky, lengths):
    mesh = Mesh.over(WINDOW, 64)
    motion = np.zeros((N_IMAGES, 6))
    motion[2] = MOTION
    motion[3] = np.nan  # not known: taken for none
    known = KnownLight(mesh, np.full((N_IMAGES, *mesh.shape), 100.0), sky[0], motion, 12.0)
    found = np.full((N_IMAGES, *WINDOW.shape), 255, dtype=np.uint8)
    for cadences, region, flags in pixel_flags(write_blocks(folder, sky, lengths), lengths, known):
        found[(cadences, *region.slices_in(WINDOW))] = flags
    return found


def test_light_is_found_under_stars_and_nowhere_else(tmp_path, sky):
    found = flags_of(tmp_path, sky, [N_IMAGES])
    assert not (found == 255).any()  # every pixel of every image got its flags
    assert found[1, 60, 60] & SATURATED
    assert (found[1] & SATURATED != 0).sum() == 1
    for index in range(4):
        light = band_of_light(index) > 0
        is_found = found[index] & ANOMALY != 0
        assert is_found[light].mean() > 0.99, index
        assert not is_found[np.abs(COLUMN - 40 - 20 * index) > 9].any(), index
    assert not found[4].any()


def test_faint_light_counts_less_in_a_bright_background(tmp_path):
    """20 e-/s are a reflection on a sky of 100, and not on one of 5000, known to 1 %."""
    lit = np.abs(COLUMN - 60) < 12
    seen = lit & (COLUMN < 60)
    for number, (level, is_found) in enumerate(((100.0, True), (5000.0, False))):
        flux, average = (level + 20.0 * lit)[None], np.zeros(WINDOW.shape)
        (tmp_path / str(number)).mkdir()
        flags = np.where(seen, ANOMALY, 0)[None].astype(np.uint8)
        blocks = write_blocks(tmp_path / str(number), (average, flux, flags), [1])
        mesh = Mesh.over(WINDOW, 64)
        known = KnownLight(mesh, np.full((1, *mesh.shape), level), average, np.zeros((1, 6)), 12.0)
        found = np.zeros(WINDOW.shape, dtype=bool)
        for _, region, some in pixel_flags(blocks, [1], known):
            found[region.slices_in(WINDOW)] = some[0] & ANOMALY != 0
        assert found[seen].all()
        assert found[lit & (COLUMN > 62) & (COLUMN < 68)].all() == is_found
        assert not found[np.abs(COLUMN - 60) > 16].any()


def test_blocks_and_bands_make_no_difference(tmp_path, sky, monkeypatch):
    (tmp_path / "one").mkdir()
    (tmp_path / "some").mkdir()
    whole = flags_of(tmp_path / "one", sky, [N_IMAGES])
    monkeypatch.setattr(stage, "BAND_ROWS", 37)
    np.testing.assert_array_equal(flags_of(tmp_path / "some", sky, [2, 1, 2]), whole)
