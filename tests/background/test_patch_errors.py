"""fit_patch_background(): its errors are those that backgrounds have from image to image."""

import numpy as np
import pytest

from tessphot_lib.background.patch_fit import fit_patch_background
from tessphot_lib.core.geometry import Window

WINDOW = Window(40, 53, 200, 211)
NOISE = 0.4  # [e-/s]


@pytest.mark.parametrize("star", [0.0, 3000.0])
def test_errors_are_the_scatter_of_the_level(star):
    rng = np.random.default_rng(5)
    row, column = np.indices(WINDOW.shape)
    # Wings over the whole stamp: by the weights, errors would be 2.4 times as large.
    light = star / (1 + ((row - 5.2) ** 2 + (column - 4.1) ** 2) / 4.0) ** 1.5
    flux = 100.0 + light + rng.normal(0, NOISE, (300, *WINDOW.shape))
    model, error, _ = fit_patch_background(
        flux, WINDOW, np.zeros(WINDOW.shape), np.ones(300, dtype=bool)
    )
    assert np.median(error) == pytest.approx(np.std(model[:, 0]), rel=0.15)
