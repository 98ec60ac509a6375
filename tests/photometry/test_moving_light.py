"""Light curves along tracks, against known light."""

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from pixel_cube import CCD, open_cube
from wcs_cards import WCS

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.identifiers import MOVING, identifier
from tessphot_lib.core.pointing import Pointing
from tessphot_lib.core.settings import OutputSettings
from tessphot_lib.io.products.lightcurve_fits import read_light_curve
from tessphot_lib.io.products.moving_ecsv import write_moving
from tessphot_lib.io.products.moving_objects_ecsv import NAME, read_moving_objects
from tessphot_lib.io.products.prf_fits import write_prf
from tessphot_lib.photometry.moving_light import follow, object_tracks
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.prf.scene import scene_image
from tessphot_lib.report.find import find_star
from tessphot_lib.steps.moving_photometry import _light_curve, run_moving_photometry

WINDOW = Window(1001, 1048, 1210, 1290)
PRF = generic_prf()
N_IMAGES, SKY, FLUX, NOISE = 40, 50.0, 900.0, 3.0
OUTSIDE = 37  # from this image on it is off the window


def path(index):
    return 1008.3 + 0.7 * index, 1222.0 + 1.9 * index


def true_flux(index):
    return FLUX * (1 + 0.2 * np.sin(index / 3.0))


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    """Images of a rotating object that passes a star, and moves on in each exposure."""
    rng = np.random.default_rng(4)
    star = scene_image(PRF, WINDOW, np.array([1020.2]), np.array([1252.0]), np.array([400.0]))
    flux = SKY + star + rng.normal(0, NOISE, (N_IMAGES, *WINDOW.shape))
    for index in range(N_IMAGES):
        for part in (-0.4, -0.2, 0.0, 0.2, 0.4):
            at = (np.array([axis]) for axis in path(index + part))
            flux[index] += scene_image(PRF, WINDOW, *at, true_flux(np.array([index])) / 5)
    folder = tmp_path_factory.mktemp("moving_light")
    with open_cube(
        folder,
        WINDOW,
        flux.astype(np.float32),
        flux_err=np.full(flux.shape, NOISE, np.float32),
        sky=SKY,
        attributes=ATTRIBUTES,
    ) as cube:
        yield cube


ATTRIBUTES = {
    "wcs": WCS,
    "image_header": "{}",
    "position_source": "x",
    "time_error": 0.001,
    "time_shift": 0.0,
    "ticver": "8.2",
}


def moving(cube):
    index = np.arange(2, N_IMAGES)
    row, column = path(index)
    table = pd.DataFrame({"object": "99 X", "source": "predicted", "row": row, "column": column})
    return table.assign(
        cadenceno=cube.cadenceno[index], time=cube.time[index], flux=FLUX, is_seen=True
    )


def test_the_light_along_a_track_is_that_of_the_object(cube):
    """The average image has a little of it, too."""
    (track,) = object_tracks(cube, moving(cube))
    assert track.speed == pytest.approx(np.hypot(0.7, 1.9))
    fluxes, captured = follow(cube, track, PRF)
    assert 0.8 < captured < 1.0
    index = np.arange(2, OUTSIDE - 3)
    flux, error = (values[0, index] / captured for values in (fluxes.flux, fluxes.flux_err))
    pull = (flux - true_flux(index)) / error
    assert np.abs(pull).max() < 4.5
    assert np.median(flux / true_flux(index)) == pytest.approx(1.0, abs=0.01)
    assert np.isnan(fluxes.flux[0, :2]).all()
    assert np.isnan(fluxes.flux[0, OUTSIDE + 1 :]).all()
    np.testing.assert_allclose(fluxes.centroid_row[0, index], path(index)[0])


def test_the_whole_light_of_a_fast_object_follows_from_its_aperture(tmp_path):
    """It moves by 8 pixels in each exposure, at constant speed."""
    index = np.arange(7)
    row, column = 1024.3 + 0.2 * index, 1222.2 + 8.0 * index
    flux = np.full((300, *WINDOW.shape), SKY)
    bright = np.array([1e4 * FLUX])  # of faint parts only the core would be drawn
    for part in np.linspace(-0.48, 0.48, 25):
        for image in index:
            at = np.array([row[image] + 0.2 * part]), np.array([column[image] + 8.0 * part])
            flux[20 + image] += scene_image(PRF, WINDOW, *at, bright) / 2.5e5
    with open_cube(tmp_path, WINDOW, flux, sky=SKY) as cube:
        table = pd.DataFrame({"object": "fast", "source": "found", "row": row, "column": column})
        (track,) = object_tracks(cube, table.assign(cadenceno=cube.cadenceno[20 + index]))
        fluxes, captured = follow(cube, track, PRF)
    np.testing.assert_allclose(fluxes.flux[0, 20 + index] / captured, FLUX, rtol=0.003)


@pytest.mark.parametrize("n_images", [1, 30])
def test_an_object_that_stays_has_no_light_of_its_own(cube, tmp_path, n_images):
    """Its light is in the average image: brought to all of it, noise would be a flux."""
    slow = moving(cube).iloc[:n_images]
    slow = slow.assign(row=1030.2 + 0.001 * np.arange(n_images), column=1250.4)
    with open_cube(
        tmp_path,
        WINDOW,
        cube.read("flux", WINDOW, slice(2, 2 + n_images)),
        cadenceno=cube.cadenceno[2 : 2 + n_images],
        sky=SKY,
    ) as few:
        (track,) = object_tracks(few, slow)
        fluxes, captured = follow(few, track, PRF)
    assert np.isnan(fluxes.flux).all()
    assert np.isnan(fluxes.flux_err).all()
    assert np.isnan(captured)


def test_light_curves_of_objects_are_files_like_those_of_stars(cube, tmp_path):
    elsewhere = moving(cube).assign(object="far away", row=10.0)
    table = pd.concat([moving(cube), elsewhere], ignore_index=True)
    write_moving(tmp_path / "moving.ecsv", table, CCD, {})
    write_prf(tmp_path / "prf.fits", PRF, CCD, attributes={})
    objects = tmp_path / str(CCD) / "moving_objects"
    run_moving_photometry(
        cube.path,
        tmp_path / "prf.fits",
        tmp_path / "moving.ecsv",
        objects,
        CCD,
        output_settings=OutputSettings(),
    )
    (row,) = read_moving_objects(objects / NAME).to_dict("records")
    assert row["number"] == identifier(MOVING, CCD, 1)
    assert (row["object"], row["source"]) == ("99 X", "predicted")
    assert row["mean_flux"] == pytest.approx(FLUX, rel=0.1)
    path = objects / row["lightcurve"]
    light_curve, _, header = read_light_curve(path)
    assert header["MOVNAME"] == "99 X"
    assert light_curve.tic_id == row["number"]
    assert np.isfinite(light_curve.flux).sum() == row["n_points"]
    assert np.nanmedian(light_curve.flux) == pytest.approx(row["mean_flux"] * header["FLFRCSAP"])
    with fits.open(path) as hdus:
        assert hdus[0].header["OBJECT"] == f"Moving object {row['number']}"
        assert hdus["LIGHTCURVE"].columns.names[:2] == ["TIME", "TIMECORR"]
    (tmp_path / "todo.sqlite").touch()
    (found,) = find_star(tmp_path / "todo.sqlite", row["number"])
    assert (found.light_curve, found.remark, found.ccd_id) == (path, "99 X, predicted", CCD)
    with pytest.raises(
        InputDataError, match=rf"Moving object {row['number'] + 1}; photometry\.mov"
    ):
        find_star(tmp_path / "todo.sqlite", row["number"] + 1)


def test_positions_of_objects_are_on_the_detector(cube, monkeypatch):
    """Those of images that are read from whole pixels away, too; the light stays the same."""
    (track,) = object_tracks(cube, moving(cube))
    fluxes, _ = follow(cube, track, PRF)
    half = np.arange(cube.n_cadences) >= cube.n_cadences // 2
    displacement = half[:, None] * [1.8, -3.2]
    found = []
    for pointing in (cube.pointing, Pointing(displacement, ~half)):
        monkeypatch.setattr(cube, "pointing", pointing)
        found.append(_light_curve(cube, track, fluxes, 1)[0])
    for name, whole in (("row", 2.0), ("column", -3.0)):
        single, steps = (getattr(one, f"centroid_{name}") for one in found)
        np.testing.assert_allclose(steps - single, np.where(np.isnan(single), np.nan, whole * half))
        moved = getattr(found[1], f"pos_corr_{name}")
        assert np.nanmean(moved) == pytest.approx(0, abs=1e-9)
        np.testing.assert_allclose(np.diff(moved), np.diff(steps))
    np.testing.assert_array_equal(found[1].flux, found[0].flux)


def test_without_objects_there_is_an_empty_table(cube, tmp_path):
    write_moving(tmp_path / "moving.ecsv", moving(cube)[:0], CCD, {})
    write_prf(tmp_path / "prf.fits", PRF, CCD, attributes={})
    inputs = cube.path, tmp_path / "prf.fits", tmp_path / "moving.ecsv", tmp_path / "objects"
    run_moving_photometry(*inputs, CCD, output_settings=OutputSettings())
    assert read_moving_objects(tmp_path / "objects" / NAME).empty
