"""Pixels that single images lack, in the background of a patch."""

import numpy as np
import pytest

from tessphot_lib.background.patch_fit import fit_patch_background
from tessphot_lib.core.geometry import Window

WINDOW = Window(900, 908, 410, 419)


def patch():
    """A star in the upper rows, a sky that hardly changes, and noise: 60 images."""
    rng = np.random.default_rng(8)
    rows, columns = np.indices(WINDOW.shape)
    star = 3000 * np.exp(-((rows - 5.2) ** 2 + (columns - 3.4) ** 2) / 2.5)
    sky = 120 + np.sin(np.arange(60) / 9)
    return star, star + sky[:, None, None] + rng.normal(0, 1.0, (60, *WINDOW.shape))


@pytest.mark.parametrize("n_rows", [1, 4, 7])
def test_rows_that_one_image_lacks_change_no_other(n_rows):
    """The sky of all images was 0.7 e-/s off in the real stamp of a star of sector 8."""
    star, flux = patch()
    good = np.ones(60, dtype=bool)
    whole, *_ = fit_patch_background(flux, WINDOW, star, good)
    flux[20, :n_rows] = np.nan
    model, *_ = fit_patch_background(flux, WINDOW, star, good)
    others = np.arange(60) != 20
    np.testing.assert_allclose(model[others, 0], whole[others, 0], rtol=0, atol=0.1)


def test_pixels_that_all_images_lack_do_not_count():
    star, flux = patch()
    flux[:, :, 6:] = np.nan
    flux[7, 0, 0] = np.nan
    model, *_ = fit_patch_background(flux, WINDOW, star, np.ones(60, dtype=bool))
    assert np.isfinite(model[:, 0]).all()
    np.testing.assert_allclose(model[:, 0], 120 + np.sin(np.arange(60) / 9), rtol=0, atol=2.0)
