"""Stars of known flux in images that move: measured by each method as if nothing moved."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pixel_cube import open_cube

from tessphot_lib.core.affine import displacement
from tessphot_lib.core.flags import CadenceFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.settings import ApertureSettings, HaloSettings, PhotometrySettings
from tessphot_lib.photometry.aperture import measure_apertures
from tessphot_lib.photometry.average_positions import average_places, mean_motion
from tessphot_lib.photometry.ccd_apertures import ccd_apertures
from tessphot_lib.photometry.halo import measure_halos
from tessphot_lib.photometry.linpsf import measure_linpsf
from tessphot_lib.photometry.targets import StarList
from tessphot_lib.photometry.typical_noise import typical_noise
from tessphot_lib.prf.evaluate import evenly_normalized
from tessphot_lib.prf.generic import generic_prf
from tessphot_lib.prf.scene import scene_image
from tessphot_lib.prf.wings import USUAL_WINGS, WING_RADIUS

WINDOW = Window(700, 752, 1100, 1164)  # not square
PRF = evenly_normalized(replace(generic_prf(), wing_radius=WING_RADIUS, wing_share=USUAL_WINGS))
N_IMAGES = 40
SKY = 40.0
BAD = 17  # an image in coarse pointing
STARS = pd.DataFrame(
    {
        "tic_id": [3, 5, 9],
        "row": [713.3, 735.8, 722.1],
        "column": [1118.6, 1124.2, 1149.4],
        "tmag": [9.0, 10.2, 8.5],
    }
)
SETTINGS = PhotometrySettings(halo=HaloSettings(min_pixels=20, radius=9.0))


def motions():
    """A drift of two tenths of a pixel beside the reference, which is not the mean."""
    rng = np.random.default_rng(1)
    motion = np.zeros((N_IMAGES, 6))
    motion[:, 0] = np.linspace(-0.05, 0.15, N_IMAGES) + rng.normal(0, 0.02, N_IMAGES)
    motion[:, 3] = np.linspace(0.1, -0.2, N_IMAGES) + rng.normal(0, 0.02, N_IMAGES)
    motion[BAD, [0, 3]] = 3.0, -2.0
    return motion


def fluxes(tmag):
    return 10 ** (0.4 * (PRF.zeropoint - np.asarray(tmag)))


def depth():
    """The middle star is 1 % fainter for some time."""
    relative = np.ones((3, N_IMAGES))
    relative[1, 22:30] = 0.99
    return relative


def scene(stars, motion, relative, **more):
    """Images of the stars as they move."""
    row, column = stars["row"].to_numpy(), stars["column"].to_numpy()
    d_row, d_column = displacement(motion, row, column)
    images = [
        scene_image(PRF, WINDOW, row + d_row[i], column + d_column[i], fluxes(stars["tmag"]) * r)
        for i, r in enumerate(relative.T)
    ]
    return np.array(images) + SKY


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    motion, quality = motions(), np.zeros(N_IMAGES, dtype=np.int64)
    quality[BAD] = int(CadenceFlag.COARSE_POINT)
    flux = scene(STARS, motion, depth())
    good = np.delete(flux, BAD, axis=0).mean(axis=0) - SKY
    folder = tmp_path_factory.mktemp("moving")
    images = {"motion": motion, "quality": quality, "average_image": good}
    with open_cube(folder, WINDOW, flux, sky=SKY, sky_error=0.1, **images) as cube:
        yield cube


def targets(cube, stars=STARS):
    found, _ = ccd_apertures(cube, stars, PRF, ApertureSettings(), faint_limit=15.0)
    apertures = [found[index] for index in range(len(stars))]
    return StarList(stars.assign(method="aperture"), apertures, stars, PRF)


def test_average_positions_are_those_of_the_good_images(moving):
    wanted = np.delete(motions(), BAD, axis=0).mean(axis=0)
    np.testing.assert_allclose(mean_motion(moving), wanted, atol=1e-12)
    row, column = average_places(moving, STARS)
    np.testing.assert_allclose(row, STARS["row"] + wanted[0], atol=1e-9)
    np.testing.assert_allclose(column, STARS["column"] + wanted[3], atol=1e-9)


def test_light_that_motion_carries_over_the_edge_is_put_back(moving):
    stars, good = targets(moving), np.arange(N_IMAGES) != BAD
    corrected = measure_apertures(moving, stars, None, SETTINGS)
    plain = measure_apertures(
        moving, stars, None, replace(SETTINGS, aperture=ApertureSettings(motion_correction=False))
    )
    for index, aperture in enumerate(stars.apertures):
        held = aperture.light.flfrcsap * fluxes(STARS["tmag"][index]) * depth()[index]
        off = [measured.flux[index] / held - 1 for measured in (corrected, plain)]
        assert np.abs(off[0][good]).max() < 1e-3
        assert np.std(off[0][good]) < 0.2 * np.std(off[1][good])


def test_fits_follow_the_stars(moving):
    found = measure_linpsf(moving, targets(moving), None, SETTINGS)
    good = np.arange(N_IMAGES) != BAD
    true = fluxes(STARS["tmag"])[:, None] * depth()
    ratio = found.flux[:, good] / true[:, good]
    np.testing.assert_allclose(ratio, 1, atol=0.01)  # the mean image is blurred by the drift
    assert (ratio.std(axis=1) < 2e-4).all()
    d_row, d_column = displacement(motions(), *STARS[["row", "column"]].to_numpy().T)
    places = STARS["row"].to_numpy()[:, None] + d_row.T
    np.testing.assert_allclose(found.centroid_row, places, atol=1e-6)
    places = STARS["column"].to_numpy()[:, None] + d_column.T
    np.testing.assert_allclose(found.centroid_column, places, atol=1e-6)


def test_error_of_the_background_counts_in_each_pixel(tmp_path):
    """An error that all pixels have in common adds up, that of each pixel in squares."""
    flux = np.repeat(scene(STARS, np.zeros((1, 6)), np.ones((3, 1))), 60, axis=0)
    error = np.full(flux.shape, 2.0)
    with open_cube(tmp_path, WINDOW, flux, sky=SKY, sky_error=0.7, flux_err=error) as cube:
        stars = targets(cube)
        aperture = measure_apertures(cube, stars, None, SETTINGS)
        sizes = np.array([one.mask.sum() for one in stars.apertures])
        expected = np.hypot(2.0 * np.sqrt(sizes), 0.7 * sizes)
        np.testing.assert_allclose(aperture.flux_err[:, 0], expected, rtol=1e-6)
        assert len(set(sizes.tolist())) > 1
        halo = measure_halos(cube, stars, None, SETTINGS)
    for index, note in enumerate(halo.notes):
        weights = note.images["WEIGHTMAP"][0]
        assert (weights > 0).sum() > 10
        expected = np.hypot(2.0 * np.sqrt(np.sum(weights**2)), 0.7 * weights.sum())
        assert halo.flux_err[index, 0] == pytest.approx(expected, rel=1e-5)
        assert halo.flux[index, 0] == pytest.approx(fluxes(STARS["tmag"])[index], rel=1e-6)


def test_typical_noise_is_that_of_the_image_with_the_median_sky(tmp_path):
    flux = np.full((5, *WINDOW.shape), 100.0)
    error = np.arange(1.0, 6.0)[:, None, None] * np.ones(WINDOW.shape)
    sky = np.array([50.0, 90.0, 20.0, 60.0, 1.0])
    quality = np.array([0, 0, 0, 0, 32])
    images = {"sky": sky, "flux_err": error}
    region = Window(710, 713, 1120, 1125)
    with open_cube(tmp_path, WINDOW, flux, quality=quality, **images) as cube:
        noise = typical_noise(cube, region)  # the median of the good ones is 55
    assert noise.shape == (3, 5)
    assert set(noise.ravel()) <= {1.0, 4.0}


def test_stars_without_data_under_them_get_no_aperture(tmp_path):
    average = scene(STARS, np.zeros((1, 6)), np.ones((3, 1)))[0] - SKY
    average[35:38, 23:26] = np.nan  # all around the second
    flux = (average + SKY)[None]
    with open_cube(tmp_path, WINDOW, flux, sky=SKY, average_image=average) as cube:
        found, on_data = ccd_apertures(cube, STARS, PRF, ApertureSettings(), faint_limit=9.0)
    assert on_data.tolist() == [True, False, True]
    assert sorted(found) == [0, 2]


def still_cube(folder, stars, n_images=40, *, noise=0.0, unknown=None, **more):
    """Images of stars that stand still, with one more that the catalog lacks, and noise."""
    there = stars if unknown is None else pd.concat([stars, pd.DataFrame([unknown])])
    relative = more.pop("relative", np.ones((len(there), n_images)))
    states, number = np.unique(relative, axis=1, return_inverse=True)  # drawn once each
    flux = scene(there, np.zeros((states.shape[1], 6)), states)[number.ravel()]
    flux += np.random.default_rng(3).normal(0, noise, flux.shape)
    more = {"flux_err": np.full(flux.shape, max(noise, 1.0)), "sky": SKY} | more
    return open_cube(folder, WINDOW, flux, **more)


def test_mean_flux_of_a_faint_star_is_seen_in_all_images_together(tmp_path):
    """The catalog has it a magnitude too faint; one image tells nothing, forty do."""
    true = STARS.assign(tmag=[9.0, 10.2, 14.0])
    with still_cube(tmp_path, true, noise=40.0, sky_error=0.01) as cube:
        found = measure_linpsf(
            cube, targets(cube, STARS.assign(tmag=[9.0, 10.2, 15.0])), None, SETTINGS
        )
    assert found.notes[2].header["PSF_MEAN"][0] == pytest.approx(fluxes(14.0), rel=0.15)


def test_light_of_an_unknown_star_is_the_same_in_all_images(tmp_path):
    """What the mean image has and no star explains is in each image, too."""
    unknown = {"tic_id": 77, "row": 724.6, "column": 1149.9, "tmag": 10.0}
    with still_cube(tmp_path, STARS, unknown=unknown, sky_error=0.01) as cube:
        found = measure_linpsf(cube, targets(cube), None, SETTINGS)
    mean = [note.header["PSF_MEAN"][0] for note in found.notes]
    np.testing.assert_allclose(found.flux, np.array(mean)[:, None] * np.ones(40), rtol=1e-5)
    assert mean[2] > 1.005 * fluxes(8.5)  # some of it is taken for the star's


def test_light_of_neighbors_does_not_dilute_a_halo(tmp_path):
    """A dip of 20 % in a star with six neighbors of a tenth of its light."""
    angle = np.arange(6) * np.pi / 3 + 0.3
    row, column = 725.3 + 6 * np.sin(angle), 1130.6 + 6 * np.cos(angle)
    stars = pd.DataFrame({"row": [725.3, *row], "column": [1130.6, *column]})
    stars = stars.assign(tic_id=np.arange(7), tmag=[5.0] + [7.5] * 6)
    relative = np.ones((7, 60))
    relative[0, 25:40] = 0.8
    with still_cube(tmp_path, stars, 60, relative=relative) as cube:
        found = measure_halos(cube, targets(cube, stars), None, SETTINGS)
    assert found.notes[0].header["CROWDSAP"] < 0.998
    inside = found.flux[0, 25:40].mean() / np.delete(found.flux[0], range(25, 40)).mean()
    assert inside == pytest.approx(0.8, abs=1e-5)


def test_motion_of_flagged_images_makes_no_other_apertures(tmp_path, moving):
    quiet = moving.motion.copy()
    quiet[BAD] = quiet[BAD - 1]
    flux = moving.read("flux")
    images = {"motion": quiet, "quality": moving.quality, "average_image": moving.average_image()}
    with open_cube(tmp_path, WINDOW, flux, sky=SKY, sky_error=0.1, **images) as cube:
        settings = ApertureSettings(motion_correction=False)
        masks = [
            {index: one.mask for index, one in ccd_apertures(*args, faint_limit=15.0)[0].items()}
            for args in ((cube, STARS, PRF, settings), (moving, STARS, PRF, settings))
        ]
    for index, mask in masks[0].items():
        np.testing.assert_array_equal(mask, masks[1][index])
