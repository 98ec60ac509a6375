"""The picture of a light curve."""

import numpy as np

from tessphot_lib.report.pictures import new_figure
from tessphot_lib.report.star_picture import _draw_series, _in_ppm


class Curve:
    """Of which half is flagged, wherever a legend could be put."""

    time = np.linspace(1683.0, 1684.0, 200)
    quality = np.tile([0, 1], 100)
    pixel_quality = np.tile([0, 32], 100)


def test_legend_is_above_the_points_not_on_them():
    figure = new_figure(figsize=(8, 3))
    axes = figure.subplots()
    flux = np.random.default_rng(3).uniform(0, 1, 200)
    _draw_series(axes, Curve(), flux, Curve.quality == 0, "FLUX_RAW")
    figure.draw_without_rendering()
    assert axes.get_legend().get_window_extent().y0 >= axes.bbox.y1


def test_noise_that_is_not_known_is_no_number():
    assert (_in_ppm(140.8), _in_ppm(None)) == ("141 ppm", "not known")
