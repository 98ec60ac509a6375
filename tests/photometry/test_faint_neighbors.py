"""PRF fits beside faint variable neighbors: their variations are not the star's."""

import numpy as np
import pandas as pd
import pytest
from pixel_cube import open_cube

from tessphot_lib.core.aperture import Aperture, ApertureLight
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.settings import PhotometrySettings
from tessphot_lib.photometry.linpsf import measure_linpsf
from tessphot_lib.photometry.targets import StarList
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.prf.scene import scene_image

WINDOW = Window(700, 740, 1100, 1150)
PRF = generic_prf()
N_IMAGES = 40


@pytest.mark.parametrize("distance", [1.5, 2.0, 3.0])
def test_a_faint_variable_neighbor_does_not_leak(tmp_path, distance):
    """Fainter than photometry.linpsf.free_limit; by 21 to 48 % of its variation before."""
    known = pd.DataFrame(
        {
            "tic_id": [3, 5],
            "row": [718.3, 718.3 + 0.6 * distance],
            "column": [1122.6, 1122.6 + 0.8 * distance],
            "tmag": [14.0, 16.5],
        }
    )
    flux, change = flux_of(known["tmag"].to_numpy()), 0.3 * np.sin(np.arange(N_IMAGES))
    at = known["row"].to_numpy(), known["column"].to_numpy()
    images = [scene_image(PRF, WINDOW, *at, flux * [1, 1 + one]) for one in change]
    light = ApertureLight(1.0, 1.0, np.zeros(5))
    aperture = Aperture.whole(Window(715, 722, 1119, 1126))
    aperture = Aperture(aperture.window, aperture.mask, light=light)
    targets = StarList(known.iloc[:1].reset_index(drop=True), [aperture], known, PRF)
    with open_cube(tmp_path, WINDOW, np.array(images, dtype=np.float32), sky_error=0.1) as cube:
        found = measure_linpsf(cube, targets, None, PhotometrySettings()).flux[0]
    leak = np.polyfit(flux[1] * change, found, 1)[0]
    assert abs(leak) < 0.03
