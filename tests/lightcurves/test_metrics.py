"""Numbers of a light curve: those of white noise are known."""

import lightkurve
import numpy as np
import pytest
from scipy.signal import savgol_filter

from tessphot_lib.lightcurves.metrics import (
    CDPP_HOURS,
    _parabolas,
    cdpp,
    light_curve_diagnostics,
    rms_of_bins,
    savgol_cdpp,
)

NAMES = {"mean_flux", "variance", "rms_hour", "ptp", "variability"}
SIGMA = 0.003  # relative


def white_noise(cadence_seconds, n_cadences=60_000, mean=500.0):
    rng = np.random.default_rng(5)
    time = 1683.35 + np.arange(n_cadences) * cadence_seconds / 86400
    flux = mean * (1 + SIGMA * rng.standard_normal(n_cadences))
    return time, flux, np.full(n_cadences, mean * SIGMA)


@pytest.mark.parametrize(("cadence_seconds", "per_hour"), [(1800, 2), (600, 6), (200, 18)])
def test_white_noise(cadence_seconds, per_hour):
    time, flux, flux_err = white_noise(cadence_seconds, 20_000 * per_hour)
    result = light_curve_diagnostics(time, flux, flux_err, np.ones(len(time), dtype=bool))
    assert set(result) == NAMES
    assert result["mean_flux"] == pytest.approx(500.0, rel=1e-4)
    assert result["variance"] == pytest.approx(SIGMA**2, rel=0.02)
    # The mean of the points of an hour scatters less by the root of their number ...
    assert result["rms_hour"] == pytest.approx(SIGMA / np.sqrt(per_hour), rel=0.015)
    # ... and half of the differences of two points are below 0.6745 sqrt(2) sigma.
    assert result["ptp"] == pytest.approx(0.6745 * np.sqrt(2) * SIGMA, rel=0.02)
    assert result["variability"] == pytest.approx(1.0, rel=0.02)


def test_by_hand():
    time = np.array([0.0, 0.2, 0.4, 1.0, 1.2, 3.1]) / 24 + 2000.0
    flux = np.array([90.0, 100.0, 110.0, 120.0, 140.0, 100.0])
    good = np.array([True, True, True, True, True, False])
    result = light_curve_diagnostics(time, flux, np.full(6, 2.0), good)
    assert result["mean_flux"] == 110.0
    assert result["variance"] == pytest.approx(np.sum((flux[:5] - 112) ** 2) / 4 / 110**2)
    assert result["ptp"] == pytest.approx(10 / 110)
    # Means of the two hours: 100 and 130, 15 off their middle.
    assert result["rms_hour"] == pytest.approx(1.4826 * 15 / 110, rel=1e-4)


def test_slow_trend_is_not_variability():
    time, flux, flux_err = white_noise(1800, 1200)
    x = np.linspace(-1, 1, len(time))
    trend = 1 + 0.2 * x - 0.1 * x**2 + 0.15 * x**3
    good = np.ones(len(time), dtype=bool)
    assert light_curve_diagnostics(time, flux * trend, flux_err, good)["variability"] < 1.3
    wave = flux * (1 + 5 * SIGMA * np.sin(40 * x))
    result = light_curve_diagnostics(time, wave, flux_err, good)
    assert result["variability"] == pytest.approx(np.sqrt(1 + 25 / 2), rel=0.05)


def test_bad_and_missing_points_do_not_count():
    time, flux, flux_err = white_noise(1800, 300)
    good = np.ones(300, dtype=bool)
    kept = np.ones(300, dtype=bool)
    kept[[3, 50, 51, 200]] = False
    expected = light_curve_diagnostics(time[kept], flux[kept], flux_err[kept], good[kept])
    flux[[3, 50]], good[[51, 200]] = np.nan, False
    flux[[51, 200]] = 1e9
    assert light_curve_diagnostics(time, flux, flux_err, good) == expected


def test_scale_does_not_matter():
    time, flux, flux_err = white_noise(600, 2000)
    good = np.ones(2000, dtype=bool)
    once = light_curve_diagnostics(time, flux, flux_err, good)
    scaled = light_curve_diagnostics(time, 8 * flux, 8 * flux_err, good)
    assert scaled.pop("mean_flux") == pytest.approx(8 * once.pop("mean_flux"))
    assert scaled == pytest.approx(once, rel=1e-9)


@pytest.mark.parametrize("n_cadences", [0, 7])
def test_nothing_to_measure(n_cadences):
    nothing = np.full(n_cadences, np.nan)
    good = np.ones(n_cadences, dtype=bool)
    result = light_curve_diagnostics(np.arange(float(n_cadences)), nothing, nothing, good)
    assert set(result) == NAMES
    assert all(np.isnan(value) for value in result.values())


def test_negative_mean_gives_the_numbers_of_the_light_curve_upside_down():
    time, flux, flux_err = white_noise(1800, 400)
    good = np.ones(400, dtype=bool)
    upright = light_curve_diagnostics(time, flux, flux_err, good)
    inverted = light_curve_diagnostics(time, -flux, flux_err, good)
    assert inverted.pop("mean_flux") == -upright.pop("mean_flux")
    assert inverted == pytest.approx(upright, rel=1e-9)
    assert min(inverted.values()) > 0


@pytest.mark.parametrize("n_points", [2, 3, 4, 5])
def test_few_points_have_all_numbers(n_points):
    flux = np.array([5.0, 5.2, 4.9, 5.1, 5.0])[:n_points]
    time, good = np.arange(n_points) / 48, np.ones(n_points, dtype=bool)
    result = light_curve_diagnostics(time, flux, np.full(n_points, 0.1), good)
    assert all(np.isfinite(value) for value in result.values())
    assert result["variability"] > 0


@pytest.mark.parametrize("flux", [[5.0], [-1.0, 0.0, 1.0]])
def test_one_point_and_a_mean_of_zero_have_no_relative_numbers(flux):
    n_points = len(flux)
    good = np.ones(n_points, dtype=bool)
    result = light_curve_diagnostics(np.arange(n_points), np.array(flux), np.ones(n_points), good)
    assert result.pop("mean_flux") == flux[n_points // 2]
    assert all(np.isnan(value) for value in result.values())


def test_no_errors_no_variability():
    time, flux, _ = white_noise(1800, 50)
    result = light_curve_diagnostics(time, flux, np.full(50, np.nan), np.ones(50, dtype=bool))
    assert np.isnan(result["variability"])
    assert result["ptp"] > 0


def test_bins_of_nothing():
    assert np.isnan(rms_of_bins(np.zeros(0), np.zeros(0), 1 / 24))


@pytest.mark.parametrize("cadence_seconds", [1800, 600, 200, 700])
def test_cdpp_of_white_noise_is_that_of_a_mean(cadence_seconds):
    time, flux, _ = white_noise(cadence_seconds)
    result = cdpp(time, flux, np.ones(len(time), dtype=bool))
    assert list(result) == ["cdpp_0_5h", "cdpp_1h", "cdpp_2h", "cdpp_6h"]
    for name, hours in CDPP_HOURS.items():
        n_points = hours * 3600 / cadence_seconds
        assert result[name] == pytest.approx(1e6 * SIGMA / np.sqrt(n_points), rel=0.05)


def test_cdpp_by_hand():
    # Windows of one cadence; second differences of 0 0 3 0 0 1 0 are 3 -6 3 1 -2, their median
    # is 1, and they are off it by 2 7 2 0 3: 2 in the median.
    time = 2000.0 + np.arange(7) / 48
    flux = 100.0 * (1 + 1e-3 * np.array([0, 0, 3, 0, 0, 1, 0]))
    result = cdpp(time, flux, np.ones(7, dtype=bool))
    assert result["cdpp_0_5h"] == pytest.approx(1e6 * 1.482602 * 2e-3 / np.sqrt(6), rel=1e-6)
    assert np.isnan(result["cdpp_2h"])  # twelve cadences make three windows of 2 h


def test_cdpp_does_not_see_slow_variations_gaps_and_bad_points():
    time, flux, _ = white_noise(1800, 4000)
    good = np.ones(len(time), dtype=bool)
    alone = cdpp(time, flux, good)
    slow = cdpp(time, flux * (1 + 0.05 * np.sin(2 * np.pi * time / 13.0)), good)
    spoilt = flux.copy()
    good[1000:1050] = False
    good[::37] = False
    spoilt[~good] = 9e9
    spoilt[77] = np.nan
    with_gaps = cdpp(time, spoilt, good)
    for name in CDPP_HOURS:
        assert slow[name] == pytest.approx(alone[name], rel=0.1)
        assert with_gaps[name] == pytest.approx(alone[name], rel=0.1)
        assert cdpp(time, 7.5 * flux, np.ones(len(time), dtype=bool))[name] == pytest.approx(
            alone[name]
        )


@pytest.mark.parametrize("flux", [[], [5.0], [np.nan] * 9, [-3.0] * 9])
def test_cdpp_of_nothing_is_unknown(flux):
    flux = np.array(flux)
    result = cdpp(2000.0 + np.arange(len(flux)) / 48, flux, np.ones(len(flux), dtype=bool))
    assert all(np.isnan(value) for value in result.values())


def test_cdpp_needs_half_of_the_points_of_a_window():
    time = 2000.0 + np.arange(400) / 48
    flux = 1000 + np.random.default_rng(1).normal(0, 1, 400)
    # Of each 6 h, 12 cadences, the last 7 are bad: no window has half of its points.
    good = np.arange(400) % 12 < 5
    assert np.isnan(cdpp(time, flux, good)["cdpp_6h"])
    good = np.arange(400) % 12 < 6
    assert np.isfinite(cdpp(time, flux, good)["cdpp_6h"])


@pytest.mark.parametrize("cadence_seconds", [1800, 600])
def test_cdpp_by_savitzky_and_golay_is_that_of_lightkurve(cadence_seconds):
    """With the same widths: of a rotating star with a gap, missing points, a flare and a dip."""
    time, flux, _ = white_noise(cadence_seconds, 1200)
    flux = flux * (1 + 0.004 * np.sin(2 * np.pi * time / 2.9) + 1e-3 * np.sin(time))
    flux[300:303] *= 1.05
    flux[800:806] *= 0.985
    good = np.ones(1200, dtype=bool)
    good[600:660] = False
    flux[[5, 77, 78]] = np.nan
    shown = good & np.isfinite(flux)
    curve = lightkurve.LightCurve(time=time[shown], flux=flux[shown])
    length, width = round(21600 / cadence_seconds), 2 * round(90900 / cadence_seconds - 0.5) + 1
    expected = curve.estimate_cdpp(transit_duration=length, savgol_window=width).value
    assert savgol_cdpp(time, flux, good) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(
    ("n_points", "width"), [(5, 5), (900, 101), (1001, 1001), (1516, 1515), (4000, 1515)]
)
def test_parabolas_are_those_of_scipy(n_points, width):
    time, flux, _ = white_noise(120, n_points)
    values = flux / 500 + 0.1 * np.sin(time)
    expected = savgol_filter(values, width, 2)
    np.testing.assert_allclose(_parabolas(values, width), expected, rtol=1e-9)


def test_rotation_is_no_noise_for_savitzky_and_golay():
    time, flux, _ = white_noise(1800, 1250)
    good = np.ones(1250, dtype=bool)
    alone = savgol_cdpp(time, flux, good)
    # Parabolas over 101 points follow a part of the means of 12: 12 x 2.25 / 101 of the variance.
    of_white_noise = 1e6 * SIGMA / np.sqrt(12) * np.sqrt(1 - 12 * 2.25 / 101)
    assert alone == pytest.approx(of_white_noise, rel=0.1)
    spotted = flux * (1 + 0.08 * np.sin(2 * np.pi * time / 8.0))
    assert savgol_cdpp(time, spotted, good) == pytest.approx(alone, rel=0.1)
    assert cdpp(time, spotted, good)["cdpp_6h"] > 1.7 * alone
    assert savgol_cdpp(time, 7.5 * flux, good) == pytest.approx(alone)


@pytest.mark.parametrize("flux", [[], [5.0], [np.nan] * 99, [-3.0] * 99, list(range(1, 24))])
def test_cdpp_by_savitzky_and_golay_of_nothing_is_unknown(flux):
    flux = np.array(flux, dtype=float)
    time = 2000.0 + np.arange(len(flux)) / 48
    assert np.isnan(savgol_cdpp(time, flux, np.ones(len(flux), dtype=bool)))


def test_cdpp_by_savitzky_and_golay_of_a_constant_is_zero():
    time = 2000.0 + np.arange(400) / 48
    assert savgol_cdpp(time, np.full(400, 5.0), np.ones(400, dtype=bool)) < 1e-6


@pytest.mark.parametrize("step", [0.9, 1.5, 4.0])
def test_images_days_apart_have_no_cdpp_by_savitzky_and_golay(step):
    time = 2000.0 + step * np.arange(10)
    flux = 1000 + np.random.default_rng(1).normal(0, 1, 10)
    assert np.isnan(savgol_cdpp(time, flux, np.ones(10, dtype=bool)))


def test_sparse_images_have_no_noise_over_durations_between_them():
    """Eight images of 600 s over a sector, as cutouts of few images are: only days are known."""
    time, flux, _ = white_noise(600, 4000)
    few = slice(0, 4000, 500)
    good = np.ones(8, dtype=bool)
    assert all(np.isnan(value) for value in cdpp(time[few], flux[few], good).values())
    hourly = cdpp(time[::6], flux[::6], np.ones(len(time[::6]), dtype=bool))
    assert np.isnan(hourly["cdpp_0_5h"])
    assert hourly["cdpp_1h"] == pytest.approx(1e6 * SIGMA, rel=0.05)
