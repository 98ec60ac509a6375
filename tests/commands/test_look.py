"""``tessphot show`` of stars in images and in target pixel files: each with its own pixels."""

from dataclasses import replace
from pathlib import Path

import pytest

from tessphot_lib.cli import main
from tessphot_lib.commands import look
from tessphot_lib.commands.look import _ccd_of, _name_of_pixels
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


@pytest.mark.parametrize(
    ("name", "ccd_id"),
    [
        (f"{CCD}/lightcurves/r0c0/tess5.fits", CCD),
        (f"{CCD}-c1800/lightcurves/r0c0/tess5.fits", replace(CCD, cadence=1800)),
        (f"trials/tic5-{CCD}-c1800-linpsf.fits", replace(CCD, cadence=1800)),
        (f"{NEXT}/tess5.fits", CCD),
    ],
)
def test_path_tells_files_of_images_from_those_of_the_same_cadence(name, ccd_id):
    """Target pixel files of TESS-SPOC have the cadence of the images."""
    header = {"SECTOR": 14, "CAMERA": 2, "CCD": 3, "TIMEDEL": 1800 / 86400}
    assert _ccd_of(header, Path(name)) == ccd_id


@pytest.mark.parametrize(
    ("given", "is_alone", "name"),
    [
        (None, True, "tic5-s0014-cam2-ccd3-c0120_tp.fits"),
        ("a/mine_tp.fits", True, "a/mine_tp.fits"),
        ("a/mine_tp.fits", False, "a/mine-s0014-cam2-ccd3-c0120_tp.fits"),
        ("a/my.own_tp.fits.gz", False, "a/my.own-s0014-cam2-ccd3-c0120_tp.fits.gz"),
        ("a/mine.fits.gz", False, "a/mine-s0014-cam2-ccd3-c0120.fits.gz"),
        ("mine.fits", False, "mine-s0014-cam2-ccd3-c0120.fits"),
    ],
)
def test_names_of_target_pixel_files(given, is_alone, name):
    """Those of several CCDs still end as `input.tpf_dir` wants it."""
    star = FoundStar(5, 9.0, CcdId(14, 2, 3, 120), Status.OK, None, "")
    given = None if given is None else Path(given)
    assert _name_of_pixels(given, star, is_alone=is_alone) == Path(name)
