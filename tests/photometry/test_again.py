"""What is decided again for a star that is measured with other settings than its list has."""

from dataclasses import replace

import pytest

from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.settings import ApertureSettings, AutoSettings, PhotometrySettings
from tessphot_lib.photometry.again import Again

MADE_WITH = PhotometrySettings()
BY_RULES = replace(Aperture.whole(Window(3, 5, 7, 10)), is_automatic=True)
NAMED = replace(BY_RULES, is_automatic=False)


@pytest.mark.parametrize(
    ("listed", "method", "changes", "wanted", "expected"),
    [
        (BY_RULES, "aperture", {}, None, Again(False, None)),
        (
            BY_RULES,
            "aperture",
            {"aperture": ApertureSettings(threshold=3)},
            None,
            Again(False, None),
        ),
        (BY_RULES, "aperture", {}, "halo", Again(False, "halo")),
        (BY_RULES, "linpsf", {}, "auto", Again(True, "auto")),
        (
            BY_RULES,
            "linpsf",
            {"aperture": ApertureSettings(threshold=4.0)},
            None,
            Again(True, "auto"),
        ),
        (
            BY_RULES,
            "linpsf",
            {"aperture": ApertureSettings(threshold=4.0)},
            "psf",
            Again(True, "psf"),
        ),
        (BY_RULES, "linpsf", {"auto": AutoSettings(halo_limit=5.0)}, None, Again(True, "auto")),
        (BY_RULES, "linpsf", {"auto": AutoSettings(halo_limit=5.0)}, "halo", Again(False, "halo")),
        (BY_RULES, "linpsf", {"method": "psf"}, None, Again(False, "psf")),
        # Named in todo.methods:
        (NAMED, "linpsf", {"aperture": ApertureSettings(threshold=4.0)}, None, Again(True, None)),
        (NAMED, "linpsf", {"auto": AutoSettings(halo_limit=5.0)}, None, Again(False, None)),
        (NAMED, "linpsf", {"method": "psf"}, None, Again(False, None)),
        (NAMED, "linpsf", {"method": "psf"}, "halo", Again(False, "halo")),
    ],
)
def test_what_is_decided_again(listed, method, changes, wanted, expected):
    settings = replace(MADE_WITH, **changes)
    again = Again.of(listed, method, made_with=MADE_WITH, settings=settings, wanted=wanted)
    assert again == expected


def test_a_list_without_rules():
    forced = replace(MADE_WITH, method="aperture")
    again = Again.of(NAMED, "aperture", made_with=forced, settings=MADE_WITH, wanted=None)
    assert again == Again(True, "auto")
    again = Again.of(NAMED, "psf", made_with=forced, settings=MADE_WITH, wanted=None)
    assert again == Again(False, None)
