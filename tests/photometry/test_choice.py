"""Which method suits a star, and who is left to a brighter one."""

import numpy as np
import pytest

from tessphot_lib.core.settings import FITTING_METHODS, METHODS, AutoSettings
from tessphot_lib.photometry.choice import (
    APERTURE,
    DEFAULT_METHOD,
    HALO,
    LINPSF,
    choose_methods,
    is_left_out,
)

LIMITS = AutoSettings(
    halo_always=2.5, halo_limit=5.5, halo_edge_fraction=0.02, linpsf_contamination=0.3
)


@pytest.mark.parametrize(
    ("tmag", "contamination", "edge_share", "method"),
    [
        (2.5, 0.0, 0.0, "halo"),
        (2.6, 0.0, 0.0, "aperture"),
        (5.4, 0.0, 0.021, "halo"),
        (5.4, 0.9, 0.021, "halo"),
        (5.4, 0.0, 0.02, "aperture"),
        (5.5, 0.0, 0.5, "aperture"),
        (6.7, 0.5, 0.0, "aperture"),  # saturated: a fit does not know where its charge is
        (6.9, 0.31, 0.0, "linpsf"),
        (15.0, 0.3, 0.9, "aperture"),
        (12.0, np.nan, np.nan, "aperture"),
        (2.0, np.nan, np.nan, "halo"),
    ],
)
def test_rules(tmag, contamination, edge_share, method):
    arrays = (np.array([value]) for value in (tmag, contamination, edge_share))
    assert choose_methods(*arrays, LIMITS).tolist() == [method]


def test_rules_name_methods_that_exist():
    assert {APERTURE, LINPSF, HALO, DEFAULT_METHOD} <= set(METHODS)
    assert FITTING_METHODS == ("linpsf", "psf")


def test_each_star_by_itself():
    methods = choose_methods(
        np.array([1.0, 9.0, 12.0]), np.array([0.9, 0.9, 0.0]), np.zeros(3), LIMITS
    )
    assert methods.tolist() == ["halo", "linpsf", "aperture"]
    assert choose_methods(np.zeros(0), np.zeros(0), np.zeros(0), LIMITS).tolist() == []


def test_who_is_left_to_a_brighter_star():
    fainter = np.array(["aperture", "halo", "linpsf", "psf"], dtype=object)
    left = {
        (method, saturates): is_left_out(fainter, method, brighter_saturates=saturates).tolist()
        for method in ("aperture", "halo", "linpsf")
        for saturates in (True, False)
    }
    fitted_stay = [True, True, False, False]
    assert left == {
        ("aperture", True): [True] * 4,
        ("halo", True): [True] * 4,
        ("linpsf", True): fitted_stay,
        ("aperture", False): fitted_stay,
        ("halo", False): fitted_stay,
        ("linpsf", False): fitted_stay,
    }
    assert is_left_out(fainter[:0], "aperture", brighter_saturates=False).tolist() == []
