"""What is made of one image: flags of its pixels, and its share of the average image."""

import numpy as np
import pytest

from tessphot_lib.background.mesh_fit import SkySampler
from tessphot_lib.core.exposure import Exposure
from tessphot_lib.core.flags import PixelFlag
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.mesh import Mesh
from tessphot_lib.io.products.block_hdf5 import CubeBuffer
from tessphot_lib.preparation.exposure import flag_pixels
from tessphot_lib.steps.backgrounds import Block

WINDOW = Window(10, 80, 1500, 1560)  # science column 1536 is its column 36
MANUAL, ANOMALY = int(PixelFlag.MANUAL_EXCLUDE), int(PixelFlag.BACKGROUND_ANOMALY)


class Scene:
    """As much of `FieldOfStars` as flags need."""

    window = WINDOW
    mask = np.zeros(WINDOW.shape, dtype=bool)
    sampler = SkySampler.from_mask(Mesh.over(WINDOW, 64), mask)
    anomaly_limit = 12.0
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
    flags = flag_pixels(image, np.full(WINDOW.shape, 100.0), Scene)
    expected = np.zeros(WINDOW.shape, dtype=np.uint8)
    expected[:, 36:] = MANUAL if is_out else 0
    np.testing.assert_array_equal(flags, expected)


def test_all_reasons_at_once():
    flux = np.full(WINDOW.shape, 100.0, dtype=np.float32)
    flux[20:40, 10:50] += 50.0
    flux[5, 7] = 1e5
    flags = flag_pixels(exposure(flux, 4700, CcdId(1, 1, 4)), np.full(WINDOW.shape, 100.0), Scene)
    assert flags[30, 20] == ANOMALY
    assert flags[30, 40] == ANOMALY | MANUAL
    assert flags[60, 40] == MANUAL
    assert flags[5, 7] & int(PixelFlag.SATURATED)


def test_foreign_light_does_not_get_into_the_average():
    block = Block(Scene, CubeBuffer(Window(0, 2, 0, 3), 2, 0.0))
    light = np.array([[1.0, 2.0, np.nan], [4.0, 5.0, 6.0]])
    flags = np.array([[0, ANOMALY, 0], [MANUAL, int(PixelFlag.SATURATED), ANOMALY | 8]], np.uint8)
    block.add(light, flags)
    block.add(10 * light, np.zeros((2, 3), dtype=np.uint8))
    np.testing.assert_array_equal(block.flux_sum, [[11.0, 20.0, 0.0], [40.0, 55.0, 60.0]])
    np.testing.assert_array_equal(block.flux_count, [[2, 1, 0], [1, 2, 1]])
