"""Films: what a frame shows of known pixels, and what ffmpeg reads back."""

import re
import shutil
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
from pipeline_run import CCD, WINDOW
from pixel_cube import open_cube

from tessphot_lib.cli import main
from tessphot_lib.commands.runs import pixels_of_a_run
from tessphot_lib.core.errors import ConfigError, InputDataError, OutputError
from tessphot_lib.core.geometry import Window
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.report import movie
from tessphot_lib.report.movie import CODECS, MAX_PANEL, Scale, _panel, write_movie


def test_brighter_is_darker_and_missing_pixels_are_gray():
    shown = Scale(0.0, 100.0).shades(np.array([[-5.0, 0.0, 1.0], [50.0, 100.0, np.nan]]))
    assert list(shown.ravel()[:2]) == [255, 255]
    assert (np.diff(shown.ravel()[1:5].astype(int)) < 0).all()
    assert shown[1, 1] == 0
    assert shown[1, 2] == 224


def test_panels_are_enlarged_by_whole_factors_first_row_at_the_bottom():
    shades = np.array([[0, 50, 100], [150, 200, 250]], np.uint8)
    panel = _panel(shades, side=6)
    assert panel.shape == (4, 6, 3)
    assert (panel[:2, :2] == 150).all()
    assert (panel[2:, 4:] == 100).all()


def test_large_images_are_reduced_by_averaging():
    shades = np.tile(np.array([[0, 100], [100, 200]], np.uint8), (MAX_PANEL, MAX_PANEL // 2))
    panel = _panel(shades)
    assert panel.shape == (MAX_PANEL, MAX_PANEL // 2, 3)
    assert (panel == 100).all()


def frames_of(path):
    """Frames that ffmpeg decodes, (n, height, width, 3)."""
    program = imageio_ffmpeg.get_ffmpeg_exe()
    said = subprocess.run([program, "-i", path], capture_output=True, text=True, check=False).stderr
    width, height = map(int, re.search(r", (\d+)x(\d+)", said).groups())
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-fps_mode", "passthrough", "-"]
    decoded = subprocess.run(
        [program, "-v", "error", "-i", path, *raw], capture_output=True, check=True
    ).stdout
    return np.frombuffer(decoded, np.uint8).reshape(-1, height, width, 3)


@pytest.mark.parametrize("name", ["film.mp4", "film.gif"])
def test_film_of_a_ccd(small_run, tmp_path, name):
    """Three panels; where the image is brightest in the first, it is darkest on the screen."""
    pixels = small_run.results / CCD / "pixels.hdf5"
    part = Window(WINDOW[0] + 3, WINDOW[0] + 43, WINDOW[2] + 11, WINDOW[2] + 71)
    n_frames = write_movie(tmp_path / name, [pixels], window=part, step=7, fps=5)
    frames = frames_of(tmp_path / name)
    assert len(frames) == n_frames == 4
    factor = 8  # 480 screen pixels for 60 columns
    shown = frames[1][22 : 22 + 40 * factor, : 60 * factor, 0].astype(float)
    cells = shown.reshape(40, factor, 60, factor).mean(axis=(1, 3))[::-1]
    with PixelCube(pixels) as cube:
        image = cube.read("flux", part, slice(7, 8))[0]
    order = image.ravel().argsort()
    assert cells.ravel()[order[-5:]].max() < 60
    assert cells.ravel()[order[:500]].min() > 180


def test_film_of_two_ccds_shows_both(small_run, tmp_path):
    pixels = [small_run.results / CCD / "pixels.hdf5"] * 2
    assert write_movie(tmp_path / "both.mp4", pixels, step=12) == 2
    frame = frames_of(tmp_path / "both.mp4")[0].astype(int)
    middle = frame.shape[1] // 2
    assert frame[30:400, 4:300].std() > 10
    assert abs(frame[30:400, 4:300] - frame[30:400, 516:812]).mean() < 3
    assert middle > 500


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("film.avi", {}, "ends in one of .mp4, .gif, .webp"),
        ("film.mp4", {"fps": 0}, "both must be positive"),
        ("film.mp4", {"step": 0}, "both must be positive"),
    ],
)
def test_what_cannot_be_shown_is_refused(small_run, tmp_path, name, options, message):
    with pytest.raises(ConfigError, match=message):
        write_movie(tmp_path / name, [small_run.results / CCD / "pixels.hdf5"], **options)
    assert not (tmp_path / name).exists()


def test_failure_of_ffmpeg_is_an_error_with_what_it_says(small_run, tmp_path, monkeypatch):
    monkeypatch.setitem(CODECS, ".mp4", "no_such_codec")
    with pytest.raises(OutputError, match=r"film\.mp4: cannot be written: ffmpeg: .*"):
        write_movie(tmp_path / "film.mp4", [small_run.results / CCD / "pixels.hdf5"], step=12)
    assert list(tmp_path.iterdir()) == []


def test_silent_failure_of_ffmpeg_is_an_error(small_run, tmp_path, monkeypatch):
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: "false")
    with pytest.raises(OutputError, match=r"film\.mp4: .* ffmpeg: exit code 1"):
        write_movie(tmp_path / "film.mp4", [small_run.results / CCD / "pixels.hdf5"], step=12)


def test_nothing_is_left_running_when_an_image_cannot_be_read(small_run, tmp_path, monkeypatch):
    started, start = [], subprocess.Popen

    def kept(*arguments, **options):
        started.append(start(*arguments, **options))
        return started[-1]

    def broken(cube, window, index):
        if index > 12:
            raise InputDataError("image 13 is damaged")
        return parts(cube, window, index)

    parts = movie._parts
    monkeypatch.setattr(subprocess, "Popen", kept)
    monkeypatch.setattr(movie, "_parts", broken)
    monkeypatch.setattr(movie, "_sampled", lambda cube, window: [parts(cube, window, 4)[:3]])
    with pytest.raises(InputDataError, match="image 13 is damaged"):
        write_movie(tmp_path / "film.mp4", [small_run.results / CCD / "pixels.hdf5"])
    (process,) = started
    assert process.returncode is not None
    assert list(tmp_path.iterdir()) == []


def test_ccds_of_one_cadence_are_shown(tmp_path, capsys):
    """Without a name the images; without images the longest cadence."""
    window, flux = Window(40, 52, 505, 520), np.random.default_rng(1).normal(50, 9, (2, 12, 15))
    names = ["s0014-cam2-ccd3", "s0014-cam2-ccd3-c0020", "s0014-cam2-ccd3-c0120"]
    folders = [tmp_path / "results" / name for name in names]
    for folder in folders:
        folder.mkdir(parents=True)
        open_cube(folder, window, flux).close()
    assert pixels_of_a_run(tmp_path / "results") == [folders[0] / "pixels.hdf5"]
    shutil.rmtree(folders[0])
    output = tmp_path / "film.gif"
    assert main(["movie", "--directory", str(tmp_path), "--output", str(output)]) == 0
    assert len(frames_of(output)) == 2
    assert pixels_of_a_run(tmp_path / "results") == [folders[2] / "pixels.hdf5"]


def test_command(small_run, tmp_path, capsys):
    output = tmp_path / "all.webp"
    folder = str(small_run.folder)
    command = ["movie", "--directory", folder, "--output", str(output), "--step", "12"]
    assert main(command) == 0
    assert capsys.readouterr().out == f"{output}: 2 frames\n"
    assert output.read_bytes()[:4] == b"RIFF"
    assert main(["movie", "--directory", str(tmp_path)]) == 1
    assert "no pixels of a CCD" in capsys.readouterr().err
    assert main(["movie", "camera1", "--directory", folder]) == 1
    assert "not the name of a CCD" in capsys.readouterr().err
