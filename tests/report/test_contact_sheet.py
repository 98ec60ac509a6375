"""All cutouts of a CCD side by side."""

import numpy as np
import pandas as pd
import pytest

from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.report import contact_sheet
from tessphot_lib.report.contact_sheet import central_star, draw_contact_sheet
from tessphot_lib.report.pictures import new_figure

WINDOW = Window(100, 160, 200, 290)
CUTOUTS = [Window(101, 110, 203, 214), Window(140, 151, 270, 281), Window(95, 104, 250, 259)]
STARS = pd.DataFrame(
    {
        "tic_id": [1, 2, 3],
        "tmag": [9.0, 12.0, 11.5],
        "row": [109.0, 104.8, 146.2],
        "column": [203.0, 209.1, 274.9],
    }
)


@pytest.fixture
def sheet(tmp_path, monkeypatch):
    """Draw a sheet; returns its axes."""

    def draw(cutouts, stars=STARS):
        made = []
        monkeypatch.setattr(
            contact_sheet, "new_figure", lambda **more: made.append(new_figure(**more)) or made[0]
        )
        average = np.full(WINDOW.shape, np.nan)
        for cutout in cutouts:
            part = cutout.intersect(WINDOW)
            average[part.slices_in(WINDOW)] = np.arange(part.shape[1])
        owner = np.zeros(WINDOW.shape, dtype=int)
        output = tmp_path / "sheet.png"
        draw_contact_sheet(average, owner, WINDOW, cutouts, stars, CcdId(8, 3, 4), output)
        assert output.read_bytes().startswith(b"\x89PNG")
        return made[0]

    return draw


def test_the_star_of_a_cutout_is_that_in_its_middle():
    assert central_star(STARS, CUTOUTS[0])["tic_id"] == 2  # not the brighter one at its corner
    assert central_star(STARS, CUTOUTS[2]) is None


def test_each_cutout_has_its_pixels_and_its_star(sheet):
    figure = sheet(CUTOUTS)
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == ["TIC 2, 12.0", "TIC 3, 11.5", "no listed star"]
    for axes, cutout in zip(shown, CUTOUTS, strict=True):
        part = cutout.intersect(WINDOW)  # the last one leaves the CCD
        assert axes.images[0].get_array().shape == part.shape
        assert axes.images[0].get_extent()[::2] == [part.column0 - 0.5, part.row0 - 0.5]
    assert figure.get_suptitle().startswith("s0008-cam3-ccd4: 3 cutouts,")


def test_of_many_cutouts_the_first_are_shown(sheet, monkeypatch):
    monkeypatch.setattr(contact_sheet, "MOST_CUTOUTS", 2)
    figure = sheet(CUTOUTS)
    assert sum(bool(axes.images) for axes in figure.axes) == 2
    assert "2 cutouts of 3," in figure.get_suptitle()
