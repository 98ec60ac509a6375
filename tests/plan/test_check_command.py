"""The command ``tessphot check``."""

import pytest
from configurations import ONE_STAR

from tessphot_lib.cli import main

IMAGE = "tess2019199201929-s0014-3-2-0150-s_ffic.fits"
CUTOUT = "tess-s0014-3-2_280.1_35.2_15x15_astrocut.fits"


@pytest.fixture
def run(tmp_path):
    """Folder of a run: images and stars beside it."""
    run = tmp_path / "run"
    (tmp_path / "ffi").mkdir()
    (tmp_path / "ffi" / IMAGE).touch()
    run.mkdir()
    (tmp_path / "tic.csv").write_text(ONE_STAR)
    return run


def check(run, text, capsys):
    path = run.parent / "mine.yaml"
    path.write_text(text)
    code = main(["check", str(path), "--directory", str(run)])
    return code, *capsys.readouterr()


GOOD = "input: {ffi_dir: ../ffi}\ncatalog: {source: file, file: ../tic.csv}\n"


def test_a_configuration_without_mistakes(run, capsys):
    code, out, err = check(run, GOOD + "cameras: [3]\nccds: [2]\n", capsys)
    assert (code, out, err) == (0, f"{run.parent / 'mine.yaml'}: no mistakes\n", "")


def test_all_mistakes_are_told_at_once(run, capsys):
    path = run.parent / "mine.yaml"
    text = "sector: [14]\ncameras: [1,\n  5]\ntodo:\n  faint_limit: bright\nccds: 8\n"
    code, out, err = check(run, GOOD + text, capsys)
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "tessphot: error: 4 errors in the configuration:",
        f"{path}, line 5: cameras[1]: 5 must be at most 4",
        f"{path}, line 8: ccds: 8 must be a list; write [8]",
        f"{path}, line 3: sector: unknown key; did you mean sectors?",
        f"{path}, line 7: todo.faint_limit: 'bright' must be a number",
    ]


def test_a_mistake_is_in_the_last_file_that_has_the_key(run, capsys):
    first, last = run.parent / "first.yaml", run.parent / "last.yaml"
    first.write_text(GOOD + "todo: {faint_limit: bright}\n")
    last.write_text("# over it\nfaint_limit: 9\ntodo: {faint_limit: dark}\n")
    assert main(["check", str(first), str(last), "--directory", str(run)]) == 1
    assert capsys.readouterr().err.splitlines()[1:] == [
        f"{last}, line 2: faint_limit: unknown key; did you mean one of catalog.faint_limit, "
        "prepare.motion.faint_limit, prf.faint_limit, todo.faint_limit?",
        f"{last}, line 3: todo.faint_limit: 'dark' must be a number",
    ]


def test_the_line_of_what_is_no_yaml(run, capsys):
    code, out, err = check(run, GOOD + "todo: {faint_limit: 14\n", capsys)
    assert (code, out) == (1, "")
    assert err.startswith(
        f"tessphot: error: {run.parent / 'mine.yaml'}, line 4, column 1: not YAML"
    )


CUTOUTS = (
    "input: {source: tesscut, cutout_dir: ../cut}\ncatalog: {source: file, file: ../tic.csv}\n"
)


@pytest.mark.parametrize("key", ["cameras: [4]", "ccds: [1]", "sectors: [13]"])
def test_images_that_are_not_there_are_no_configuration_without_mistakes(run, capsys, key):
    code, out, err = check(run, GOOD + key + "\n", capsys)
    assert (code, out) == (1, "")
    assert "input.ffi_dir: no image of " in err
    (run.parent / "cut").mkdir()
    (run.parent / "cut" / CUTOUT).touch()
    code, out, err = check(run, CUTOUTS + key + "\n", capsys)
    assert (code, out) == (1, "")
    assert "input.cutout_dir: no image of " in err and "there are images of s0014-cam3-ccd2" in err


def test_a_camera_without_images_among_others_is_said(run, capsys):
    code, out, err = check(run, GOOD + "cameras: [3, 4]\nccds: [2]\n", capsys)
    assert (code, out.endswith("no mistakes\n")) == (0, True)
    assert err == "tessphot: left out, no images in '../ffi': s0014-cam4-ccd2\n"


def test_light_curves_among_cutouts_are_said(run, capsys):
    (run.parent / "cut").mkdir()
    for name in (CUTOUT, "mine.fits", "tess2019198215352-s0014-0000000000000007-0150-s_lc.fits"):
        (run.parent / "cut" / name).touch()
    own = "cameras: [3]\nccds: [2]\n"
    code, _, err = check(run, CUTOUTS + own, capsys)
    assert code == 0
    assert "1 light curve (tess2019198215352-s0014-0000000000000007-0150-s_lc.fits)" in err
    assert "1 other FITS file (mine.fits): they need the names of the mission" in err
    # What the run itself has made is not said.
    (run / "results").mkdir()
    for path in (run.parent / "cut").iterdir():
        path.rename(run / path.name if path.name == CUTOUT else run / "results" / path.name)
    code, _, err = check(run, CUTOUTS.replace("../cut", "'.'") + own, capsys)
    assert (code, err) == (0, "")
