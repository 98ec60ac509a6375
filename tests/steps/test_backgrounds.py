"""What is made of one image: flags of its pixels."""

import numpy as np
import pytest

from tessphot_lib.background.mesh_fit import SkySampler
from tessphot_lib.core.exposure import Exposure
from tessphot_lib.core.flags import PixelFlag
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.mesh import Mesh
from tessphot_lib.preparation.exposure import flag_pixels

WINDOW = Window(10, 80, 1500, 1560)  # science column 1536 is its column 36
MANUAL, SATURATED = int(PixelFlag.MANUAL_EXCLUDE), int(PixelFlag.SATURATED)


class Scene:
    """As much of `FieldOfStars` as flags need."""

    window = WINDOW
    mask = np.zeros(WINDOW.shape, dtype=bool)
    sampler = SkySampler.from_mask(Mesh.over(WINDOW, 64), mask)
    saturation = 9e4


def exposure(flux, cadenceno, ccd_id):
    return Exposure(
        ccd_id=ccd_id,
        window=WINDOW,
        flux=flux,
        flux_err=np.ones_like(flux),
        time_start=0.0,
        time_stop=0.02,
        timecorr=0.0,
        cadenceno=cadenceno,
        quality=0,
        exposure_time=1425.6,
    )


@pytest.mark.parametrize(
    ("cadenceno", "ccd", "is_out"), [(4724, 4, True), (4725, 4, False), (4724, 3, False)]
)
def test_columns_that_mars_shines_on(cadenceno, ccd, is_out):
    flux = np.full(WINDOW.shape, 100.0, dtype=np.float32)
    image = exposure(flux, cadenceno, CcdId(1, 1, ccd))
    flags = flag_pixels(image, Scene)
    expected = np.zeros(WINDOW.shape, dtype=np.uint8)
    expected[:, 36:] = MANUAL if is_out else 0
    np.testing.assert_array_equal(flags, expected)


def test_all_reasons_at_once():
    flux = np.full(WINDOW.shape, 100.0, dtype=np.float32)
    flux[5, 7] = flux[60, 40] = 1e5
    flags = flag_pixels(exposure(flux, 4700, CcdId(1, 1, 4)), Scene)
    assert flags[30, 40] == MANUAL
    assert flags[60, 40] & MANUAL and flags[60, 40] & SATURATED
    assert flags[5, 7] & SATURATED
    assert flags[30, 20] == 0
