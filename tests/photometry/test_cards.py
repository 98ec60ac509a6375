"""Settings of a method as keywords."""

import pytest

from tessphot_lib.core.errors import ConfigError
from tessphot_lib.io.products.lightcurve_template import COMMENTS
from tessphot_lib.photometry.cards import choice_cards, method_cards
from tessphot_lib.photometry.methods import METHODS

SETTINGS = {
    "aperture": {"kind": "significant", "threshold": 4, "motion_correction": False},
    "linpsf": {"free_limit": 15.5},
    "psf": {"place_limit": 13},
    "halo": {"radius": 15, "min_pixels": 50},
}


def test_each_method_has_its_own_settings():
    assert method_cards("aperture", SETTINGS) == {
        "AP_KIND": "significant",
        "AP_THRES": 4.0,
        "AP_MINPX": 4,
        "AP_RADIU": 13.0,
        "AP_MOTCO": False,
    }
    assert method_cards("linpsf", SETTINGS) == {"PSF_FREE": 15.5}
    assert method_cards("psf", SETTINGS) == {"PSF_FREE": 15.5, "PSF_PLAC": 13.0, "PSF_IMAG": 9.0}
    assert method_cards("halo", SETTINGS) == {
        "HALO_RAD": 15.0,
        "HALO_GAP": 0.5,
        "HALO_MIN": 50,
        "HALO_MOT": True,
    }


@pytest.mark.parametrize("method", METHODS)
def test_keywords_fit_and_are_explained(method):
    for key in method_cards(method, SETTINGS):
        assert len(key) <= 8
        assert 0 < len(COMMENTS[key]) <= 47  # what is left beside a number


def test_rules_of_the_choice_are_explained():
    cards = choice_cards({"auto": {"halo_limit": 5}})
    assert cards == {"AUTO_TMG": 2.0, "AUTO_LIM": 5.0, "AUTO_EDG": 0.01, "AUTO_CON": 0.25}
    assert all(0 < len(COMMENTS[key]) <= 47 for key in cards)


def test_unknown_setting():
    with pytest.raises(ConfigError, match="unknown ApertureSettings keys: treshold"):
        method_cards("aperture", {"aperture": {"treshold": 3.0}})
