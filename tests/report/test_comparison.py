"""The table of light curves by several methods."""

import numpy as np
import pytest

from tessphot_lib.core.flags import ApertureFlag
from tessphot_lib.report import comparison


class Curve:
    flux = np.array([10.0, 12.0, 11.0, 99.0])
    quality = np.array([0, 0, 0, 8])


class Stamp:
    aperture = np.array([[int(ApertureFlag.IN_APERTURE), 0, int(ApertureFlag.IN_APERTURE)]])


@pytest.fixture
def files(monkeypatch):
    """Files of which each says by which method the star was measured."""
    used = {"a.fits": "aperture", "h.fits": "aperture"}
    monkeypatch.setattr(
        comparison, "read_light_curve", lambda path: (Curve(), Stamp(), {"PHOTMET": used[path]})
    )
    return {"aperture": "a.fits", "halo": "h.fits"}


def test_a_method_that_gave_way_to_another_is_named(files):
    _, first, second, note = comparison.comparison_table(files).splitlines()
    assert first.split() == ["aperture", "11.0", "-", "-", "3", "2", "-"]
    assert second.split()[0] == "halo"
    assert note == "halo: not possible for this star, measured by aperture"
