"""The pixels of a finished run as an analysis reads them; the example of the documentation runs."""

import re

import numpy as np
import pytest
from paths import PROJECT

from tessphot_lib.core.affine import displacement
from tessphot_lib.core.flags import CadenceFlag, PixelFlag, describe
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.mesh import evaluate_background
from tessphot_lib.io.products.pixels_hdf5 import PixelCube

DOCUMENT = PROJECT / "docs" / "pixels_hdf5.md"
STAMP = Window(1750, 1765, 230, 243)


@pytest.fixture
def cube(small_run):
    with PixelCube(small_run.ccd / "pixels.hdf5") as cube:
        yield cube


def test_example_of_the_documentation(small_run, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), flags=re.DOTALL)
    here = {
        'path, row, column = "results/s0014-cam1-ccd1/pixels.hdf5", 107.2, 206.9': (
            f"path, row, column = {str(small_run.ccd / 'pixels.hdf5')!r}, 1757.2, 236.9"
        ),
        "Window(100, 115, 200, 215)": "Window(1750, 1765, 230, 245)",
    }
    for written, wanted in here.items():
        assert written in code
        code = code.replace(written, wanted)
    names = {}
    exec(compile(code, str(DOCUMENT), "exec"), names)
    n_images = len(names["time"])
    assert names["light"].shape == names["has_reflection"].shape == (n_images, 15, 15)
    for name in ("sky", "sky_error", "d_row", "d_column", "curve", "good"):
        assert names[name].shape == (n_images,), name
    assert np.isfinite(names["curve"][names["good"]]).all()
    # The centre of the CCD is what the times in the headers are for.
    assert np.abs(names["time"] - names["cube"].time).max() * 86400 < 1.0
    assert "reaction wheel desaturation" in capsys.readouterr().out


@pytest.mark.parametrize("kind", [PixelFlag, CadenceFlag], ids=lambda kind: kind.__name__)
def test_bits_are_documented(kind):
    text = DOCUMENT.read_text()
    for bit, meaning in describe(kind).items():
        if kind(bit) != CadenceFlag.SATURATED_STAR:  # of light curves only
            assert f"| {bit} | `{kind(bit).name}` | {meaning} |" in text


def test_all_datasets_are_documented(cube):
    text = DOCUMENT.read_text()
    names = []
    cube._file.visit(names.append)
    for name in names:
        assert f"`{name}`" in text or f"`{name.split('/')[-1]}`" in text or f"`{name}/" in text, (
            name
        )
    for name in cube.attributes:
        assert f"`{name}`" in text, name


def test_background_is_that_of_the_nodes(cube):
    expected = evaluate_background(cube.background, cube.grid, STAMP)
    np.testing.assert_array_equal(cube.background_in(STAMP), expected)
    np.testing.assert_array_equal(cube.background_in(STAMP, slice(3, 8)), expected[3:8])
    row, column = np.array([1751.0, 1764.0]), np.array([231.0, 242.0])
    level, error = cube.background_at(row, column)
    assert level.shape == error.shape == (cube.n_cadences, 2)
    np.testing.assert_allclose(level[:, 0], expected[:, 1, 1], rtol=1e-6)
    np.testing.assert_allclose(level[:, 1], expected[:, 14, 12], rtol=1e-6)
    stated = cube.grid.error_at(cube.background_error, row, column)
    np.testing.assert_array_equal(error, stated)
    one, _ = cube.background_at(1764.0, 242.0)
    np.testing.assert_allclose(one, level[:, 1], rtol=1e-12)


def test_motion_at_one_star_and_at_several(cube):
    row, column = np.array([1751.0, 1764.0]), np.array([231.0, 242.0])
    expected = displacement(cube.motion, row, column)
    np.testing.assert_array_equal(cube.motion_at(row, column), expected)
    np.testing.assert_allclose(cube.motion_at(1764.0, 242.0)[1], expected[1][:, 1], rtol=1e-12)


def test_flags_tell_stars_too(cube):
    all_bits, changing = cube.flags(STAMP), cube.read("pixel_flags", STAMP)
    own = int(PixelFlag.NOT_USED_FOR_BACKGROUND)
    assert not (changing & own).any()
    np.testing.assert_array_equal(all_bits & ~np.uint8(own), changing)
    is_star = (all_bits & own) != 0
    assert (is_star == is_star[0]).all()  # the same in all images
    average = cube.average_image(STAMP)
    assert is_star[0][np.unravel_index(np.argmax(average), average.shape)]
    assert 0.05 < (cube.flags(cadences=slice(0, 1)) & own != 0).mean() < 0.9


def test_good_images_have_data(cube):
    good = cube.is_good()
    assert 0.5 < good.mean() < 1
    assert not good[(cube.quality & int(CadenceFlag.NO_DATA)) != 0].any()
    assert np.isfinite(cube.read("flux", STAMP)[good]).all()
    assert len(cube.image_name) == cube.n_cadences
