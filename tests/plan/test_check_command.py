"""The command ``tessphot check``."""

import pytest
from configurations import ONE_STAR

from tessphot_lib.cli import main


@pytest.fixture
def run(tmp_path):
    """Folder of a run: images and stars beside it."""
    run = tmp_path / "run"
    (tmp_path / "ffi").mkdir()
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
    code, out, err = check(run, GOOD, capsys)
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
