"""PRF fits beside a star that no list has: its light moves, and slopes of pixels are rough."""

import numpy as np
import pandas as pd
import pytest
from pixel_cube import open_cube

from tessphot_lib.core.aperture import Aperture, ApertureLight
from tessphot_lib.core.flags import PixelFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.settings import PhotometrySettings
from tessphot_lib.photometry.linpsf import measure_linpsf
from tessphot_lib.photometry.targets import StarList
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.prf.scene import scene_image

WINDOW = Window(700, 724, 1100, 1126)
PRF = generic_prf()
N_IMAGES = 160
FLUX = flux_of(np.array([12.0, 10.0]))  # the second one is not listed


def measured(tmp_path, change, distance):
    """Fluxes of the listed star, in images that move by 20 mpx, with noise of the pixels."""
    rng = np.random.default_rng(7)
    row, column = np.array([711.3, 711.3 + distance]), np.array([1112.6, 1112.6 + 0.7 * distance])
    motion = np.zeros((N_IMAGES, 6))
    motion[:, [0, 3]] = rng.normal(0, 0.02, (N_IMAGES, 2))
    images = [
        scene_image(PRF, WINDOW, row + moved[0], column + moved[3], FLUX * [1 + more, 1])
        for moved, more in zip(motion, change, strict=True)
    ]
    flux = np.array(images) + rng.normal(0, 0.3, (N_IMAGES, *WINDOW.shape))
    known = pd.DataFrame({"tic_id": [3], "row": row[:1], "column": column[:1], "tmag": [12.0]})
    aperture = Aperture.whole(Window(708, 715, 1109, 1116))
    light = ApertureLight(1.0, 1.0, np.zeros(5))
    targets = StarList(known, [Aperture(aperture.window, aperture.mask, light=light)], known, PRF)
    with open_cube(tmp_path, WINDOW, flux.astype(np.float32), motion=motion, sky_error=0.1) as cube:
        return measure_linpsf(cube, targets, None, PhotometrySettings()).flux[0], motion


@pytest.mark.parametrize("distance", [1.5, 2.0])
def test_light_of_an_unlisted_star_does_not_follow_the_motion(tmp_path, distance):
    flux, motion = measured(tmp_path, np.zeros(N_IMAGES), distance)
    slopes = np.linalg.lstsq(motion[:, [0, 3]], flux - flux.mean(), rcond=None)[0]
    assert (np.abs(slopes) < 0.01 * FLUX[0]).all()


def test_a_variable_star_beside_it_keeps_its_variation(tmp_path):
    change = 0.02 * np.sin(np.arange(N_IMAGES) / 4)
    flux, _ = measured(tmp_path, change, 2.0)
    assert np.polyfit(change * FLUX[0], flux, 1)[0] == pytest.approx(1, abs=0.05)


def test_pixels_flagged_as_foreign_light_do_not_count(tmp_path):
    """The last images have a reflection some pixels beside the star, which is flagged there."""
    row, column = np.array([711.3]), np.array([1112.6])
    image = scene_image(PRF, WINDOW, row, column, FLUX[:1])
    flux = np.repeat(image[None], 20, axis=0)
    foreign = np.zeros(flux.shape, dtype=bool)
    foreign[15:, :, 18:] = True
    flags = (foreign * int(PixelFlag.BACKGROUND_ANOMALY)).astype(np.uint8)
    flux += 30.0 * foreign
    known = pd.DataFrame({"tic_id": [3], "row": row, "column": column, "tmag": [12.0]})
    aperture = Aperture.whole(Window(708, 715, 1109, 1116))
    light = ApertureLight(1.0, 1.0, np.zeros(5))
    targets = StarList(known, [Aperture(aperture.window, aperture.mask, light=light)], known, PRF)
    cube = {"pixel_flags": flags, "average_image": image, "sky_error": 0.1}
    with open_cube(tmp_path, WINDOW, flux.astype(np.float32), **cube) as opened:
        found = measure_linpsf(opened, targets, None, PhotometrySettings())
    assert found.flux[0] == pytest.approx(found.flux[0, 0], rel=1e-4)
    assert (found.pixel_flags == 0).all()
