"""Pictures of stamps: where the stars of the average image are."""

import numpy as np
import pytest

from tessphot_lib.report.stamp_pictures import usual_offset


def test_images_of_another_pointing_do_not_move_the_stars_of_the_average():
    """Those 1.9 pixels away are read from two pixels away."""
    motion = np.array([0.01, 0.02, 0.03, 0.02, 1.92, 1.93, np.nan])
    assert usual_offset(motion) == pytest.approx(0.015)
    assert usual_offset(motion[:4]) == pytest.approx(0.02)
    assert usual_offset(motion[6:]) == 0
