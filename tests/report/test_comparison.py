"""The table of light curves by several methods."""

import numpy as np
import pytest

from tessphot_lib.core.flags import ApertureFlag
from tessphot_lib.report import comparison, pictures


class Curve:
    tic_id = 7
    time = np.array([1683.0, 1683.1, 1683.2, 1683.3])
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


def test_first_light_curve_is_not_shifted(files, monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr(
        comparison,
        "new_figure",
        lambda **options: made.append(pictures.new_figure(**options)) or made[-1],
    )
    header = {"PHOTMET": "aperture", "TESSMAG": 9.0, "SECTOR": 14}
    monkeypatch.setattr(comparison, "read_light_curve", lambda _: (Curve(), Stamp(), header))
    comparison.draw_comparison(files, tmp_path / "both.png")
    first, second = (line.get_ydata() for line in made[0].axes[0].lines)
    np.testing.assert_allclose(first, 1e6 * (np.array([10.0, 12.0, 11.0]) / 11.0 - 1))
    assert second.max() < first.min()
