"""A finished run in Python."""

import lightkurve
import numpy as np
import pandas as pd
import pytest
from photutils.aperture import CircularAperture
from pipeline_run import CCD, SHOWCASE

import tessphot_lib
from tessphot_lib.core.errors import ConfigError, InputDataError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.io.products.pixels_hdf5 import PixelCube

STAR = SHOWCASE["transit"]


@pytest.fixture(scope="module")
def run(small_run):
    return tessphot_lib.Run(small_run.folder)


@pytest.fixture(scope="module")
def star(run):
    return run.star(STAR)


def test_run_shows_what_it_holds(run, small_run):
    assert len(run) == len(run.stars)
    assert run.stars["lightcurve"].notna().sum() == len(small_run.light_curves)
    assert f"{len(small_run.light_curves)} light curves, s0014-cam3-ccd4>" in repr(run)
    assert repr(tessphot_lib.Run(small_run.results)) == repr(run)
    with pytest.raises(InputDataError, match="TIC 5 is not on the list"):
        run.star(5)
    with pytest.raises(InputDataError, match="no finished run"):
        tessphot_lib.Run(small_run.home / "nowhere")
    with pytest.raises(AttributeError, match="no attribute 'Runs'"):
        _ = tessphot_lib.Runs


def test_star_in_images_and_in_target_pixel_files_of_one_cadence(small_run):
    run = tessphot_lib.Run(small_run.folder)
    twice = run.stars[run.stars["tic_id"] == STAR].assign(datasource="tpf")
    seconds = int(twice["cadence_seconds"].iloc[0])
    run.stars = pd.concat([run.stars, twice], ignore_index=True)
    other = f"s0014-cam3-ccd4-c{seconds:04d}"
    said = rf"is there as s0014-cam3-ccd4 \({seconds} s\), {other} .*the cadence, or ccd"
    with pytest.raises(InputDataError, match=said):
        run.star(STAR, cadence=seconds)
    for name in ("s0014-cam3-ccd4", CcdId(14, 3, 4)):
        assert run.star(STAR, ccd=name).path == small_run.light_curves[STAR]
    with pytest.raises(InputDataError, match=f"TIC {STAR} is not on the list on s0014-cam1-ccd1"):
        run.star(STAR, ccd="s0014-cam1-ccd1")


def test_star(star, small_run):
    assert star.path == small_run.light_curves[STAR]
    assert repr(star).startswith(f"<Star TIC {STAR}: Tmag 9.00, s0014-cam3-ccd4, row ")
    neighbors = star.neighbors()
    assert STAR not in set(neighbors["tic_id"])
    assert (np.diff(neighbors["tmag"]) >= 0).all()
    assert star.aperture.mask.shape == star.aperture.window.shape


def test_its_own_aperture_gives_its_own_light_curve(star):
    """But for the motion correction, which belongs to the method."""
    window, own = star.window, star.aperture
    mask = np.zeros(window.shape, dtype=bool)
    mask[own.window.slices_in(window)] = own.mask
    found, curve = star.measure(mask), star.light_curve()
    np.testing.assert_allclose(found.time, curve.time, atol=1e-9)
    good = curve.quality == 0
    np.testing.assert_allclose(found.flux[good], curve.flux[good], rtol=2e-3)
    assert found.flfrcsap == pytest.approx(own.light.flfrcsap, abs=0.03)
    assert found.crowdsap == pytest.approx(own.light.crowdsap, abs=0.03)
    assert f"{own.mask.sum():.2f} pixels" in repr(found)


def test_circles_have_exact_overlap(star):
    radius, window = 1.75, star.window
    found = star.measure(radius)
    assert found.weights.sum() == pytest.approx(np.pi * radius**2, rel=1e-9)
    place = star.column - window.column0, star.row - window.row0
    other = star.measure(CircularAperture(place, radius))
    np.testing.assert_array_equal(found.flux, other.flux)
    larger = star.measure(3.0)
    assert 0 < found.flfrcsap < larger.flfrcsap <= 1
    assert found.crowdsap > larger.crowdsap


def test_prf_and_pixels(star, small_run):
    pixels, prf = star.pixels(), star.prf()
    assert pixels.flux.shape == (len(pixels.time), *star.window.shape)
    assert 0.8 < prf.sum() <= 1.01
    row, column = np.unravel_index(prf.argmax(), prf.shape)
    assert abs(row + star.window.row0 - star.row) < 1
    assert abs(column + star.window.column0 - star.column) < 1
    row, column = round(star.row), round(star.column)
    small = Window(row, row + 2, column, column + 3)
    with PixelCube(small_run.results / CCD / "pixels.hdf5") as cube:
        for window, found in ((star.window, pixels), (small, star.pixels(small))):
            assert found.flux.shape[1:] == window.shape
            light = cube.read("flux", window) - cube.background_in(window)
            np.testing.assert_allclose(found.flux, light, rtol=1e-5, atol=1e-3)
            np.testing.assert_array_equal(found.flux_err, cube.read("flux_err", window))
            np.testing.assert_array_equal(found.quality, cube.quality)
            np.testing.assert_array_equal(found.time, star.light_curve().time)
    assert "24 images, rows" in repr(pixels)


def test_another_method(star):
    fitted, summed = star.measure(method="linpsf"), star.light_curve()
    assert fitted.tic_id == STAR
    assert repr(fitted).startswith(f"<LightCurve of TIC {STAR}: {len(fitted.time)} images, ")
    good = (fitted.quality == 0) & (summed.quality == 0)
    captured, own = star.aperture.light.flfrcsap, star.aperture.light.crowdsap
    alone = np.median(summed.flux[good]) * own / captured
    assert np.median(fitted.flux[good]) == pytest.approx(alone, rel=0.05)


@pytest.mark.filterwarnings("default")  # those of lightkurve's own imports and units
def test_lightkurve(star):
    shown, curve = star.to_lightkurve(), star.light_curve()
    assert isinstance(shown, lightkurve.LightCurve)
    mine = np.isin(curve.cadenceno, shown["cadenceno"])
    np.testing.assert_array_equal(shown.time.value, curve.time[mine])
    np.testing.assert_allclose(shown.flux.value, curve.flux_relative[mine], rtol=1e-6)
    assert np.isfinite(shown.flux.value).sum() > 10


def test_mistakes(star):
    with pytest.raises(TypeError, match=r"window must be a .*Window"):
        star.pixels((1, 2, 3, 4))
    with pytest.raises(ValueError, match="leaves the window"):
        star.pixels(Window(0, 5, 0, 5))
    with pytest.raises(ValueError, match=r"the aperture is \(2, 3\), Star.window has"):
        star.measure(np.ones((2, 3)))
    with pytest.raises(ValueError, match="no pixel"):
        star.measure(np.zeros(star.window.shape))
    with pytest.raises(ConfigError, match="either an aperture or a method"):
        star.measure()
    with pytest.raises(ConfigError, match="'psff' is none of auto, "):
        star.measure(method="psff")
