"""Backgrounds of patches in which no sky is to be seen."""

import numpy as np

from tessphot_lib.background.patch_fit import fit_patch_background
from tessphot_lib.core.geometry import Window


def test_sky_under_a_star_that_lights_all_pixels_is_not_negative():
    """pi Men, Tmag 5.1, in 6 x 6 pixels: more light was expected than there is, and -726 found."""
    rng = np.random.default_rng(6)
    window = Window(900, 906, 410, 417)
    rows, columns = np.indices(window.shape)
    star = 2e5 * np.exp(-((rows - 2.2) ** 2 + (columns - 3.4) ** 2) / 6)
    flux = star + 120.0 + rng.normal(0, 0.4, (30, *window.shape))
    good = np.ones(30, dtype=bool)
    model, _, _ = fit_patch_background(flux, window, 1.2 * star + 900.0, good)
    assert (model[:, 0] > -1).all()
    faint, _, _ = fit_patch_background(flux - star, window, np.zeros(window.shape), good)
    np.testing.assert_allclose(faint[:, 0], 120.0, atol=0.5)
