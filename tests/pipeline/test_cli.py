"""The command tessphot on a finished run."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from matplotlib import image
from pipeline_run import SHOWCASE

from tessphot_lib.cli import main, parser
from tessphot_lib.core.flags import ApertureFlag
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.settings import PhotometrySettings, TodoSettings
from tessphot_lib.io.products.lightcurve_fits import read_weights
from tessphot_lib.io.products.todo_apertures import read_apertures
from tessphot_lib.io.products.todo_sqlite import Status, read_todo
from tessphot_lib.steps.todo import run_todo


def test_find_names_the_light_curve(small_run, capsys):
    tic_id = SHOWCASE["transit"]
    assert main(["find", str(tic_id), "--directory", str(small_run.results.parent)]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"TIC {tic_id}, Tmag ")
    assert "s0014-cam3-ccd4: measured" in told
    assert str(small_run.light_curves[tic_id]) in told


def test_find_takes_several_stars_in_any_writing(small_run, capsys):
    tic_ids = [SHOWCASE["transit"], SHOWCASE["eclipse"]]
    names = [f"TIC {tic_ids[0]}", "5", f"tic{tic_ids[1]}", str(tic_ids[0])]
    assert main(["find", *names, "--directory", str(small_run.results.parent)]) == 1
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert [line.split(",")[0] for line in lines[::3]] == [f"TIC {one}" for one in tic_ids]
    assert re.fullmatch(r"  row [\d.]+, column [\d.]+, \w+, CDPP \d+ ppm in 1 h", lines[1])
    assert told.err.count("\n") == 1


@pytest.mark.parametrize("command", ["show", "star", "pixels"])
def test_a_star_is_named_in_any_writing(command):
    assert parser().parse_args([command, "TIC 261136679"]).tic_id == 261136679


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
    assert main(["show", tic_id, *folder, "--output", str(output), "--residuals"]) == 0
    larger = image.imread(output)
    assert larger.shape[0] > picture.shape[0] + 300
    assert (larger[-300:, ..., 0] != larger[-300:, ..., 2]).any()  # residuals are in color


def test_show_draws_all_sectors_together(small_run, tmp_path, monkeypatch, capsys):
    tic_id = SHOWCASE["transit"]
    folder = ["--directory", str(small_run.results.parent)]
    monkeypatch.chdir(tmp_path)
    assert main(["show", str(tic_id), *folder, "--together"]) == 0
    assert capsys.readouterr().out == f"tic{tic_id}.png\n"
    assert image.imread(tmp_path / f"tic{tic_id}.png").std() > 0.05
    assert main(["show", str(tic_id), *folder, "--together", "--residuals"]) == 1
    assert "--together: does not go with" in capsys.readouterr().err


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
    for path in (fitted, small_run.light_curves[tic_id]):  # no comment has lost its end
        cards = [card.image for card in fits.getheader(path).cards if " / " in card.image]
        assert not [card for card in cards if len(card.rstrip()) == 80]
    assert np.isnan(fits.getdata(fitted, 1)["FLUX_CORR"]).all()


def measured_again(run, folder, capsys, *, name, config=None, method=None):
    """The file of one star of the showcase, as `tessphot star` makes it again."""
    star = ["star", str(SHOWCASE[name]), "--directory", str(run.results.parent)]
    star += ["--output", str(folder)]
    if config is not None:
        (folder / "mine.yaml").write_text(json.dumps(config))
        star += ["--config", str(folder / "mine.yaml")]
    if method is not None:
        star += ["--method", method]
    assert main(star) == 0
    return capsys.readouterr().out.strip()


def test_star_by_halo(small_run, tmp_path, capsys):
    path = measured_again(small_run, tmp_path, capsys, name="saturated", method="halo")
    assert path.endswith("-s0014-cam3-ccd4-halo.fits.gz")
    header = fits.getheader(path)
    assert (header["PHOTMET"], header["HALO_RAD"]) == ("halo", 20.0)
    weights = fits.getdata(path, "WEIGHTMAP")
    assert header["HALO_NPX"] == (weights > 0).any(axis=0).sum()
    np.testing.assert_array_equal(read_weights(Path(path)), weights)
    assert read_weights(small_run.light_curves[SHOWCASE["transit"]]) is None
    # A trial's file is drawn, too: beside the run with its neighbors, elsewhere without.
    pictures = [tmp_path / "here.png", tmp_path / "elsewhere.png"]
    for folder, output in zip((small_run.results.parent, tmp_path), pictures, strict=True):
        assert main(["show", path, "--directory", str(folder), "--output", str(output)]) == 0
    assert image.imread(pictures[0]).shape[0] > 1000  # with the weights
    nowhere = ["--directory", str(tmp_path), "--residuals", "--output", str(tmp_path / "x.png")]
    assert main(["show", path, *nowhere]) == 1
    assert "catalog is not there" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["saturated", "faint pulsation"])
def test_star_by_the_rules_is_what_the_run_has(small_run, tmp_path, capsys, name):
    path = measured_again(small_run, tmp_path, capsys, name=name, method="auto")
    first = small_run.light_curves[SHOWCASE[name]]
    assert fits.getheader(path)["PHOTMET"] == fits.getheader(first)["PHOTMET"]
    assert fits.getheader(path)["AUTO_CON"] == 0.25
    for extension in ("APERTURE", "SUMIMAGE"):
        np.testing.assert_array_equal(fits.getdata(path, extension), fits.getdata(first, extension))
    for column in ("FLUX_RAW", "FLUX_RAW_ERR", "QUALITY"):
        again, before = (fits.getdata(one, 1)[column] for one in (path, first))
        np.testing.assert_allclose(again, before, rtol=1e-12)


@pytest.mark.parametrize("name", ["transit", "faint pulsation"])
def test_star_in_further_apertures(small_run, tmp_path, capsys, name):
    """As they are asked for: whatever the star's own method, with the whole flux in each."""
    config = {"photometry": {"extra_apertures": [1.5, 2.5, 3.5]}}
    path = measured_again(small_run, tmp_path, capsys, name=name, config=config)
    with fits.open(path) as hdus:
        header, table = hdus[0].header, hdus[1].data
        good = table["QUALITY"] == 0
        assert [header[f"AP{number}_RAD"] for number in (1, 2, 3)] == [1.5, 2.5, 3.5]
        own = np.median(table["FLUX_RAW"][good])
        own = (own - (1 - header["CROWDSAP"]) * own) / header["FLFRCSAP"]
        for number in (1, 2, 3):
            flux, error = table[f"FLUX_AP{number}"], table[f"FLUX_AP{number}_ERR"]
            assert np.isfinite(flux[good]).all()
            assert (error[good] > 0).all()
            captured = np.median(flux[good]) * header[f"AP{number}_CROW"]
            assert captured / header[f"AP{number}_FLFR"] == pytest.approx(own, rel=0.03)
    first = small_run.light_curves[SHOWCASE[name]]
    with fits.open(first) as hdus:
        assert not {"FLUX_AP1", "AP1_RAD"} & {*hdus[1].columns.names, *hdus[0].header}
        np.testing.assert_allclose(table["FLUX_RAW"], hdus[1].data["FLUX_RAW"], rtol=1e-12)


def test_star_with_other_rules_is_measured_by_them(small_run, tmp_path, capsys):
    config = {"photometry": {"auto": {"halo_always": 30.0}}}
    path = measured_again(small_run, tmp_path, capsys, name="saturated", config=config)
    header = fits.getheader(path)
    assert (header["PHOTMET"], header["AUTO_TMG"]) == ("halo", 30.0)
    config = {"photometry": {"method": "linpsf"}}
    path = measured_again(small_run, tmp_path, capsys, name="transit", config=config)
    assert fits.getheader(path)["PHOTMET"] == "linpsf"


@pytest.mark.parametrize("name", ["saturated", "eclipse", "faint pulsation"])
def test_star_with_other_apertures_has_those_of_a_list_made_so(small_run, tmp_path, capsys, name):
    """The header names the settings, and the pixels are those that the settings give."""
    settings = json.loads((small_run.results / "run.json").read_text())["settings"]
    change = {"kind": "significant", "threshold": 6.0, "max_radius": 9.0}
    settings["photometry"]["aperture"] |= change
    files = [small_run.ccd / name for name in ("pixels.hdf5", "catalog.sqlite", "prf.fits")]
    todo = tmp_path / "todo.sqlite"
    run_todo(
        CcdId(14, 3, 4),
        **{path.stem: path for path in files},
        output=todo,
        settings=TodoSettings.from_mapping(settings["todo"]),
        photometry=PhotometrySettings.from_mapping(settings["photometry"]),
    )
    star = read_todo(todo, tic_ids=[SHOWCASE[name]]).iloc[0]
    expected = read_apertures(todo)[star["priority"]]
    config = {"photometry": {"aperture": change, "method": "aperture"}}
    path = measured_again(small_run, tmp_path, capsys, name=name, config=config)
    with fits.open(path) as hdus:
        header, aperture = hdus[0].header, hdus["APERTURE"]
        assert [header[key] for key in ("AP_KIND", "AP_THRES", "AP_RADIU")] == [*change.values()]
        assert header["PHOTMET"] == "aperture"
        summed = aperture.data & int(ApertureFlag.IN_APERTURE) != 0
        np.testing.assert_array_equal(summed, expected.mask)
        assert header["FLFRCSAP"] == pytest.approx(expected.light.flfrcsap)
        assert aperture.header["CRVAL2P"] == expected.window.row0 + 1
        before = fits.getdata(small_run.light_curves[SHOWCASE[name]], "APERTURE")
        assert not np.array_equal(aperture.data, before)


def test_star_refuses_settings_that_do_not_count(small_run, tmp_path, capsys):
    record = json.loads((small_run.results / "run.json").read_text())
    path = measured_again(
        small_run, tmp_path, capsys, name="transit", config=record["settings"]
    )  # those of the run may all be there
    assert path
    for section, key in (
        ({"prepare": {"background": {"box_size": 32}}}, "prepare.background.box_size"),
        (
            {"photometry": {"correction": {"max_basis_vectors": 2}}},
            "photometry.correction.max_basis_vectors",
        ),
    ):
        config = tmp_path / "mine.yaml"
        config.write_text(json.dumps(section))
        star = ["star", str(SHOWCASE["transit"]), "--directory", str(small_run.results.parent)]
        assert main([*star, "--config", str(config)]) == 1
        told = capsys.readouterr().err
        assert f"mine.yaml: {key}: differs from the run's, which" in told
        assert told.count("\n") == 1


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
    assert (header["CORRWHY"], header["VERSION"]) == ("not asked for", 7)
    assert np.isnan(fits.getdata(measured, 1)["FLUX_CORR"]).all()
    config = tmp_path / "mine.yaml"
    config.write_text("photometry: {correction: {method: motion}}\n")
    assert main([*star, "--config", str(config)]) == 0
    measured = measured.with_name(measured.name.replace("todo", "todo-2"))
    header = fits.getheader(measured)
    assert (header["CORRWHY"], header["VERSION"]) == ("too few images", 7)
    assert np.isfinite(fits.getdata(measured, 1)["FLUX_CORR"]).any()
    assert capsys.readouterr().err == ""
    record.unlink()
    assert main(star) == 0
    measured = measured.with_name(measured.name.replace("todo-2", "todo-3"))
    assert fits.getheader(measured)["VERSION"] == 1
    assert "run.json is not there: the defaults are used instead" in capsys.readouterr().err
    record.write_text("[]")
    assert main(star) == 1
    assert "run.json: not the record of a run" in capsys.readouterr().err


def test_star_takes_old_names_of_settings(small_run, tmp_path, capsys):
    """In its own file with a warning, in the record of a run of an earlier release without."""
    (tmp_path / "results").mkdir()
    for path in small_run.results.iterdir():
        (tmp_path / "results" / path.name).symlink_to(path)
    record = tmp_path / "results" / "run.json"
    settings = json.loads(record.read_text())["settings"]
    psf = settings["photometry"]["psf"]
    psf["place_limit"] = psf.pop("position_limit")
    record.unlink()
    record.write_text(json.dumps({"settings": settings}))
    config = tmp_path / "mine.yaml"
    config.write_text("photometry: {psf: {place_limit: 13.5}}\n")
    star = ["star", str(SHOWCASE["transit"]), "--directory", str(tmp_path), "--method", "psf"]
    star += ["--output", str(tmp_path), "--config", str(config)]
    assert main(star) == 0
    (said,) = capsys.readouterr().err.splitlines()
    old, new = "photometry.psf.place_limit", "photometry.psf.position_limit"
    assert said.startswith(f"tessphot: {config}: {old} is now called {new}")
    (measured,) = tmp_path.glob("*.fits.gz")
    assert fits.getheader(measured)["PSF_PLAC"] == 13.5
    config.write_text("photometry: {psf: {place_limit: 13.5, position_limit: 13.5}}\n")
    assert main(star) == 1
    assert f"{old} is the old name of {new}; both are given" in capsys.readouterr().err


def test_as_a_module(tmp_path):
    command = [sys.executable, "-m", "tessphot_lib"]
    told = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    assert "tessphot find" in told.stdout
    failed = subprocess.run(
        [*command, "find", "5", "--directory", str(tmp_path)], capture_output=True, text=True
    )
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1


def test_methods_are_compared_and_no_trial_replaces_another(small_run, tmp_path, capsys):
    star = ["star", str(SHOWCASE["faint pulsation"]), "--directory", str(small_run.folder)]
    star += ["--output", str(tmp_path), "--compare", "aperture", "linpsf"]
    assert main(star) == 0
    said = capsys.readouterr().out.splitlines()
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(first) == 3
    rows = [line.split() for line in said[-2:]]
    assert [row[0] for row in rows] == ["aperture", "linpsf"]
    # The aperture holds less than all of the light, which the fit gives.
    aperture, linpsf = (float(row[1]) for row in rows)
    assert 0.6 * linpsf < aperture < 1.02 * linpsf
    (picture,) = tmp_path.glob("*-compare.png")
    assert image.imread(picture).shape[2] == 4
    assert main(star) == 0
    assert len(list(tmp_path.iterdir())) == 6
    assert {name: (tmp_path / name).read_bytes() for name in first} == first
    assert main([*star, "--method", "psf"]) == 1
    assert "only one of them" in capsys.readouterr().err
