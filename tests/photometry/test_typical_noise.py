"""Which image's errors are taken as typical."""

import numpy as np
import pytest

from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.noise_model import NoiseModel
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.photometry.typical_noise import typical_noise

REGION = Window(30, 32, 7, 10)


class Cube:
    """Errors of image k are k in all pixels of the region."""

    typical_image = property(PixelCube.typical_image.func)
    ccd_id = CcdId(14, 1, 1)

    def __init__(self, level, quality, missing=()):
        self.background_level = np.array(level, dtype=np.float32)
        self.quality = np.array(quality)
        errors = np.arange(float(len(level)))
        errors[list(missing)] = np.nan
        self.errors = np.repeat(errors, 6).reshape(-1, 2, 3)

    def read(self, name, region, cadences=slice(None)):
        assert (name, region) == ("flux_err", REGION)
        return self.errors[cadences]


def noise_of(*args, **kwargs):
    (noise,) = set(typical_noise(Cube(*args, **kwargs), REGION).ravel().tolist())
    return noise


def test_errors_are_those_under_the_median_sky():
    assert noise_of([500, 100, 90, 120, 80], [0] * 5) == 1.0


def test_bad_images_do_not_count():
    assert noise_of([500, 100, 90, 120, 80], [1, 1, 0, 0, 0]) == 2.0


def test_without_good_images_the_bad_ones_count():
    assert noise_of([500, 100, 90, 120, 80], [4] * 5) == 1.0


def test_an_image_that_lacks_the_region_is_replaced():
    assert noise_of([500, 100, 90, 120, 80], [0] * 5, missing=[0, 1]) == 3.0


class StampCube(Cube):
    """Two seconds of light in each cadence; pixels of the region have 0, 100 ... 500 e-/s."""

    ccd_id = CcdId(14, 1, 1, 120)
    noise = NoiseModel((4.0, 5.0, 6.0, 7.0), 0.5, "measured")

    def read(self, name, region, cadences=slice(None)):
        raise AssertionError("no cadence is to be read")

    def average_image(self, region):
        return 100.0 * np.arange(6.0).reshape(2, 3)

    def background_in(self, region, cadences):
        return self.background_level[cadences, None, None] * np.ones((1, 2, 3))


def test_errors_of_target_pixel_files_are_those_of_the_average_under_the_median_sky():
    noise = typical_noise(StampCube([500, 100, 90, 120, 80], [0] * 5), REGION)
    expected = np.sqrt(4.0 + 0.5 * (100 + 100 * np.arange(6).reshape(2, 3)))
    assert noise == pytest.approx(expected, rel=1e-6)
