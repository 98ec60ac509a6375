"""Errors of pixels by photon and read noise, and which stated errors are believed."""

from dataclasses import replace

import numpy as np
import pytest

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.noise_model import NoiseModel, is_sane

# Over the border of outputs A and B; not square.
WINDOW = Window(100, 103, 510, 514)
MODEL = NoiseModel((0.04, 0.01, 0.09, 0.16), 6e-4, "images")


def test_variance_is_read_noise_of_the_output_and_photons():
    flux = np.full((2, *WINDOW.shape), 100.0, dtype=np.float32)
    flux[1, 2, 3], flux[0, 0, 0], flux[1, 0, 2] = 1e4, -50.0, np.nan
    sigma = MODEL.sigma(flux, WINDOW)
    np.testing.assert_allclose(sigma[0, 1], np.sqrt([0.1, 0.1, 0.07, 0.07]), rtol=1e-6)
    assert sigma[1, 2, 3] == pytest.approx(np.sqrt(6.01))
    assert sigma[0, 0, 0] == pytest.approx(0.2)  # no light, no photon noise
    assert np.isnan(sigma[1, 0, 2])


def test_expected_noise_of_half_an_hour():
    # 900 exposures of 1.98 s, 9 e- each, and the 2.6 % that dropping two of ten costs.
    model = NoiseModel.expected(1800.0)
    sky = model.sigma(np.full((1, 1), 150.0), Window(0, 1, 0, 1))[0, 0]
    assert sky == pytest.approx(1.026 * np.sqrt(150 / 1782 + 900 * 81 / 1782**2), rel=1e-5)
    assert model.source == "formula"
    noisy = NoiseModel.expected(1800.0, [18.0, 9.0, 9.0, 9.0])
    assert noisy.read[0] == pytest.approx(4 * model.read[0])
    assert noisy.read[1:] == pytest.approx(model.read[1:])


def test_no_exposures_are_left_out_of_20_s():
    """10 exposures of 1.98 s; of 120 s the brightest and faintest of ten are left out."""
    sky = np.full((1, 1), 150.0)
    short, long = (NoiseModel.expected(s).sigma(sky, Window(0, 1, 0, 1))[0, 0] for s in (20, 120))
    assert short == pytest.approx(np.sqrt(150 / 19.8 + 10 * 81 / 19.8**2), rel=1e-5)
    assert short / long == pytest.approx(np.sqrt(6) / 1.026, rel=1e-5)


@pytest.mark.parametrize("absurd", [0.0, np.nan, -1.0, 1e10, np.inf])
def test_stated_errors_that_make_no_sense_are_replaced(absurd):
    flux = np.full(WINDOW.shape, 200.0, dtype=np.float32)
    stated = 1.5 * MODEL.sigma(flux, WINDOW)
    stated[1, 2] = absurd
    found = MODEL.errors(stated, flux, WINDOW)
    assert found[1, 2] == MODEL.sigma(flux, WINDOW)[1, 2]
    others = np.ones(WINDOW.shape, dtype=bool)
    others[1, 2] = False
    np.testing.assert_array_equal(found[others], stated[others])
    measured = replace(MODEL, source="pixels")
    np.testing.assert_array_equal(measured.errors(stated, flux, WINDOW), MODEL.sigma(flux, WINDOW))


def test_sane_errors_are_within_a_factor_of_five():
    expected = np.array([0.4, 0.4, 0.4, 0.4])
    found = is_sane(np.array([0.07, 0.09, 1.9, 2.1]), expected)
    np.testing.assert_array_equal(found, [False, True, True, False])


@pytest.mark.parametrize("where", ["all", "one"])
def test_absurdly_large_errors_do_not_round_fluxes_away(where):
    flux = np.full((40, 50), 180.0, dtype=np.float32)
    window = Window(0, 40, 600, 650)
    flux[3, 7] = 5e4
    stated = MODEL.sigma(flux, window)
    assert MODEL.for_rounding(stated, flux, window) is stated
    stated = np.full_like(stated, 30.0) if where == "all" else stated.copy()
    stated[11, 13] = 1e9
    allowed = MODEL.for_rounding(stated, flux, window)
    assert allowed[11, 13] == pytest.approx(5 * MODEL.sigma(flux, window)[11, 13])
    assert (allowed <= 5.001 * MODEL.sigma(flux, window)).all()


def test_errors_of_an_image_without_data_are_left_alone():
    flux = np.full((9, 9), np.nan, dtype=np.float32)
    assert MODEL.for_rounding(flux, flux, Window(0, 9, 0, 9)) is flux


def test_a_model_is_kept_as_text():
    model = replace(MODEL, faint=1.5, n_pixels=12, motion=1e-3)
    again = NoiseModel.from_json(model.to_json())
    assert again.read == model.read
    assert (again.faint, again.n_pixels, again.motion) == (1.5, 12, 1e-3)
    assert np.isnan(again.bright)
