"""The command tessphot on a finished run."""

import json
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from matplotlib import image
from pipeline_run import SHOWCASE

from tessphot_lib import cli
from tessphot_lib.cli import main
from tessphot_lib.io.products.todo_sqlite import Status, read_todo


def test_find_names_the_light_curve(small_run, capsys):
    tic_id = SHOWCASE["transit"]
    assert main(["find", str(tic_id), "--directory", str(small_run.results.parent)]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"TIC {tic_id}, Tmag ")
    assert "s0014-cam3-ccd4: measured" in told
    assert str(small_run.light_curves[tic_id]) in told


def test_find_tells_why_there_is_none(small_run, capsys):
    stars = read_todo(small_run.results / "todo.sqlite")
    tic_id = int(stars["tic_id"][stars["status"] == int(Status.SKIPPED)].iloc[0])
    assert main(["find", str(tic_id), "--directory", str(small_run.results.parent)]) == 0
    told = capsys.readouterr().out
    assert "left to a brighter neighbor (lies in the aperture of the brighter TIC" in told
    assert main(["show", str(tic_id), "--directory", str(small_run.results.parent)]) == 1
    assert "has no light curve" in capsys.readouterr().err


def test_errors_are_one_line(small_run, tmp_path, capsys):
    assert main(["find", "5", "--directory", str(small_run.results.parent)]) == 1
    assert main(["find", "5", "--directory", str(tmp_path)]) == 1
    config = tmp_path / "mine.yaml"
    config.write_text("photometry: {correction: {method: guess}}\n")
    star = ["star", str(SHOWCASE["transit"]), "--directory", str(small_run.results.parent)]
    assert main([*star, "--config", str(config)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("tessphot: error: ") for line in lines)
    assert "TIC 5 is not on the list" in lines[0]
    assert "no such file" in lines[1]
    assert "mine.yaml: photometry.correction.method" in lines[2]
    with pytest.raises(SystemExit) as caught:
        main(["star", "5", "--method", "guess"])
    assert caught.value.code == 2


def test_show_draws_a_picture(small_run, tmp_path, capsys):
    output = tmp_path / "star.png"
    tic_id = str(SHOWCASE["saturated"])
    folder = ["--directory", str(small_run.results.parent)]
    assert main(["show", tic_id, *folder, "--output", str(output)]) == 0
    assert capsys.readouterr().out == f"{output}\n"
    picture = image.imread(output)
    assert picture.shape[:2] > (500, 1000)
    assert np.std(picture[..., :3]) > 0.05


@pytest.mark.parametrize(
    ("name", "start"), [("star.pdf", b"%PDF-"), ("star.svg", b"<?xml"), ("star.PNG", b"\x89PNG")]
)
def test_show_writes_the_format_of_the_suffix(small_run, tmp_path, name, start):
    output = tmp_path / name
    tic_id = str(SHOWCASE["saturated"])
    folder = ["--directory", str(small_run.results.parent)]
    assert main(["show", tic_id, *folder, "--output", str(output)]) == 0
    assert output.read_bytes().startswith(start)


@pytest.mark.parametrize(
    ("name", "suffix"), [("star.jpg", ".jpg"), ("star", ""), ("a.pdf.gz", ".gz")]
)
def test_show_refuses_other_formats_before_it_reads_anything(tmp_path, capsys, name, suffix):
    output = tmp_path / name
    nowhere = ["--directory", str(tmp_path / "no run")]
    assert main(["show", "5", *nowhere, "--output", str(output)]) == 1
    known = "a picture's name ends in one of .png, .pdf, .svg"
    assert capsys.readouterr().err == f"tessphot: error: {output}: {known}, not in '{suffix}'\n"
    assert list(tmp_path.iterdir()) == []


def test_star_measures_the_same_again_and_by_another_method(small_run, tmp_path):
    tic_id = SHOWCASE["transit"]
    config = tmp_path / "mine.yaml"
    config.write_text("photometry: {correction: {method: none}}\n")
    star = [
        "star",
        str(tic_id),
        "--directory",
        str(small_run.results.parent),
        "--output",
        str(tmp_path),
    ]
    assert main(star) == 0
    assert main([*star, "--method", "linpsf", "--config", str(config)]) == 0
    again = fits.getdata(tmp_path / f"tic{tic_id}-s0014-cam3-ccd4-todo.fits.gz", 1)
    first = fits.getdata(small_run.light_curves[tic_id], 1)
    for name in ("FLUX_RAW", "FLUX_CORR", "QUALITY"):
        np.testing.assert_allclose(again[name], first[name], rtol=1e-9)
    fitted = tmp_path / f"tic{tic_id}-s0014-cam3-ccd4-linpsf.fits.gz"
    assert fits.getheader(fitted)["PHOTMET"] == "linpsf"
    # By which rules the method was chosen is told where it was.
    assert fits.getheader(small_run.light_curves[tic_id])["AUTO_CON"] == 0.25
    assert not [key for key in fits.getheader(fitted) if key.startswith("AUTO_")]
    assert np.isnan(fits.getdata(fitted, 1)["FLUX_CORR"]).all()


def test_star_takes_the_settings_of_the_run(small_run, tmp_path, capsys):
    tic_id = SHOWCASE["transit"]
    (tmp_path / "results").mkdir()
    for path in small_run.results.iterdir():
        (tmp_path / "results" / path.name).symlink_to(path)
    record = tmp_path / "results" / "run.json"
    settings = json.loads(record.read_text())["settings"]
    settings["photometry"]["correction"]["method"] = "none"
    settings["todo"]["methods"] = {"5": "psf"}  # JSON has texts for keys
    settings["output"]["version"] = 7
    record.unlink()
    record.write_text(json.dumps({"settings": settings}))
    star = ["star", str(tic_id), "--directory", str(tmp_path), "--output", str(tmp_path)]
    assert main(star) == 0
    measured = tmp_path / f"tic{tic_id}-s0014-cam3-ccd4-todo.fits.gz"
    header = fits.getheader(measured)
    assert (header["CORRMETH"], header["VERSION"]) == ("none", 7)
    config = tmp_path / "mine.yaml"
    config.write_text("photometry: {correction: {method: motion}}\n")
    assert main([*star, "--config", str(config)]) == 0
    header = fits.getheader(measured)
    assert (header["CORRMETH"], header["VERSION"]) == ("motion", 7)
    assert capsys.readouterr().err == ""
    record.unlink()
    assert main(star) == 0
    assert fits.getheader(measured)["VERSION"] == 1
    assert "run.json is not there, the defaults count" in capsys.readouterr().err
    record.write_text("[]")
    assert main(star) == 1
    assert "run.json: not the record of a run" in capsys.readouterr().err


def test_star_without_the_project_says_how_to_install(small_run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cli, "PROJECT", tmp_path)
    config = tmp_path / "mine.yaml"
    star = ["star", str(SHOWCASE["transit"]), "--directory", str(small_run.results.parent)]
    star += ["--config", str(config)]
    assert main(star) == 1
    assert "mine.yaml: cannot be read: No such file" in capsys.readouterr().err
    config.write_text("photometry: {method: auto}\n")
    assert main(star) == 1
    assert "pip install --editable" in capsys.readouterr().err


def test_as_a_module(tmp_path):
    command = [sys.executable, "-m", "tessphot_lib"]
    told = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    assert "tessphot find" in told.stdout
    failed = subprocess.run(
        [*command, "find", "5", "--directory", str(tmp_path)], capture_output=True, text=True
    )
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
