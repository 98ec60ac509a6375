"""The motion of the average image is that of the images it is made of."""

import numpy as np
import pytest
from pixel_cube import open_cube

from tessphot_lib.core.flags import CadenceFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.photometry.average_positions import mean_motion

WINDOW = Window(100, 112, 200, 215)
MOTION = np.zeros((6, 6))
MOTION[:, 0], MOTION[:, 3] = [0.0, 0.1, 0.2, 0.3, 0.4, np.nan], [1.0, 3.0, 2.0, 5.0, 4.0, 0.0]
QUALITY = np.array([0, 0, int(CadenceFlag.STARS_CHANGED), 0, int(CadenceFlag.NO_DATA), 0])


@pytest.mark.parametrize(
    ("is_averaged", "expected"),
    # Image 2 was found to be blurred when the average image was made, 3 has a bright sky there.
    [([True, True, True, False, False, True], (0.1, 2.0)), (None, (0.4 / 3, 3.0))],
    ids=["averaged", "not known"],
)
def test_mean_motion_is_of_the_images_averaged(tmp_path, is_averaged, expected):
    averaged = None if is_averaged is None else np.array(is_averaged)
    given = {"motion": MOTION, "quality": QUALITY, "is_averaged": averaged}
    with open_cube(tmp_path, WINDOW, np.ones((6, *WINDOW.shape)), **given) as cube:
        found = mean_motion(cube)
        if is_averaged is not None:
            assert cube.is_averaged().tolist() == is_averaged
    np.testing.assert_allclose(found[[0, 3]], expected)
