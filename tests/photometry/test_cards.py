"""Settings of a method as keywords."""

import pytest

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.settings import (
    ApertureSettings,
    AutoSettings,
    HaloSettings,
    LinpsfSettings,
    PhotometrySettings,
    PsfSettings,
)
from tessphot_lib.photometry.choice import choice_cards
from tessphot_lib.photometry.methods import METHODS, method_cards

SETTINGS = PhotometrySettings(
    aperture=ApertureSettings(kind="significant", threshold=4, motion_correction=False),
    linpsf=LinpsfSettings(free_limit=15.5),
    psf=PsfSettings(position_limit=13),
    halo=HaloSettings(radius=15, min_pixels=50),
)


def values(cards):
    return {key: value for key, (value, _) in cards.items()}


def test_each_method_has_its_own_settings():
    assert values(method_cards("aperture", SETTINGS)) == {
        "AP_KIND": "significant",
        "AP_THRES": 4.0,
        "AP_MINPX": 4,
        "AP_RADIU": 13.0,
        "AP_MOTCO": False,
    }
    fitted = {"PSF_FREE": 15.5, "PSF_PLAC": 13.0, "PSF_IMAG": 9.0}
    assert values(method_cards("linpsf", SETTINGS)) == {"PSF_FREE": 15.5}
    assert values(method_cards("psf", SETTINGS)) == fitted
    assert values(method_cards("halo", SETTINGS)) == {
        "HALO_RAD": 15.0,
        "HALO_GAP": 0.5,
        "HALO_MIN": 50,
        "HALO_MOT": True,
    }


@pytest.mark.parametrize("method", METHODS)
def test_keywords_fit_and_are_explained(method):
    for key, (_, comment) in method_cards(method, SETTINGS).items():
        assert len(key) <= 8
        assert 0 < len(comment) <= 47  # what is left beside a number


def test_rules_of_the_choice_are_explained():
    cards = choice_cards(PhotometrySettings(auto=AutoSettings(halo_limit=5)))
    assert values(cards) == {
        "AUTO_TMG": 2.0,
        "AUTO_LIM": 5.0,
        "AUTO_EDG": 0.01,
        "AUTO_CON": 0.25,
    }
    assert all(0 < len(comment) <= 47 for _, comment in cards.values())


@pytest.mark.parametrize("name", ["guess", "auto", "Aperture", ""])
def test_an_unknown_method_gets_no_cards(name):
    with pytest.raises(InputDataError, match=f"^unknown method '{name}'; the methods are apert"):
        method_cards(name, SETTINGS)
