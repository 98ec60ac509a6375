"""``tessphot show`` of stars in images and in target pixel files: each with its own pixels."""

from dataclasses import replace
from pathlib import Path

import pytest

from tessphot_lib.cli import main
from tessphot_lib.commands import look
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.products.todo_tables import Status
from tessphot_lib.report.find import FoundStar

CCD = CcdId(14, 2, 3)
SLOW, FAST = (replace(CCD, cadence=seconds) for seconds in (120, 20))
NEXT = CcdId(15, 2, 4)


@pytest.mark.parametrize(
    ("on", "shown"),
    [([CCD, FAST, SLOW, NEXT], [CCD, NEXT]), ([FAST, SLOW], [SLOW]), ([CCD], [CCD])],
)
def test_all_sectors_together_are_of_one_cadence(monkeypatch, on, shown):
    stars = [FoundStar(5, 9.0, one, Status.OK, Path(f"{one}.fits"), "") for one in on]
    drawn = []
    monkeypatch.setattr(look, "find_star", lambda *_: stars)
    monkeypatch.setattr(look, "draw_together", lambda *given: drawn.append(given))
    assert main(["show", "5", "--together"]) == 0
    ((light_curves, prfs, output),) = drawn
    assert light_curves == [Path(f"{one}.fits") for one in shown]
    assert prfs == [Path(f"results/{one}/prf.fits") for one in shown]
    assert output == Path("tic5.png")


@pytest.mark.parametrize(
    ("seconds", "ccd_id"), [(1800, CCD), (600, CCD), (200, CCD), (120, SLOW), (20, FAST)]
)
def test_a_file_has_the_neighbors_of_its_own_pixels(tmp_path, monkeypatch, seconds, ccd_id):
    path = tmp_path / "tic5.fits"
    path.touch()
    header = {"SECTOR": 14, "CAMERA": 2, "CCD": 3, "TIMEDEL": seconds / 86400}
    folders = []
    monkeypatch.setattr(look, "read_light_curve", lambda _: (None, None, header))
    monkeypatch.setattr(look, "_draw", lambda _, __, folder, *___: folders.append(folder))
    assert main(["show", str(path)]) == 0
    assert folders == [Path("results") / str(ccd_id)]
