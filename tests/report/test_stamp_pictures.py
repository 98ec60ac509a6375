"""Pictures of stamps: where the stars of the average image are."""

import numpy as np
import pytest

from tessphot_lib.core.geometry import Window
from tessphot_lib.report.pictures import new_figure
from tessphot_lib.report.stamp_pictures import show_image, usual_offset


@pytest.mark.parametrize("size", [(5, 7), (20, 20)])
def test_ticks_are_at_a_few_whole_pixels(size):
    axes = new_figure(figsize=(4, 4)).subplots()
    window = Window(1551, 1551 + size[0], 1935, 1935 + size[1])
    show_image(axes, window, np.zeros(size))
    for ticks in (axes.get_xticks(), axes.get_yticks()):
        assert len(ticks) <= 8
        np.testing.assert_array_equal(ticks, np.round(ticks))


def test_images_of_another_pointing_do_not_move_the_stars_of_the_average():
    """Those 1.9 pixels away are read from two pixels away."""
    motion = np.array([0.01, 0.02, 0.03, 0.02, 1.92, 1.93, np.nan])
    assert usual_offset(motion) == pytest.approx(0.015)
    assert usual_offset(motion[:4]) == pytest.approx(0.02)
    assert usual_offset(motion[6:]) == 0
