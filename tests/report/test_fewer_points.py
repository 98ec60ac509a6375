"""Fewer points on the pages of the report: what an astronomer sees is still there."""

from types import SimpleNamespace

import numpy as np
import pytest

from tessphot_lib.report.site.fewer_points import (
    MOST_POINTS,
    extremes_kept,
    means,
    points_per_mean,
    some_of_each,
)
from tessphot_lib.report.site.figures import flags_figure, series_figure
from tessphot_lib.report.site.star import _series


def test_up_to_the_limit_all_points_are_drawn():
    assert points_per_mean(0) == points_per_mean(MOST_POINTS) == 1
    assert points_per_mean(MOST_POINTS + 1) == 2
    values = np.array([4.0, np.nan, 7.5])
    np.testing.assert_array_equal(means(np.arange(3), 1, values), values)


def test_means_by_hand_do_not_reach_over_a_gap_and_skip_what_is_unknown():
    cadenceno = np.array([7, 8, 9, 10, 11, 300, 301, 304])
    values = np.array([1.0, 2.0, np.nan, 6.0, 5.0, np.nan, np.nan, 9.0])
    np.testing.assert_array_equal(means(cadenceno, 4, values), [1.0, 13 / 3, np.nan, 9.0])


def test_of_flagged_points_the_rare_ones_are_kept():
    kind = np.full(90_000, 3, dtype=np.uint16)
    kind[[5, 40_001, 89_999]] = 1
    kind[20_000:22_000] = 2
    kept = some_of_each(kind)
    assert (np.diff(kept) > 0).all()
    assert np.bincount(kind[kept])[1:3].tolist() == [3, 2000]
    assert 0.8 * MOST_POINTS < len(kept) <= MOST_POINTS
    assert len(some_of_each(kind[:0])) == 0
    np.testing.assert_array_equal(some_of_each(kind[:4000]), np.arange(4000))


@pytest.mark.parametrize("n_points", [0, 17, 3 * MOST_POINTS])
def test_spectrum_of_few_points_is_whole(n_points):
    np.testing.assert_array_equal(extremes_kept(np.ones(n_points)), np.arange(n_points))


def test_each_peak_of_a_long_spectrum_is_where_it_was():
    values = np.random.default_rng(3).rayleigh(1.0, 119_607)
    peaks = [11, 4_999, 5_000, 60_000, 119_606]
    values[peaks] = 40.0
    kept = extremes_kept(values)
    assert len(kept) <= 3 * MOST_POINTS
    assert (np.diff(kept) > 0).all()
    assert set(peaks) <= set(kept.tolist())
    assert int(values.argmin()) in kept


def test_many_cadences_of_a_star_are_drawn_as_means_and_flagged_ones_by_themselves():
    number = np.arange(20_000)
    trend = 2e5 + 0.01 * number
    flux = trend + np.where(number % 2, 300.0, -300.0)
    quality = np.where(number == 777, 4, 0)
    flux[777] = 5e5
    curve = SimpleNamespace(
        time=1683 + number / 4320,
        cadenceno=number + 9_000_000,
        quality=quality,
        pixel_quality=quality,
        **dict.fromkeys(("flux", "flux_corr", "background"), flux),
        **dict.fromkeys(("centroid_row", "centroid_column"), trend / 1e5),
    )
    plot = _series(curve).children[1]
    labels = [item.label.value for item in plot.legend[0].items]
    assert labels == ["flux, flagged", "flux, means of 4 cadences"]
    flagged, good = (renderer.data_source.data for renderer in plot.renderers)
    assert flagged["flux"].tolist() == [5e5]
    assert len(good["flux"]) == 5000
    assert good["flux"].dtype == np.float32
    np.testing.assert_allclose(
        good["flux"][5:9], trend[20:36].reshape(4, 4).mean(axis=1), atol=0.02
    )
    np.testing.assert_allclose(good["x"][5], curve.time[20:24].mean(), atol=1e-9)


def test_many_images_are_drawn_as_means():
    time = 1683 + np.arange(12_000) / 4320
    level = 100 + np.arange(12_000.0)
    plot = series_figure("Background level", "e-/s", time, {"level": level})
    assert plot.title.text == "Background level, means of 3 images"
    np.testing.assert_allclose(plot.renderers[0].data_source.data["level"][:2], [101, 104])
    flagged = flags_figure(time, {"dump": np.isin(np.arange(12_000), [30, 31, 32, 33, 900])})
    np.testing.assert_allclose(
        flagged.renderers[0].data_source.data["x"], [time[31], time[33], time[900]]
    )
