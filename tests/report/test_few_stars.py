"""The end of a run of few stars: what came of each."""

import numpy as np
import pandas as pd

from tessphot_lib.io.products.todo_sqlite import Status
from tessphot_lib.io.products.todo_tables import STATUS_WORDS
from tessphot_lib.report.few_stars import HEADER, MOST_STARS, star_lines
from tessphot_lib.report.summary import _precision_lines, summary

WARNING = "Aperture limited by missing pixels."


def stars_of(n, **columns):
    """Stars of a run; the first ones may have values of their own."""
    table = pd.DataFrame({"tic_id": np.arange(n) + 1})
    about = {"sector": 8, "camera": 3, "ccd": 4, "datasource": "ffi", "cadence_seconds": 1800}
    about |= {"tmag": 10.0, "status": int(Status.OK), "method_used": "aperture", "errors": None}
    about |= {"cdpp_1h": 99.6, "cdpp_6h": 41.2, "lightcurve": None, "rms_hour": 1e-4, "ptp": 1e-4}
    return table.assign(**about | columns)


def test_each_star_is_a_line_the_brightest_first():
    table = stars_of(
        4,
        tmag=[12.0, 9.0, 10.5, 11.0],
        sector=[8, 35, 8, 8],
        status=[int(Status.ERROR), int(Status.WARNING), int(Status.SKIPPED), int(Status.OK)],
        errors=["no pixels", WARNING, None, None],
        method_used=["error", "linpsf", None, "aperture"],
        cdpp_1h=[np.nan, 1234.5, np.nan, 99.6],
        cdpp_6h=[np.nan, 400.4, np.nan, 41.2],
    )
    assert [line.split(maxsplit=6) for line in star_lines(table)[1:]] == [
        ["2", "s0035-cam3-ccd4", "9.00", "linpsf", "1234", "400", WARNING],
        ["3", "s0008-cam3-ccd4", "10.50", "-", "-", "-", "left to a brighter neighbor"],
        ["4", "s0008-cam3-ccd4", "11.00", "aperture", "100", "41", "measured"],
        ["1", "s0008-cam3-ccd4", "12.00", "error", "-", "-", "failed: no pixels"],
    ]
    widths = {line.index("  ", len(HEADER) - 8) for line in star_lines(table)}
    assert len(widths) == 1  # the columns are under their names
    assert star_lines(table[:0]) == []
    without_diagnostics = stars_of(1, status=int(Status.ERROR), errors=np.nan)
    assert star_lines(without_diagnostics)[1].endswith("  failed")


def test_stars_of_one_brightness_and_stars_that_nothing_is_known_of():
    table = stars_of(
        4,
        tic_id=[8, 3, 3, 9],
        sector=[8, 35, 9, 8],
        status=[int(Status.WARNING), np.nan, int(Status.ERROR), int(Status.OK)],
        errors=[None, None, "no\n  pixels", "said before"],
    )
    assert [line.split(maxsplit=6)[:2] for line in star_lines(table)[1:]] == [
        ["3", "s0009-cam3-ccd4"],
        ["3", "s0035-cam3-ccd4"],
        ["8", "s0008-cam3-ccd4"],
        ["9", "s0008-cam3-ccd4"],
    ]
    assert [line.split(maxsplit=6)[6] for line in star_lines(table)[1:]] == [
        "failed: no pixels",
        STATUS_WORDS[Status.UNKNOWN],
        STATUS_WORDS[Status.WARNING],
        "measured",
    ]


def test_runs_of_many_stars_end_with_precision_by_magnitude(tmp_path, monkeypatch):
    monkeypatch.setattr("tessphot_lib.report.summary.read_excluded_stars", lambda _: stars_of(0))
    few, many = stars_of(MOST_STARS), stars_of(MOST_STARS + 1)
    assert HEADER in summary(few, tmp_path / "todo.sqlite", [])
    text = summary(many, tmp_path / "todo.sqlite", [])
    assert HEADER not in text
    assert "\n".join(_precision_lines(many)) in text
