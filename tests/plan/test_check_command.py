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
    code, out, err = check(run, GOOD + "sector: [14]\ntodo: {faint_limit: bright}\n", capsys)
    assert (code, out) == (1, "")
    assert "2 errors in the configuration" in err
    assert "did you mean sectors?" in err
    assert "todo.faint_limit: 'bright'" in err


def test_the_line_of_what_is_no_yaml(run, capsys):
    code, out, err = check(run, GOOD + "todo: {faint_limit: 14\n", capsys)
    assert (code, out) == (1, "")
    assert err.startswith(
        f"tessphot: error: {run.parent / 'mine.yaml'}, line 4, column 1: not YAML"
    )
