"""Some of the images of a CCD are compared and averaged, the others are not looked at."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from images_block import write_images_block

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.mesh import Mesh
from tessphot_lib.core.pointing import Pointing
from tessphot_lib.preparation.changes import (
    Images,
    average_images,
    find_changes,
    reference_image,
)

WINDOW = Window(97, 227, 300, 371)  # over the border of two bands
MESH = Mesh.over(WINDOW, 64)
N_IMAGES, LIT, GHOST = 9, 4, (slice(20, 44), slice(10, 30))
EDGES = [0, 3, 4, 5, N_IMAGES]  # of blocks


@pytest.fixture
def images_and_light(tmp_path):
    """Images of a star on a sky of 100 e-/s and more, one with a ghost, in blocks."""
    rng = np.random.default_rng(6)
    row, column = np.indices(WINDOW.shape)
    star = 3000 * np.exp(-((row - 90.3) ** 2 + (column - 50.8) ** 2) / 1.6)
    sky = 100.0 + np.arange(N_IMAGES)[:, None, None]
    flux = star + sky + rng.normal(0, 0.5, (N_IMAGES, *WINDOW.shape))
    flux[(LIT, *GHOST)] += 9.0
    blocks = [
        write_images_block(tmp_path / f"{first}.hdf5", WINDOW, flux[first:last])
        for first, last in itertools.pairwise(EDGES)
    ]
    backgrounds, lengths = sky + np.zeros(MESH.shape), np.diff(EDGES).tolist()
    still = np.zeros((N_IMAGES, 6)), Pointing.single(N_IMAGES)
    return Images(blocks, lengths, MESH, backgrounds, *still), flux - sky


def test_displaced_images_are_read_from_where_their_stars_are(tmp_path, images_and_light):
    """A star and a ramp of the sky: the star moves with the pointing, the sky does not."""
    images, _ = images_and_light
    whole = np.zeros((N_IMAGES, 2))
    whole[3:6], whole[6:] = (2.1, -1.2), (0.0, 2.9)
    rows, columns = np.indices(WINDOW.shape)
    nodes = 100 + np.mgrid[0.0 : MESH.shape[0], 0.0 : MESH.shape[1]].sum(axis=0)
    sky = MESH.evaluate(nodes[None], WINDOW)[0]
    flux = np.empty((N_IMAGES, *WINDOW.shape))
    for image, (d_row, d_column) in zip(flux, np.rint(whole), strict=True):
        at = (rows - 60 - d_row) ** 2 + (columns - 50 - d_column) ** 2
        image[:] = sky + 3000 * np.exp(-at / 1.6)
    blocks = [
        write_images_block(tmp_path / f"d{first}.hdf5", WINDOW, flux[first:last])
        for first, last in itertools.pairwise(EDGES)
    ]
    pointing = Pointing(whole, np.ones(N_IMAGES, dtype=bool))
    backgrounds = nodes + np.zeros((N_IMAGES, 1, 1))
    images = replace(images, blocks=blocks, backgrounds=backgrounds, pointing=pointing)
    every = np.arange(N_IMAGES)
    reference = reference_image(images, every).astype(float)
    np.testing.assert_allclose(reference, flux[0] - sky, atol=2e-3)
    changes = find_changes(images, reference, reference, limit=1.0)
    assert not changes.packed.any()
    average, count = average_images(images, np.ones(N_IMAGES, dtype=bool), changes)
    np.testing.assert_allclose(average, flux[0] - sky, atol=2e-3)
    # The last two rows and the first column are beyond the edge in three images, the last three
    # columns in other three.
    expected = np.full(WINDOW.shape, N_IMAGES)
    expected[-2:] -= 3
    expected[:-2, 0] -= 3
    expected[:, -3:] -= 3
    np.testing.assert_array_equal(count, expected)


@pytest.mark.parametrize("chosen", [[0, 2, 3, 4, 8], [0, 1, 2, 3, 5, 6, 7], [5, 6, 7]])
def test_only_the_images_wanted_are_compared_and_averaged(images_and_light, chosen):
    """In blocks of several, of one, and with none of them; against numpy."""
    images, light = images_and_light
    chosen = np.array(chosen)
    reference = reference_image(images, chosen)
    np.testing.assert_allclose(reference, np.median(light[chosen], axis=0), atol=1e-4)
    reference = reference.astype(float)
    changes = find_changes(images, reference, reference, limit=1.0, chosen=chosen)
    compared = np.isfinite(changes.error).all(axis=(1, 2))
    assert np.flatnonzero(compared).tolist() == chosen.tolist()
    is_lit = [changes.foreign(number).any() for number in range(N_IMAGES)]
    assert np.flatnonzero(is_lit).tolist() == [number for number in chosen if number == LIT]
    used = np.isin(np.arange(N_IMAGES), chosen)
    average, count = average_images(images, used, changes)
    inside = np.zeros(WINDOW.shape, dtype=bool)
    inside[GHOST] = True
    assert (count[inside] == len(chosen) - (LIT in chosen)).all()
    far = count == len(chosen)
    assert far.mean() > 0.8
    sky = MESH.evaluate(changes.sky[chosen], WINDOW).mean(axis=0)
    expected = light[chosen].mean(axis=0) - sky
    np.testing.assert_allclose(average[far], expected[far], atol=1e-4)


def test_blocks_without_an_image_wanted_are_not_read(images_and_light):
    images, _ = images_and_light
    for block in images.blocks[:3]:
        block.unlink()
    chosen = np.array([6, 8])
    reference = reference_image(images, chosen).astype(float)
    changes = find_changes(images, reference, reference, limit=1.0, chosen=chosen)
    average_images(images, np.isin(np.arange(N_IMAGES), chosen), changes)
