"""Backgrounds of patches in which no sky is to be seen."""

import numpy as np

from tessphot_lib.background.patch_fit import fit_patch_background
from tessphot_lib.core.geometry import Window
from tessphot_lib.quality.light_curve_flags import has_straylight_at_star


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


def test_changes_of_a_sky_that_cannot_be_seen_are_seen():
    """As over the first day of sector 1 at pi Men, where the mission's background rises, too."""
    rng = np.random.default_rng(7)
    window = Window(900, 906, 410, 417)
    rows, columns = np.indices(window.shape)
    star = 2e5 * np.exp(-((rows - 2.2) ** 2 + (columns - 3.4) ** 2) / 6)
    sky = 75 + 57 * np.linspace(0, 1, 30) ** 0.5
    flux = star + sky[:, None, None] + rng.normal(0, 0.4, (30, *window.shape))
    good = np.ones(30, dtype=bool)
    model, _, _ = fit_patch_background(flux, window, 1.2 * star + 900.0, good)
    np.testing.assert_allclose(model[:, 0] - model[0, 0], sky - sky[0], atol=1.5)
    assert 40 < model[:, 0].min() < 60
    # So none of its images is one of stray light.
    assert not has_straylight_at_star(model[None, :, 0], 5.0).any()
