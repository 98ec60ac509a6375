"""Pixels of small windows, from blocks in which every pixel of every image has its own value."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from images_block import CCD, write_images_block

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.noise_model import NoiseModel
from tessphot_lib.core.patches import N_TERMS, Patches
from tessphot_lib.preparation import window_pixels
from tessphot_lib.preparation.window_pixels import (
    MAX_PIXELS,
    N_RUNS,
    LitWindow,
    WindowPixels,
    in_runs,
    mean_of_groups,
    small_windows,
)

STAMPS = [Window(203, 207, 480, 485), Window(230, 236, 500, 503)]
GRID = Patches.of(STAMPS)
N_IMAGES, SKY = 203, 100.0
FLUX = np.arange(N_IMAGES * 33 * 23, dtype=np.float32).reshape(N_IMAGES, 33, 23)
CUT = STAMPS[1].slices_in(GRID.window)
LIGHT = np.arange(18.0).reshape(STAMPS[1].shape)
LIT = LitWindow(1, STAMPS[1], LIGHT, np.ones(STAMPS[1].shape))


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blocks")
    return [
        write_images_block(folder / f"{first}.hdf5", GRID.window, FLUX[first:last], ccd_id=CCD)
        for first, last in ((0, 7), (7, 90), (90, 91), (91, N_IMAGES))
    ]


def opened(blocks, joined=1):
    model = np.zeros((-(-N_IMAGES // joined), 2, N_TERMS))
    model[:, 1, 0] = SKY + np.arange(len(model))
    return WindowPixels(blocks, model, np.ones(GRID.window.shape), GRID, joined)


@pytest.mark.parametrize(
    "chosen", [None, [6], [0, 1, 95, 96], [0, 70, 140, 202], np.arange(3, 203, 5), []], ids=str
)
def test_images_are_read_by_their_numbers(blocks, chosen):
    numbers = None if chosen is None else np.array(chosen, dtype=int)
    expected = FLUX[(slice(None), *CUT)] if chosen is None else FLUX[(numbers, *CUT)]
    with opened(blocks) as pixels:
        np.testing.assert_array_equal(pixels.read("flux", STAMPS[1], numbers), expected)


@pytest.mark.parametrize("joined", [1, 4])
@pytest.mark.parametrize("chosen", [None, [0, 1, 30, 50], [50]], ids=str)
@pytest.mark.parametrize("at_once", [1, 100, 4_000_000])
def test_changes_are_against_the_sky_and_the_average(blocks, monkeypatch, joined, chosen, at_once):
    monkeypatch.setattr(window_pixels, "AT_ONCE", at_once)
    means = mean_of_groups(FLUX[(slice(None), *CUT)], joined)
    sky = SKY + np.arange(len(means))
    expected = means - sky[:, None, None] - LIGHT
    numbers = np.arange(len(means)) if chosen is None else np.array(chosen)
    with opened(blocks, joined) as pixels:
        found = pixels.change(LIT, None if chosen is None else numbers)
    np.testing.assert_allclose(found, expected[numbers], rtol=1e-6)


def test_windows_without_light_or_with_full_pixels_only_are_left_out():
    average = np.full(GRID.window.shape, np.nan)
    given = [], np.zeros((3, 2, N_TERMS)), average, GRID
    expected = NoiseModel.expected(1800.0)
    assert not list(WindowPixels(*given).lit(STAMPS, SKY, expected))
    average[STAMPS[0].slices_in(GRID.window)] = 1e7
    average[CUT] = LIGHT
    (lit,) = WindowPixels(*given).lit(STAMPS, SKY, expected)
    assert (lit.number, lit.window) == (1, STAMPS[1])
    np.testing.assert_array_equal(lit.light, LIGHT)
    np.testing.assert_allclose(lit.noise, expected.sigma(LIGHT + SKY, STAMPS[1]))


def test_windows_that_are_large_are_left_out():
    large = Window(0, 201, 0, MAX_PIXELS // 200)
    grid = Patches.of([Window(0, 3, 300, 305)])
    assert small_windows(grid) == grid.windows
    pixels = WindowPixels([], np.zeros((3, 1, N_TERMS)), np.ones(large.shape), grid)
    assert not list(pixels.lit([large], SKY, NoiseModel.expected(1800.0)))


def test_a_block_that_is_missing_is_named(blocks, tmp_path):
    missing = tmp_path / "missing.hdf5"
    with pytest.raises(InputDataError, match=r"missing\.hdf5"), opened([*blocks, missing]):
        pass


def test_a_block_that_is_damaged_is_named(blocks, tmp_path):
    copies = [Path(shutil.copy(block, tmp_path)) for block in blocks]
    with h5py.File(copies[1]) as file:
        chunk = file["flux"].id.get_chunk_info(0)
    with open(copies[1], "r+b") as file:
        file.seek(chunk.byte_offset + 20)
        file.write(b"damaged" * 20)
    with opened(copies) as pixels, pytest.raises(InputDataError, match=r"/7\.hdf5.*delete it"):
        pixels.read("flux", STAMPS[0])


def test_some_of_many_images_are_taken_in_runs_over_the_sector():
    numbers = np.delete(np.arange(9_000), [0, 17, 4_500])
    taken = in_runs(numbers, 600, 3)
    steps = np.diff(taken)
    assert len(taken) == len(np.unique(taken)) == 600
    assert np.isin(taken, numbers).all()
    assert (np.sort(steps)[-N_RUNS + 1 :] > 500).all()
    assert (np.sort(steps)[: -N_RUNS + 1] <= 4).all()
    assert taken[0] == pytest.approx(8_999 - taken[-1], abs=5)
    for n_numbers, step in ((1800, 3), (1201, 3), (1200, 2), (600, 1), (0, 1)):
        some = numbers[:n_numbers]
        np.testing.assert_array_equal(in_runs(some, 600, 3), some[::step])


def test_means_of_groups_know_what_is_missing():
    values = np.array(
        [[1.0, 2], [3, 4], [5, np.nan], [7, 8], [np.nan, np.nan], [np.nan, 6], [9, 9]]
    )
    means = mean_of_groups(values, 3)
    np.testing.assert_array_equal(means, [[3, 3], [np.nan, 7], [9, 9]])
    assert mean_of_groups(values, 1) is values
    assert mean_of_groups(values[:0], 3).shape == (0, 2)


def test_means_of_groups_of_known_values_are_those_of_others():
    values = np.random.default_rng(3).normal(1e4, 10, (50, 3, 2)).astype(np.float32)
    missing = values.copy()
    missing[7, 1] = np.nan
    means, others = mean_of_groups(values, 8), mean_of_groups(missing, 8)
    assert means.dtype == np.float32
    np.testing.assert_array_equal(np.delete(means, 0, axis=0), np.delete(others, 0, axis=0))
    np.testing.assert_allclose(means[0], values[:8].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(means[-1], values[48:].mean(axis=0), rtol=1e-6)
