"""with_motion_errors(): errors get what pixels do not show, within the scatter of the star."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tessphot_lib.core.lightcurve import StarFluxes, StarNotes
from tessphot_lib.core.pointing import Pointing
from tessphot_lib.lightcurves.motion_error import with_motion_within_scatter
from tessphot_lib.photometry.measure import with_motion_errors
from tessphot_lib.photometry.products import StarFrame

N_IMAGES = 900
TIME = 1683.0 + np.arange(N_IMAGES) / 48
ERROR = 2.0  # [e-/s] of the pixels


def measured(*more, slope=0.0, mean=10_000.0, common=2.5e-4):
    """Errors and cards of a star with noise beside that of its pixels."""
    rng = np.random.default_rng(4)
    moves = rng.normal(0, 1e-3, (2, 1, N_IMAGES))
    noise = sum(rng.normal(0, sigma, N_IMAGES) for sigma in (ERROR, *more))
    frame = SimpleNamespace(time=TIME[None], moved_row=moves[0], moved_column=moves[1])
    return with_errors(mean + noise + slope * moves[0, 0], frame, common)


def with_errors(flux, frame, common=2.5e-4):
    fluxes = StarFluxes.unknown(1, N_IMAGES)
    fluxes.flux[0], fluxes.flux_err[0] = flux, ERROR
    fluxes = StarFluxes(
        **{name: getattr(fluxes, name) for name in StarFluxes.array_names()},
        notes=(StarNotes(header={"AP_CONT": 0.1}),),
    )
    found = with_motion_errors(fluxes, frame, np.zeros((1, N_IMAGES), dtype=int), common=common)
    assert (fluxes.flux_err == ERROR).all()
    return found.flux_err[0], found.notes[0].header


def test_errors_that_are_right_stay():
    error, header = measured()
    np.testing.assert_allclose(error, ERROR, rtol=0.05)
    assert header["ERRMOVE"][0] == 0
    assert header["AP_CONT"] == 0.1


def test_a_flux_without_errors_stays_without():
    """It stopped all stars of a tile."""
    rng = np.random.default_rng(5)
    moves = rng.normal(0, 1e-3, (2, 1, N_IMAGES))
    fluxes = StarFluxes.unknown(1, N_IMAGES)
    fluxes.flux[0] = rng.normal(1e4, ERROR, N_IMAGES)
    arrays = {name: getattr(fluxes, name) for name in StarFluxes.array_names()}
    frame = SimpleNamespace(time=TIME[None], moved_row=moves[0], moved_column=moves[1])
    good = np.zeros((1, N_IMAGES), dtype=int)
    found = with_motion_errors(
        StarFluxes(**arrays, notes=(StarNotes(),)), frame, good, common=2.5e-4
    )
    assert np.isnan(found.flux_err).all()
    assert found.notes[0].header["ERRREST"][0] == 0


def test_noise_by_motion_is_told_from_the_rest():
    error, header = measured(slope=3000.0)
    np.testing.assert_allclose(error, np.hypot(ERROR, 3.0), rtol=0.07)
    assert header["ERRMOVE"][0] == pytest.approx(3.0, rel=0.1)


@pytest.mark.parametrize(
    ("more", "common", "added"), [(1.5, 2.5e-4, 1.5), (20.0, 2.5e-4, 2.5), (20.0, 1e-4, 1.0)]
)
def test_what_all_stars_share_counts_as_far_as_there_is_room_for_it(more, common, added):
    """250 ppm of 10,000 e-/s are 2.5; a star that varies from image to image by more does so."""
    error, header = measured(more, common=common)
    assert header["ERRREST"][0] == pytest.approx(added, rel=0.15)
    np.testing.assert_allclose(error, np.hypot(ERROR, added), rtol=0.08)


def test_steps_of_the_pointing_are_none_of_the_motion_in_the_pixels():
    """Pixels are read from whole ones away; a flux 1% higher there does not follow the motion."""
    rng = np.random.default_rng(7)
    displacement = np.zeros((N_IMAGES, 2))
    displacement[400:, 0] = 2.0
    motion = np.zeros((N_IMAGES, 6))
    motion[:, [0, 3]] = rng.normal(0, 1e-3, (N_IMAGES, 2))
    cube = SimpleNamespace(
        pointing=Pointing(displacement, np.ones(N_IMAGES, dtype=bool)),
        time=TIME,
        timecorr=np.zeros(N_IMAGES),
        observatory_position=np.zeros((N_IMAGES, 3)),
        motion=motion,
        own_motion={},
    )
    stars = pd.DataFrame({"tic_id": [7], "row": [3.0], "column": [4.0], "ra": [1.0], "dec": [2.0]})
    flux = 10_000.0 + rng.normal(0, ERROR, N_IMAGES) + 3000.0 * motion[:, 0]
    flux[400:] += 100.0
    frame = StarFrame.of(cube, stars)
    np.testing.assert_allclose(frame.pos_row[0] - frame.moved_row[0], displacement[:, 0])
    _, header = with_errors(flux, frame)
    assert header["ERRMOVE"][0] == pytest.approx(3.0, rel=0.2)


def test_a_variable_star_does_not_follow_what_it_adds_to_the_motion_itself():
    """A blend that pulsates within an hour or two shifts by that, and the motion of few stars."""
    rng = np.random.default_rng(5)
    pulsation = np.sin(2 * np.pi * (TIME - TIME[0]) * 24 / 1.7)
    own = 2e-3 * pulsation[:, None]
    motion = np.zeros((N_IMAGES, 6))
    motion[:, [0, 3]] = rng.normal(0, 1e-3, (N_IMAGES, 2)) + own
    cube = SimpleNamespace(
        pointing=Pointing.single(len(TIME)),
        time=TIME,
        timecorr=np.zeros(N_IMAGES),
        observatory_position=np.zeros((N_IMAGES, 3)),
        motion=motion,
        own_motion={"tic_id": np.array([7]), "d_row": own, "d_column": own},
    )
    stars = pd.DataFrame({"tic_id": [7], "row": [3.0], "column": [4.0], "ra": [1.0], "dec": [2.0]})
    flux = 10_000.0 + 30 * pulsation + rng.normal(0, ERROR, N_IMAGES)
    error, header = with_errors(flux, StarFrame.of(cube, stars))
    assert header["ERRMOVE"][0] == 0
    np.testing.assert_allclose(error, np.hypot(ERROR, 2.5), rtol=1e-3)


def test_errors_through_motion_stay_within_the_scatter():
    """Of three stars: motion explains their noise; or it is too much; or there are few images."""
    rng = np.random.default_rng(6)
    flux = 10_000 + rng.normal(0, [[5.0], [2.5], [2.5]], (3, N_IMAGES))
    flux[2, 30:] = np.nan
    error = np.full((3, N_IMAGES), 2.0)
    more = np.full((3, 1), 4.5)
    good = np.arange(N_IMAGES) > 3
    found = with_motion_within_scatter(TIME, flux, error, more, good)
    np.testing.assert_allclose(found[0], np.hypot(2.0, 4.5))
    np.testing.assert_allclose(found[1], 2.5 * 1.05, rtol=0.05)
    np.testing.assert_allclose(found[2], np.hypot(2.0, 4.5))
    assert (more == 4.5).all() and (error == 2.0).all()
    # Errors that are too large without it stay as they are.
    np.testing.assert_allclose(with_motion_within_scatter(TIME, flux, 3 * error, more, good)[1], 6)
