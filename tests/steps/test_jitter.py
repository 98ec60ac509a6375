"""Step `jitter`: whose motion an image has, from its stars or else from its header."""

import numpy as np
import pytest
from images_block import write_images_block

from tessphot_lib.core.affine import displacement
from tessphot_lib.core.flags import CadenceFlag
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.settings import PrepareSettings
from tessphot_lib.io.products.jitter_ecsv import read_jitter
from tessphot_lib.steps.jitter import reference_index, run_jitter

CCD = CcdId(14, 2, 3)
WINDOW = Window(0, 4, 0, 5)
LONE = Window(300, 311, 400, 450)  # wider than the parts that are searched
SETTINGS = PrepareSettings()
N_IMAGES, N_STARS = 9, 25
BLIND, LOST = 3, 6  # images without measured stars; the second has no WCS either
REFERENCE = 4  # in the middle
HEADER_OFF = np.array([0.7, 0, 0, -0.9, 0, 0])  # of all headers against the pixels


@pytest.fixture
def star_positions():
    rng = np.random.default_rng(5)
    return rng.uniform(0, 2047, (2, N_STARS))


def true_motion():
    """Affine motions, none at the middle image."""
    rng = np.random.default_rng(6)
    motion = rng.normal(0, 0.05, (N_IMAGES, 6))
    motion[REFERENCE] = 0
    return motion


def write(path, first, last, motion, positions, light=None):
    """A block of images ``first`` to ``last - 1``; stars are as bright as ``light`` says."""
    light = np.ones(N_IMAGES) if light is None else light
    row, column = positions
    d_row, d_column = displacement(motion, row, column)
    d_row[[BLIND, LOST]] = d_column[[BLIND, LOST]] = np.nan
    header = motion + HEADER_OFF
    header[LOST] = np.nan
    numbers, here = np.arange(first, last), slice(first, last)
    images = {"time": 1683.0 + numbers / 48, "cadenceno": 100 + numbers}
    images |= {"quality": np.zeros(len(numbers), dtype=np.int64), "header_motion": header[here]}
    images |= {"star_row": (row + d_row)[here], "star_column": (column + d_column)[here]}
    images |= {"star_light": 1000 * light[here, None] + np.zeros(N_STARS)}
    images |= {"star_sharpness": np.full((len(numbers), N_STARS), 0.6)}
    stars = {"tic_id": np.arange(N_STARS), "row": row, "column": column}
    flux = np.ones((len(numbers), *WINDOW.shape))
    return write_images_block(path, WINDOW, flux, images=images, motion_stars=stars, ccd_id=CCD)


def test_motion_of_stars_or_else_of_the_header(tmp_path, star_positions):
    motion = true_motion()
    blocks = [
        write(tmp_path / f"b{first}.hdf5", first, last, motion, star_positions)
        for first, last in ((0, 5), (5, N_IMAGES))
    ]
    run_jitter(blocks, tmp_path / "jitter.ecsv", CCD, settings=SETTINGS)
    found, _ = read_jitter(tmp_path / "jitter.ecsv")
    source = np.full(N_IMAGES, "stars", dtype="<U6")
    source[BLIND], source[LOST] = "header", "none"
    assert found["source"].tolist() == source.tolist()
    assert found["cadenceno"].tolist() == list(range(100, 100 + N_IMAGES))
    known = np.arange(N_IMAGES) != LOST
    np.testing.assert_allclose(found["motion"][known], motion[known], atol=1e-4)
    assert np.isnan(found["motion"][LOST]).all()
    # A header is good to a hundredth of a pixel; the stars are better, and of nothing nothing is.
    assert found["error"][BLIND] == 0.01
    assert np.isnan(found["error"][LOST])
    assert (found["error"][source == "stars"] < 1e-3).all()
    assert found["n_stars"].tolist() == np.where(source == "stars", N_STARS, 0).tolist()


def test_images_in_which_all_stars_changed_are_flagged(tmp_path, star_positions):
    light = np.ones(N_IMAGES)
    light[[1, REFERENCE]] = 0.96, 1.1
    block = write(tmp_path / "b0.hdf5", 0, N_IMAGES, 0 * true_motion(), star_positions, light)
    run_jitter([block], tmp_path / "jitter.ecsv", CCD, settings=SETTINGS)
    found, _ = read_jitter(tmp_path / "jitter.ecsv")
    changed = found["quality"] & int(CadenceFlag.STARS_CHANGED) != 0
    # Those whose stars were lost are among them.
    assert np.flatnonzero(changed).tolist() == [1, BLIND, REFERENCE, LOST]
    np.testing.assert_allclose(found["light"], light, rtol=1e-6)
    np.testing.assert_allclose(found["sharpness"], 1.0)
    unknown = found["quality"] & int(CadenceFlag.NO_MOTION) != 0
    assert np.flatnonzero(unknown).tolist() == [LOST]


def test_step_of_the_pointing_is_motion_and_flags_no_half(tmp_path, star_positions):
    """Only an image between the halves; stars of the others are measured against one pointing."""
    n_images, first = 48, 30
    rng = np.random.default_rng(7)
    motion = np.zeros((n_images, 6))
    motion[:, [0, 3]] = rng.normal(0, 0.01, (n_images, 2))
    motion[first:, [0, 3]] += [1.2, -0.7]
    motion[first - 1, [0, 3]] = 0.6, -0.35
    row, column = star_positions
    d_row, d_column = displacement(motion, row, column)
    d_row[rng.random(d_row.shape) < 0.2] = np.nan
    d_column[np.isnan(d_row)] = np.nan
    images = {"time": 1683.0 + np.arange(n_images) / 48, "cadenceno": np.arange(n_images)}
    images |= {"quality": np.zeros(n_images, dtype=np.int64), "header_motion": motion}
    images |= {"star_row": row + d_row, "star_column": column + d_column}
    images |= {f"star_{name}": np.ones(d_row.shape) for name in ("light", "sharpness")}
    stars = {"tic_id": np.arange(N_STARS), "row": row, "column": column}
    flux = np.ones((n_images, *WINDOW.shape))
    more = {"images": images, "motion_stars": stars, "ccd_id": CCD}
    block = write_images_block(tmp_path / "b0.hdf5", WINDOW, flux, **more)
    run_jitter([block], tmp_path / "jitter.ecsv", CCD, settings=SETTINGS)
    found, pointing = read_jitter(tmp_path / "jitter.ecsv")
    assert np.flatnonzero(found["quality"]).tolist() == [first - 1]
    np.testing.assert_array_equal(pointing.whole[first:], [[1, -1]] * (n_images - first))
    assert not pointing.displacement[: first - 1].any()
    off = found["motion"] - motion
    np.testing.assert_allclose(off - off[0], 0, atol=1e-3)
    assert np.abs(off).max() < 0.03  # of the reference image, which is one of the first half


def write_lone(path, numbers, light, window=LONE):
    """A block of images (``numbers``) of one star of that light in the middle of a window."""
    rows, columns = np.indices(window.shape) - np.array([5, 20])[:, None, None]
    shape = np.exp(-0.5 * (rows**2 + columns**2) / 0.8**2)
    noise = np.random.default_rng(int(numbers[0])).normal(0, 1, (len(numbers), *window.shape))
    flux = 100 + noise + light[numbers, None, None] * shape
    at = {"row": np.array([window.row0 + 5.0]), "column": np.array([window.column0 + 20.0])}
    images = {"time": 1683.0 + numbers / 48, "cadenceno": numbers}
    images |= {"quality": np.zeros(len(numbers), dtype=np.int64)}
    images |= {"header_motion": np.zeros((len(numbers), 6))}
    images |= {"background_level": np.full(len(numbers), 100.0)}
    images |= {f"star_{name}": np.full((len(numbers), 1), at[name][0]) for name in at}
    images |= {"star_light": light[numbers, None], "star_sharpness": np.full((len(numbers), 1), 1)}
    stars = {"tic_id": np.array([5]), **at}
    return write_images_block(path, window, flux, images=images, motion_stars=stars, ccd_id=CCD)


def test_images_without_the_only_star_are_flagged_but_no_eclipse(tmp_path):
    light = np.full(60, 2000.0)
    light[30:36] *= 0.15
    light[[7, 50]] = 0.0
    blocks = [
        write_lone(tmp_path / f"b{first}.hdf5", np.arange(first, first + 20), light)
        for first in (0, 20, 40)
    ]
    run_jitter(blocks, tmp_path / "jitter.ecsv", CCD, settings=SETTINGS)
    quality = read_jitter(tmp_path / "jitter.ecsv")[0]["quality"]
    assert np.flatnonzero(quality & int(CadenceFlag.STARS_CHANGED)).tolist() == [7, 50]


def test_reference_is_the_good_image_nearest_to_the_middle():
    time = np.array([0.0, 1.0, 2.0, 4.0, 6.0, 7.0])  # the middle is at 3.5
    quality, motion = np.zeros(6, dtype=int), np.zeros((6, 6))
    assert reference_index(time, quality, motion, 32) == 3
    quality[3] = 32
    assert reference_index(time, quality, motion, 32) == 2
    assert reference_index(time, quality, motion, 4) == 3
    quality[3] = int(CadenceFlag.BAD_BACKGROUND)
    motion[2, 4] = np.nan
    assert reference_index(time, quality, motion, 0) in (1, 4)  # both 2.5 days off
    quality[:] = 32
    assert reference_index(time, quality, motion, 32) == 3  # better a bad one than none
    assert reference_index(time, quality, np.full((6, 6), np.nan), 32) is None
