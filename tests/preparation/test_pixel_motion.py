"""Motion of a few cutouts, from their pixels."""

import numpy as np
import pandas as pd
import pytest
from images_block import CCD, write_images_block
from star_images import gaussian_star

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.noise_model import NoiseModel
from tessphot_lib.core.patches import N_TERMS, Patches
from tessphot_lib.motion import pixel_shift
from tessphot_lib.preparation import window_pixels
from tessphot_lib.preparation.pixel_motion import (
    errors_of_structure,
    motion_from_pixels,
)
from tessphot_lib.preparation.window_pixels import WindowPixels

STAMPS = [Window(203, 214, 480, 492), Window(230, 242, 500, 511)]
GRID = Patches.of(STAMPS)
STARS = pd.DataFrame(
    {
        "tic_id": [7, 5, 3],
        "row": [208.3, 236.9, 260.0],
        "column": [486.1, 505.2, 500.0],
        "flux": [2500.0, 3500.0, 100.0],  # the last one is on no stamp
    }
)
N_IMAGES, SKY = 120, 100.0
EXPECTED = NoiseModel.expected(1800.0)


def sector(folder, moves, change=0.0, own=0.0):
    """Blocks, images and average image of two stamps whose stars move, with some more light.

    ``change`` is not in the average image, ``own`` is.
    """
    rng = np.random.default_rng(2)
    light = np.array(
        [
            sum(
                gaussian_star(GRID.window, star.row + move[0], star.column + move[1], star.flux)
                for star in STARS.itertuples()
            )
            for move in moves
        ]
    )
    flux = light + SKY
    flux += rng.normal(0, 1, flux.shape) * EXPECTED.sigma(flux, GRID.window)
    flux[:, GRID.index < 0] = np.nan
    flux += own
    average, flux = flux.mean(axis=0) - SKY, flux + change
    blocks = [
        write_images_block(folder / f"{first}.hdf5", GRID.window, flux[part], ccd_id=CCD)
        for first, part in ((0, slice(0, 50)), (50, slice(50, None)))
    ]
    model = np.zeros((N_IMAGES, 2, N_TERMS))
    model[:, :, 0] = SKY
    images = {
        "time": 1683.0 + np.arange(N_IMAGES) / 48,
        "background": model,
        "background_error": np.full((N_IMAGES, 2), 0.05),
        "background_level": np.full(N_IMAGES, SKY),
        "motion": np.full((N_IMAGES, 6), np.nan),
        "motion_error": np.full(N_IMAGES, np.nan),
    }
    return blocks, images, average


def found(folder, moves, own=0.0, **known):
    blocks, images, average = sector(folder, moves, own=own)
    good = np.ones(N_IMAGES, dtype=bool)
    given = blocks, images | known, average, GRID, STARS, CCD
    return motion_from_pixels(*given, expected=EXPECTED, is_good=good)


@pytest.fixture
def moves():
    moves = np.random.default_rng(1).normal(0, 3e-3, (N_IMAGES, 2))
    moves[:, 0] += np.linspace(-0.03, 0.03, N_IMAGES)
    return moves - moves.mean(axis=0)


def test_motion_of_stamps_without_any(tmp_path, moves):
    motion, error, own = found(tmp_path, moves)
    assert motion.shape == (N_IMAGES, 6)
    np.testing.assert_array_equal(np.delete(motion, [0, 3], axis=1), 0)
    off = motion[:, [0, 3]] - moves
    assert np.std(np.diff(off, axis=0)) / np.sqrt(2) < 1.3 * np.median(error) < 1e-3
    assert np.abs(np.polyfit(moves[:, 0], motion[:, 0], 1)[0] - 1) < 0.08
    # Each star was measured with the other one.
    np.testing.assert_array_equal(own["tic_id"], [7, 5])
    assert own["d_row"].shape == own["d_column"].shape == (N_IMAGES, 2)
    assert 0 < np.nanmax(np.abs(own["d_row"])) < 5e-3


def test_what_a_blend_adds_to_the_motion_is_known(tmp_path, moves):
    """Two stars of a blend vary against each other: it moves by columns, the stamps do not."""
    star = STARS.iloc[0]
    shifted = (
        gaussian_star(GRID.window, star.row, star.column + side, side * 60.0) for side in (1, -1)
    )
    own = np.sin(np.arange(N_IMAGES) / 9)[:, None, None] * sum(shifted)
    motion, _, influence = found(tmp_path, moves, own=own)
    d_row, d_column = influence["d_row"][:, 0], influence["d_column"][:, 0]
    off = motion[:, 3] - moves[:, 1]
    assert np.std(off) > 5e-3
    assert np.std(off - d_column) < 0.2 * np.std(off)
    assert np.std(motion[:, 0] - moves[:, 0] - d_row) < 3e-3
    assert np.std(d_row) < 0.2 * np.std(d_column)


def test_images_that_jump_are_unknown(tmp_path, moves):
    moves[70] += 1.2  # the slopes of the average image do not go that far
    motion, error, _ = found(tmp_path, moves)
    assert np.isnan(motion[70, [0, 3]]).all()
    assert np.isnan(error[70])
    assert np.isfinite(np.delete(motion, 70, axis=0)).all()


def test_charge_of_full_pixels_is_no_motion(tmp_path, moves):
    """A trail of 2 x 3 pixels, whose ends move by themselves."""
    own = np.zeros((N_IMAGES, *GRID.window.shape))
    own[:, 1:4, 1:3] = 6e4
    own[:, 1] += 8e3 * np.sin(np.arange(N_IMAGES) / 9)[:, None] * (own[:, 1] > 0)
    motion, error, _ = found(tmp_path, moves, own=own)
    off = motion[:, [0, 3]] - moves
    assert np.std(off - off.mean(axis=0)) < 3e-3
    assert np.median(error) < 1e-3


def test_slow_motion_is_known_better_than_fast_motion(tmp_path, moves):
    """As it can be smoothed; the worse axis counts."""
    slow = np.linspace(-0.03, 0.03, N_IMAGES)
    errors = {}
    for name, axes in (
        ("slow", (slow, slow)),
        ("row", (moves[:, 0], slow)),
        ("both", moves.T),
    ):
        errors[name] = np.median(found(tmp_path, np.column_stack(axes))[1])
    assert errors["slow"] < 0.85 * errors["both"]
    assert errors["row"] == pytest.approx(errors["both"], rel=0.1)


def test_motion_that_is_known_as_well_is_kept(tmp_path, moves):
    known = np.zeros((N_IMAGES, 6))
    assert found(tmp_path, moves, motion=known, motion_error=np.full(N_IMAGES, 3e-4)) is None
    better = found(tmp_path, moves, motion=known, motion_error=np.full(N_IMAGES, 0.01))
    assert better is not None
    known[:, 1] = 1e-6  # affine: a rotation is in it
    assert found(tmp_path, moves, motion=known, motion_error=np.full(N_IMAGES, 0.01)) is None


def test_no_motion_where_there_is_only_noise(tmp_path):
    assert found(tmp_path, np.zeros((N_IMAGES, 2))) is None


def structure(folder, change, level, errors=0.05, **more_settings):
    """What structure adds to errors of backgrounds, of images whose sky is at some level."""
    more = change + (level - SKY)[:, None, None]
    blocks, images, average = sector(folder, np.zeros((N_IMAGES, 2)), more)
    images["background_level"] = level
    images["background"][:, :, 0] = level[:, None]
    images["background_error"][:] = errors
    good = np.ones(N_IMAGES, dtype=bool)
    given = blocks, images, average, GRID
    return errors_of_structure(*given, expected=EXPECTED, is_good=good, **more_settings)


def levels(*bright):
    """Level of the sky, in some images three times as bright as usual."""
    level = np.full(N_IMAGES, SKY)
    level[list(bright)] = 3 * SKY
    return level


def test_scattered_light_with_structure_is_in_the_errors_of_its_stamp(tmp_path):
    _, column = np.indices(GRID.window.shape)
    change = np.zeros((N_IMAGES, *GRID.window.shape))
    change[30] = np.where(GRID.index == 1, 2.0 * np.sin(1.7 * column), 0.0)
    error = structure(tmp_path, change, levels(30))
    assert error[30, 1] == pytest.approx(2.0 / np.sqrt(2), rel=0.4)
    error[30, 1] = 0
    assert (error < 0.2).all()
    # Without scattered light it is something else: a nebula, a variable star.
    assert (structure(tmp_path, change, levels()) == 0).all()


def test_images_of_long_sectors_are_fitted_some_at_a_time(tmp_path, monkeypatch):
    """With the same result."""
    change = np.zeros((N_IMAGES, *GRID.window.shape))
    change[[30, 31, 90]] = 2.0 * np.sin(1.7 * np.indices(GRID.window.shape)[1])
    together = structure(tmp_path, change, levels(30, 31, 90))
    for module in (window_pixels, pixel_shift):
        monkeypatch.setattr(module, "AT_ONCE", 7 * STAMPS[0].shape[0] * STAMPS[0].shape[1] + 5)
    sizes = []
    fitted = pixel_shift._fitted
    monkeypatch.setattr(
        pixel_shift, "_fitted", lambda *args: sizes.append(len(args[0])) or fitted(*args)
    )
    np.testing.assert_allclose(structure(tmp_path, change, levels(30, 31, 90)), together, atol=1e-9)
    assert (together[[30, 31, 90]] > 1).all()
    assert sum(sizes) == 2 * N_IMAGES
    assert max(sizes) == 7


def test_images_that_are_looked_at_together_show_fainter_structure(tmp_path):
    """Four in a row share one error; the last group is whole, too, with an image missing."""
    pattern = np.where(GRID.index == 1, np.sin(1.7 * np.indices(GRID.window.shape)[1]), 0)
    change = np.zeros((N_IMAGES, *GRID.window.shape))
    change[28:32], change[119] = 0.5 * pattern, np.nan
    lit = range(28, 32)
    single = structure(tmp_path, change, levels(*lit))
    joined = structure(tmp_path, change, levels(*lit), joined=4)
    assert (joined[28:32, 1] == joined[28, 1]).all()
    assert joined[28, 1] == pytest.approx(0.5 / np.sqrt(2), rel=0.3)
    assert single[28:32, 1].mean() < 0.3 * joined[28, 1]
    joined[28:32, 1] = 0
    assert (joined < 0.1).all()


def test_patches_whose_errors_hide_structure_are_not_read(tmp_path, monkeypatch):
    """At most 3 % of the excess over the sky is structure: 6 e-/s here."""
    read = []
    change = WindowPixels.change
    monkeypatch.setattr(
        WindowPixels, "change", lambda self, lit: read.append(lit.number) or change(self, lit)
    )
    more = np.zeros((N_IMAGES, *GRID.window.shape))
    more[30] = 2.0 * np.sin(1.7 * np.indices(GRID.window.shape)[1])
    error = structure(tmp_path, more, levels(30), errors=[0.05, 40.0])
    assert (error[30, 0] > 1, error[30, 1], read) == (True, 0, [0])
    assert (structure(tmp_path, more, levels()) == 0).all()
    assert read == [0]


def test_stars_that_flare_or_are_eclipsed_are_no_structure(tmp_path):
    change = np.zeros((N_IMAGES, *GRID.window.shape))
    star = STARS.iloc[0]
    light = gaussian_star(GRID.window, star.row, star.column, star.flux)
    change[40], change[50] = 3 * light, -0.8 * light
    assert (structure(tmp_path, change, levels(40, 50)) < 0.3).all()
