"""Magnitudes and fluxes, by Pogson's definition."""

import numpy as np
import pytest

from tessphot_lib.core.magnitudes import flux_of, flux_ratio, magnitude_of


def test_five_magnitudes_are_a_factor_of_a_hundred():
    assert flux_ratio(5.0) == pytest.approx(100.0)
    assert flux_ratio(np.array([-2.5, 0.0])) == pytest.approx([0.1, 1.0])


def test_flux_by_the_zero_point():
    """Tmag 10 gives 15000 e-/s (TESS Instrument Handbook), 20.44 gives 1."""
    assert flux_of(20.44) == 1.0
    assert flux_of(np.array([10.0, np.nan])) == pytest.approx(
        [15000, np.nan], rel=0.01, nan_ok=True
    )
    assert flux_of(10.0, 12.5) == pytest.approx(10.0)


def test_magnitude_is_the_inverse():
    tmag = np.array([-1.4, 6.8, 15.0])
    np.testing.assert_allclose(magnitude_of(flux_of(tmag, 20.1), 20.1), tmag)
