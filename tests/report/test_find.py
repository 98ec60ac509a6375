"""Stars of a finished run: on its list, excluded, or not on its pixels."""

import numpy as np
import pandas as pd
import pytest

from tessphot_lib.cli import main
from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.errors import InputDataError, TessphotError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.star_warnings import MINIMUM_APERTURE, UNKNOWN_LIGHT
from tessphot_lib.io.products.not_measured_ecsv import write_not_measured
from tessphot_lib.io.products.todo_sqlite import Status, create_todo, read_todo
from tessphot_lib.io.stars.catalog_sqlite import write_catalog
from tessphot_lib.report.find import find_star
from tessphot_lib.report.summary import summary
from tessphot_lib.steps.check import run_check
from tessphot_lib.steps.lightcurve import run_light_curve

CCD = CcdId(14, 2, 3)
MEASURED, EXCLUDED, EXCLUDED_ONCE, FAINT, CUT, ABSENT = 10, 20, 30, 40, 50, 60


@pytest.fixture
def run(tmp_path):
    """Folder of a run of sectors 14 and 15."""
    stars = pd.DataFrame(
        {
            "tic_id": [MEASURED, EXCLUDED_ONCE],
            "sector": [14, 15],
            "camera": 2,
            "ccd": 3,
            "cadence_seconds": 1800,
            "cbv_area": 231,
            "tmag": [9.0, 10.0],
            "status": [None, int(Status.OK)],
        }
    )
    excluded = pd.DataFrame(
        {
            "tic_id": [EXCLUDED, EXCLUDED_ONCE],
            "sector": 14,
            "camera": 2,
            "ccd": 3,
            "tmag": [8.0, 10.0],
            "reason": ["excluded by todo.exclude: a planet", "excluded by todo.exclude"],
        }
    )
    folder = tmp_path / "results"
    ccd = folder / str(CCD)
    ccd.mkdir(parents=True)
    create_todo(folder / "todo.sqlite", stars, excluded=excluded)
    known = pd.DataFrame(
        {"tic_id": [FAINT, CUT], "tmag": [16.5, 11.0], "row": [12.25, 7.0], "column": [34.0, -3.0]}
    )
    known = known.assign(ra=80.0, dec=-66.0, ra_j2000=80.0, dec_j2000=-66.0)
    about = {"sector": 14, "camera": 2, "ccd": 3, "ticver": "8.2", "reference_time": 2458683.0}
    about |= {"epoch": 2019.5, "coord_buffer": 0.2, "camera_centre_ra": 80.0}
    about |= {"camera_centre_dec": -66.0, "footprint": ((79.0, -66.0), (81.0, -66.0), (80, -65))}
    about |= {"wcs": "", "reference_image": "", "centre_ra": 80.0, "centre_dec": -66.0}
    missing = known.assign(pm_ra=np.nan, pm_dec=np.nan, teff=np.nan)
    write_catalog(ccd / "catalog.sqlite", missing, about | {"image_header": "{}"})
    listed = known[known["tic_id"] == CUT].assign(reason="its cutout is not used", detail="a.fits")
    absent = listed.assign(tic_id=ABSENT, reason="not in the catalog", detail="b_tp.fits")
    write_not_measured(ccd / "not_measured.ecsv", pd.concat([listed, absent]), CCD)
    return tmp_path


def test_excluded_star_is_told_with_its_reason(run, capsys):
    (star,) = find_star(run / "results" / "todo.sqlite", EXCLUDED)
    assert (star.tmag, star.ccd_id, star.status, star.light_curve) == (8.0, CCD, None, None)
    assert main(["find", str(EXCLUDED), "--directory", str(run)]) == 0
    assert capsys.readouterr().out == (
        f"TIC {EXCLUDED}, Tmag 8.00, {CCD}: not on the todo list "
        "(excluded by todo.exclude: a planet)\n"
    )
    for command in ("show", "star"):
        assert main([command, str(EXCLUDED), "--directory", str(run)]) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "excluded by todo.exclude: a planet" in said


def test_method_is_the_one_that_was_used(run, capsys):
    todo = run / "results" / "todo.sqlite"
    stars = read_todo(todo).assign(method="linpsf", status=int(Status.OK))
    used = pd.DataFrame({"priority": stars["priority"], "elaptime": 1.0})
    for method, said in (("aperture", "aperture"), ("error", "linpsf")):
        create_todo(todo, stars, diagnostics=used.assign(method_used=method))
        (star,) = find_star(todo, MEASURED)
        assert star.method == said
    create_todo(todo, stars)
    assert find_star(todo, MEASURED)[0].method == "linpsf"


def test_star_excluded_in_one_sector_only(run):
    found = find_star(run / "results" / "todo.sqlite", EXCLUDED_ONCE)
    assert [(star.ccd_id.sector, star.status) for star in found] == [(14, None), (15, Status.OK)]


@pytest.mark.parametrize(
    ("tic_id", "words"),
    [
        (
            FAINT,
            r"fainter than todo\.faint_limit .*cam2-ccd3: Tmag 16\.50, row 12\.2, column 34\.0\)",
        ),
        (CUT, r"Tmag 11\.00, row 7\.0, column -3\.0, its cutout is not used a\.fits\)"),
        (ABSENT, r"in no catalog of this run \(s0014-cam2-ccd3, not in the catalog b_tp\.fits\)"),
        (7, "it is in no catalog of this run; on no CCD, or fainter than catalog"),
    ],
)
def test_why_a_star_is_not_on_the_list(run, tic_id, words):
    with pytest.raises(InputDataError, match=rf"TIC {tic_id} is not on the list: .*{words}"):
        find_star(run / "results" / "todo.sqlite", tic_id)


def test_single_light_curve_of_an_excluded_star_is_refused_with_the_reason(run):
    nothing = run / "nothing"
    files = CcdFiles.in_folder(nothing, todo=run / "results" / "todo.sqlite")
    measured = {"output": run / "star.fits.gz", "settings": None, "output_settings": None}
    for tic_id, end in ((EXCLUDED, f"{CCD}: excluded by todo.exclude: a planet"), (7, str(CCD))):
        with pytest.raises(InputDataError, match=rf"TIC {tic_id} is not on the list of {end}$"):
            run_light_curve(files, CCD, tic_id=tic_id, **measured)


def test_summary_tells_excluded_targets_from_those_on_no_ccd(run):
    stars = pd.DataFrame(
        {
            "tic_id": [MEASURED],
            "tmag": 9.0,
            "sector": 14,
            "camera": 2,
            "ccd": 3,
            "datasource": "ffi",
            "cadence_seconds": 1800,
            "status": int(Status.OK),
            "method_used": "aperture",
            "cdpp_1h": 123.4,
            "cdpp_6h": np.nan,
            "lightcurve": None,
            "errors": None,
        }
    )
    text = summary(stars, run / "results" / "todo.sqlite", [MEASURED, EXCLUDED, 7])
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert f"1 excluded by todo.exclude: {EXCLUDED}" in lines
    assert (
        "WARNING: 1 of the stars asked for cannot be measured: on no CCD of this run, fainter than "
        "todo.faint_limit, without Tmag, or DUPLICATE or ARTIFACT in the TIC: 7"
    ) in lines
    assert "much more light" not in text
    stars["errors"] = f"{MINIMUM_APERTURE} {UNKNOWN_LIGHT}"
    text = summary(stars, run / "results" / "todo.sqlite", [MEASURED])
    assert " 1 whose aperture contains much more flux than the catalog predicts: does" in text


def test_a_run_that_has_none_of_the_stars_asked_for_is_an_error(run, tmp_path):
    todo, ends = run / "results" / "todo.sqlite", (tmp_path / "summary.txt", tmp_path / "run.json")
    with pytest.raises(TessphotError, match=r"^targets\.tic_ids: none of these stars") as refused:
        run_check(todo, *ends, tic_ids=[7, EXCLUDED, CUT, 8], config={}, needs_stars=True)
    text = str(refused.value)
    assert "TIC 7: it is in no catalog of this run; on no CCD" in text
    assert f"TIC {EXCLUDED}: excluded by todo.exclude: a planet; " in text
    assert f"TIC {CUT}: " in text and "its cutout is not used a.fits" in text
    assert text.endswith("; and 1 more")
    assert not ends[0].exists()
    run_check(todo, *ends, tic_ids=[7, MEASURED], config={}, needs_stars=True)
    assert "1 of the stars asked for cannot be measured" in ends[0].read_text()
