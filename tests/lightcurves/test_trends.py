"""Trends: what all stars do is found, what one star does is not."""

import numpy as np
import pytest

from tessphot_lib.lightcurves.correction import correct_flux, motion_regressors
from tessphot_lib.lightcurves.trends import MIN_STARS, Trends, find_trends

N_STARS, N_CADENCES = 90, 500
NOISE = 3e-4


def stars(seed=1, trend_size=8e-4, n_stars=N_STARS, n_cadences=N_CADENCES):
    """Light curves with a gain that drifts, more so at large rows; some stars are variable."""
    rng = np.random.default_rng(seed)
    time = 1683.0 + np.arange(n_cadences) / 48
    row, column = rng.uniform(0, 2048, (2, n_stars))
    trend = np.sin(2 * np.pi * (time - 1683) / 9.0) + 0.3 * rng.standard_normal(n_cadences)
    trend /= np.std(trend)
    loading = trend_size * (1 + row / 2048)
    pos = 0.02 * rng.standard_normal((2, n_cadences))
    flux = 1 + loading[:, None] * trend + NOISE * rng.standard_normal((n_stars, n_cadences))
    flux += 0.05 * pos[0] * rng.uniform(-1, 1, (n_stars, 1))
    for index in range(0, n_stars, 10):
        flux[index] += 0.02 * np.sin(2 * np.pi * time / (0.3 + 0.1 * index))
    level = 10 ** rng.uniform(3, 4.5, (n_stars, 1))
    good = rng.random((n_stars, n_cadences)) > 0.02
    good[:, 100:110] = False
    return (
        {
            "time": time,
            "flux": level * flux,
            "flux_err": level * NOISE * np.ones_like(flux),
            "good": good,
            "pos_row": np.tile(pos[0], (n_stars, 1)),
            "pos_column": np.tile(pos[1], (n_stars, 1)),
            "tic_id": 1000 + np.arange(n_stars),
            "row": row,
            "column": column,
        },
        trend,
        loading,
    )


def test_one_trend_is_found_with_the_loading_of_each_star():
    data, trend, loading = stars()
    found = find_trends(**data, max_trends=4)
    assert found.n_trends == 1
    assert len(found.tic_id) == N_STARS - 9  # without the variable ones
    known = np.isfinite(found.vectors[:, 0])
    assert known.sum() == N_CADENCES - 10
    assert np.corrcoef(found.vectors[known, 0], trend[known])[0, 1] > 0.995
    index = found.tic_id - 1000
    np.testing.assert_allclose(found.loadings[:, 0], loading[index], rtol=0.15)
    expected = found.regressors_at(1800.0, 300.0, 0)
    near = loading[index][
        np.argsort(np.hypot(data["row"][index] - 1800, data["column"][index] - 300))
    ]
    assert expected.prior_mean[0] == pytest.approx(np.median(near[:25]), rel=0.1)
    assert 0 < expected.prior_sigma[0] < 0.3 * expected.prior_mean[0]


def test_the_trend_is_taken_off_another_star():
    data, trend, _ = stars()
    found = find_trends(**data, max_trends=4)
    rng = np.random.default_rng(77)
    signal = 3e-3 * np.sin(2 * np.pi * data["time"] / 5.0 + 0.4)
    flux = 5e3 * (1 + 1.2e-3 * trend + signal + NOISE * rng.standard_normal(N_CADENCES))
    motion = motion_regressors(data["pos_row"][0], data["pos_column"][0])
    regressors = motion.joined(found.regressors_at(1024.0, 1024.0, 5))
    corrected = correct_flux(
        data["time"], flux, np.full(N_CADENCES, 5e3 * NOISE), np.ones(N_CADENCES, bool), regressors
    ).flux
    known = np.isfinite(corrected)
    left = corrected[known] - 1e6 * signal[known]
    assert np.std(left) < 1.15e6 * NOISE
    design = np.column_stack([signal[known], np.ones(known.sum())])
    kept = np.linalg.lstsq(design, 1e-6 * corrected[known], rcond=None)[0][0]
    assert kept == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("seed", range(5))
def test_noise_and_variable_stars_have_no_trend_in_common(seed):
    data, *_ = stars(seed, trend_size=0.0)
    found = find_trends(**data, max_trends=4)
    assert found.n_trends == 0
    assert "no trend" in found.remark
    assert found.vectors.shape == (N_CADENCES, 0)


@pytest.mark.parametrize("seed", range(3))
def test_many_components_of_few_images_correlate_by_chance(seed):
    """Of 8 components in 55 images some agree to 0.6 and more, whatever they are of."""
    data, *_ = stars(seed, trend_size=0.0, n_cadences=65)
    found = find_trends(**data, max_trends=8)
    assert "no trend" in found.remark
    data, *_ = stars(seed, trend_size=5e-3, n_cadences=65)
    assert find_trends(**data, max_trends=8).n_trends >= 1


@pytest.mark.parametrize("seed", range(3))
def test_spotted_stars_have_no_trend_in_common(seed):
    """Independent rotators with 9 to 14 d: slow, and each like some of the others."""
    rng = np.random.default_rng(seed)
    data, *_ = stars(seed, trend_size=0.0, n_cadences=1200)
    period = rng.uniform(9, 14, (N_STARS, 1))
    phase = 2 * np.pi * (data["time"] / period + rng.random((N_STARS, 1)))
    spots = 10 ** rng.uniform(-3.5, -2.7, (N_STARS, 1)) * np.sin(phase)
    found = find_trends(**data | {"flux": data["flux"] * (1 + spots)}, max_trends=4)
    assert found.n_trends == 0


def test_few_stars_or_images_have_no_trends():
    data, *_ = stars(n_stars=MIN_STARS - 1)
    assert f"{MIN_STARS} are needed" in find_trends(**data, max_trends=4).remark
    data, *_ = stars(n_cadences=35)
    assert find_trends(**data, max_trends=4).n_trends == 0
    data, *_ = stars()
    data["good"][:] = False
    assert "0 quiet stars" in find_trends(**data, max_trends=4).remark


def test_a_star_does_not_tell_about_itself():
    data, *_ = stars()
    found = find_trends(**data, max_trends=4)
    star = found.tic_id[3]
    at = found.row[3], found.column[3]
    with_itself = found.regressors_at(*at, 0)
    without = found.regressors_at(*at, star)
    assert with_itself.prior_mean[0] != without.prior_mean[0]


def test_expected_coefficients_are_those_of_the_nearest_stars():
    """Median and 1.4826 x median absolute deviation of 25; farther ones do not count."""
    n_stars = 60
    loadings = np.where(np.arange(n_stars) < 25, np.arange(n_stars) - 12.0, 1e3)[:, None]
    vectors = np.ones((4, 1))
    found = Trends(
        vectors, np.arange(n_stars), np.arange(n_stars) + 0.0, np.zeros(n_stars), loadings
    )
    at_first = found.regressors_at(-3.0, 0.0, -1)
    assert at_first.prior_mean.tolist() == [0.0]
    assert at_first.prior_sigma[0] == pytest.approx(1.4826 * 6, rel=1e-4)
    assert at_first.values is vectors


def test_all_stars_may_scatter_more_than_their_errors():
    """Errors that are too small by a factor of three leave the same stars quiet."""
    data, *_ = stars()
    expected = find_trends(**data, max_trends=4)
    data["flux_err"] /= 3
    found = find_trends(**data, max_trends=4)
    assert found.tic_id.tolist() == expected.tic_id.tolist()
    assert found.n_trends == 1


def test_stars_without_errors_tell_no_trends():
    data, _, _ = stars()
    data["flux_err"][:20] = np.nan
    assert not set(find_trends(**data, max_trends=4).tic_id) & set(range(1000, 1020))
    data["flux_err"][:] = np.nan
    assert find_trends(**data, max_trends=4).remark.startswith("0 quiet stars")


def test_trends_are_unknown_where_most_stars_are():
    data, _, _ = stars()
    data["good"][: int(0.7 * N_STARS), 200:205] = False
    found = find_trends(**data, max_trends=4)
    assert np.isnan(found.vectors[200:205]).all()
    assert np.isfinite(found.vectors[205:]).all()
