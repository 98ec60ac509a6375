"""The whole workflow at the cadences of later sectors: 600 s, and 200 s beyond sector 100."""

import numpy as np
import pytest
from astropy.io import fits
from pipeline_run import CONFIG, Run, changed

from tessphot_lib.background.smoothing import smooth_in_time
from tessphot_lib.io.products.foreign_light_hdf5 import read_foreign_light
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.simulation.render import uncatalogued_light
from tessphot_lib.simulation.scene import background_truth, motion_truth
from tessphot_lib.simulation.truth_file import read_scene

NEVER = ("scattered", "dump", "coarse", "zero", "nan", "failed_wcs")
N_IMAGES, GAP_AFTER = 15, 9


@pytest.fixture(
    scope="module",
    params=[(30, 600), (105, 200)],
    ids=["sector30-600s", "sector105-200s"],
)
def made(request, tmp_path_factory):
    """(cadence, folder of the CCD) of a finished run."""
    sector, seconds = request.param
    config = changed(
        CONFIG,
        sectors=[sector],
        cameras=[2],
        ccds=[1],
        input={"window": [1000, 1070, 300, 380]},
        photometry={"tiles": [1, 1]},
        output={"pictures": False},
        simulation={f"{kind}_every": 0 for kind in NEVER}
        | {"cadence_seconds": seconds, "n_images": N_IMAGES, "gap_after": GAP_AFTER},
    )
    run = Run(tmp_path_factory.mktemp(f"every{seconds}"), config)
    run.finish(cores=1)
    return seconds, run.results / f"s{sector:04d}-cam2-ccd1"


def test_images_are_as_far_apart_as_they_were_taken(made):
    seconds, folder = made
    with PixelCube(folder / "pixels.hdf5") as cube:
        assert cube.attributes["cadence_seconds"] == seconds
        steps = np.diff(cube.time) * 86400 / seconds
        counted = np.diff(cube.cadenceno)
        assert (cube.quality == 0).all()
    np.testing.assert_allclose(steps, counted, rtol=1e-3)
    assert np.flatnonzero(counted > 1).tolist() == [GAP_AFTER - 1]
    assert len(list((folder / "blocks").iterdir())) > 1


def test_light_curves_say_the_cadence(made):
    seconds, folder = made
    paths = sorted(folder.glob(f"lightcurves/*/*-c{seconds:04d}-*_lc.fits.gz"))
    assert len(paths) > 20
    assert len(paths) == len(list(folder.glob("lightcurves/*/*.fits.gz")))
    scatter = []
    for path in paths:
        with fits.open(path) as hdus:
            header, data = hdus["LIGHTCURVE"].header, hdus["LIGHTCURVE"].data
            assert header["TIMEDEL"] == pytest.approx(seconds / 86400)
            assert header["NUM_FRM"] == seconds // 2
            assert len(data) == N_IMAGES
            assert (data["QUALITY"] == 0).all()
            residual = (data["FLUX_RAW"] - np.median(data["FLUX_RAW"])) / data["FLUX_RAW_ERR"]
            scatter.append(1.4826 * np.median(np.abs(residual)))
    assert 0.7 < np.median(scatter) < 1.3


def test_background_and_motion_are_those_of_the_scene(made):
    _, folder = made
    scene = read_scene(folder / "truth.hdf5")
    at = np.array([1010.0, 1060.0]), np.array([310.0, 370.0])
    true = np.stack(motion_truth(scene)(*at))
    unknown = float(uncatalogued_light(scene).mean())
    with PixelCube(folder / "pixels.hdf5") as cube:
        found = np.stack(cube.motion_at(*at))
        for index in range(N_IMAGES):
            sky = cube.background_in(cube.window, slice(index, index + 1))[0]
            assert -0.3 < np.median(sky - background_truth(scene, index)) - unknown < 1.5
    error = (found - true) - np.median(found - true, axis=1, keepdims=True)
    assert np.sqrt(np.mean(error**2)) < 2e-3


def test_smoothing_is_over_hours_whatever_the_cadence(made):
    """1.5 h are 9 images of 600 s and 27 of 200 s, none of them across the gap."""
    seconds, folder = made
    alone = read_foreign_light(folder / "foreign_light.hdf5").error
    with PixelCube(folder / "pixels.hdf5") as cube:
        gain = np.median(alone / cube.background_error, axis=(1, 2)) ** 2
        time = cube.time
    index, before, after = np.arange(N_IMAGES), GAP_AFTER // 2, GAP_AFTER + 2
    reach = 0.75 * 3600 / seconds
    same_side = (index < GAP_AFTER) == (index[:, None] < GAP_AFTER)
    expected = ((np.abs(index - index[:, None]) <= reach) & same_side).sum(axis=1)
    assert (expected[before], expected[after]) == (9, 6)
    alike = np.zeros((N_IMAGES, 1, 1)), time, np.ones(N_IMAGES, dtype=bool)
    np.testing.assert_allclose(smooth_in_time(*alike, width=1.5 / 24)[1], expected)
    # What changes from image to image by more than its error is kept, with the error it has.
    assert (gain > 0.99).all() and (gain < 1.01 * expected).all()
    assert np.median(gain) > 1.3
    assert expected[0] == {600: 5, 200: 9}[seconds]
