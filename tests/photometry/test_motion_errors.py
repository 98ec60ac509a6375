"""with_motion_errors(): errors get what pixels do not show, within the scatter of the star."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tessphot_lib.core.lightcurve import StarFluxes, StarNotes
from tessphot_lib.photometry.measure import with_motion_errors

N_IMAGES = 900
ERROR = 2.0  # [e-/s] of the pixels


def measured(*more, slope=0.0, mean=10_000.0):
    """Errors and cards of a star with noise beside that of its pixels."""
    rng = np.random.default_rng(4)
    move = rng.normal(0, 1e-3, (N_IMAGES, 1))
    fluxes = StarFluxes.unknown(1, N_IMAGES)
    noise = sum(rng.normal(0, sigma, N_IMAGES) for sigma in (ERROR, *more))
    fluxes.flux[0] = mean + noise + slope * move[:, 0]
    fluxes.flux_err[0] = ERROR
    fluxes = StarFluxes(
        **{name: getattr(fluxes, name) for name in StarFluxes.array_names()},
        notes=(StarNotes(header={"AP_CONT": 0.1}),),
    )
    cube = SimpleNamespace(motion_at=lambda row, column: (move, rng.normal(0, 1e-3, move.shape)))
    frame = SimpleNamespace(time=1683.0 + np.arange(N_IMAGES)[None] / 48)
    targets = SimpleNamespace(stars=pd.DataFrame({"row": [3.0], "column": [4.0]}))
    quality = np.zeros((1, N_IMAGES), dtype=int)
    found = with_motion_errors(cube, fluxes, frame, quality, targets)
    assert (fluxes.flux_err == ERROR).all()
    return found.flux_err[0], found.notes[0].header


def test_errors_that_are_right_stay():
    error, header = measured()
    np.testing.assert_allclose(error, ERROR, rtol=0.05)
    assert header["ERRMOVE"][0] == 0
    assert header["AP_CONT"] == 0.1


def test_noise_by_motion_is_told_from_the_rest():
    error, header = measured(slope=3000.0)
    np.testing.assert_allclose(error, np.hypot(ERROR, 3.0), rtol=0.07)
    assert header["ERRMOVE"][0] == pytest.approx(3.0, rel=0.1)


@pytest.mark.parametrize(("more", "added"), [(1.5, 1.5), (20.0, 2.5)])
def test_further_noise_counts_up_to_a_fraction_of_the_flux(more, added):
    """250 ppm of 10,000 e-/s are 2.5; a star that varies from image to image by more does so."""
    error, header = measured(more)
    assert header["ERRREST"][0] == pytest.approx(added, rel=0.15)
    np.testing.assert_allclose(error, np.hypot(ERROR, added), rtol=0.08)
