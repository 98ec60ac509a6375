"""What the light curves of stars are made of: their times, and the quality of their points."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tessphot_lib.catalog.proper_motion import at_epoch
from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.errors import MeasurementError
from tessphot_lib.core.flags import LightCurveFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.lightcurve import StarFluxes
from tessphot_lib.core.pointing import Pointing
from tessphot_lib.photometry.products import Products, StarFrame, quality_of, tasoc_numbers

MOTION = np.array([[0.1, 0, 0, -0.2, 0, 0], [0.0, 0.4, 0, 0, 0, 0.8], np.full(6, np.nan)])


def cube(position, pointing=None):
    """A cube of three images, barycentric for the centre of its CCD."""
    timecorr = np.array([0.003, 0.0031, 0.0032])
    return SimpleNamespace(
        time=1683.0 + np.arange(3) / 48 + timecorr,
        timecorr=timecorr,
        observatory_position=np.tile(position, (3, 1)),
        motion=MOTION,
        pointing=Pointing.single(3) if pointing is None else pointing,
        own_motion={},
    )


def stars(*rows, epoch=2019.5):
    """Rows of (ra, dec, pm_ra, pm_dec, row, column), with the positions at the epoch."""
    names = ["ra_j2000", "dec_j2000", "pm_ra", "pm_dec", "row", "column"]
    table = pd.DataFrame(rows, columns=names, dtype=float)
    ra, dec = at_epoch(table, epoch)
    return table.assign(ra=ra, dec=dec)


def test_times_are_those_of_each_star_in_its_direction():
    # 400, 100 and -50 light seconds from the barycentre along the axes of the ICRS
    position = np.array([400.0, 100.0, -50.0]) / 86400
    frame = StarFrame.of(cube(position), stars((0, 0, 0, 0, 5, 6), (90, 0, 0, 0, 7, 8)))
    assert frame.time.shape == frame.timecorr.shape == (2, 3)
    np.testing.assert_allclose(86400 * frame.timecorr, [[400.0] * 3, [100.0] * 3], rtol=1e-9)
    at_spacecraft = 1683.0 + np.arange(3) / 48
    np.testing.assert_allclose(frame.time - frame.timecorr, [at_spacecraft] * 2, atol=1e-9)


def test_times_are_those_of_the_direction_at_the_epoch_of_the_images():
    """1 arcsec a year for 19.5 years, seen from 500 light seconds aside: 47 ms."""
    position = np.array([0.0, 500.0, 0.0]) / 86400
    frame = StarFrame.of(cube(position), stars((0, 0, 1000, 0, 5, 6), (0, 0, 0, 0, 7, 8)))
    found = 86400 * (frame.timecorr[0] - frame.timecorr[1])
    np.testing.assert_allclose(found, 500 * np.radians(19.5 / 3600), rtol=1e-6)
    assert found[0] == pytest.approx(0.0473, abs=1e-4)


def test_motion_is_that_at_each_star():
    frame = StarFrame.of(
        cube(np.zeros(3)), stars((0, 0, 0, 0, 1023.5, 1023.5 + 512), (0, 0, 0, 0, 511.5, 1023.5))
    )
    np.testing.assert_allclose(frame.pos_row, [[0.1, 0.0, np.nan], [0.1, -0.2, np.nan]])
    np.testing.assert_allclose(frame.pos_column, [[-0.2, 0.4, np.nan], [-0.2, 0.0, np.nan]])
    np.testing.assert_array_equal(frame.moved_row, frame.pos_row)


def test_position_of_displaced_images_has_their_whole_pixels():
    displacement = np.array([[0.0, 0.0], [1.6, -1.1], [1.6, -1.1]])
    pointing = Pointing(displacement, np.ones(3, dtype=bool))
    frame = StarFrame.of(cube(np.zeros(3), pointing), stars((0, 0, 0, 0, 511.5, 1023.5)))
    np.testing.assert_allclose(frame.moved_row, [[0.1, -0.2, np.nan]])
    np.testing.assert_allclose(frame.pos_row, [[0.1, 1.8, np.nan]])
    np.testing.assert_allclose(frame.pos_column, [[-0.2, -1.0, np.nan]])


def test_centroids_are_on_the_detector_as_the_motion_is():
    """A star that stays in its pixels as they are read has stepped with the pointing."""
    displacement = np.array([[0.0, 0.0], [1.6, -1.1], [1.6, -1.1]])
    images = cube(np.zeros(3), Pointing(displacement, np.ones(3, dtype=bool)))
    images.motion = np.zeros((3, 6))
    images.cadenceno, images.quality = np.arange(3), np.zeros(3, dtype=int)
    table = stars((0, 0, 0, 0, 511.5, 1023.5))
    fluxes = StarFluxes.unknown(1, 3)
    fluxes.centroid_row[:], fluxes.centroid_column[:] = 511.6, 1023.3
    unknown = np.full(3, np.nan)
    products = SimpleNamespace(
        cube=images,
        fluxes=fluxes,
        frame=StarFrame.of(images, table),
        quality=np.zeros((1, 3), dtype=int),
        correction=SimpleNamespace(apply=lambda *_: (unknown, unknown, {})),
        _relative=lambda *_: (unknown, unknown),
    )
    found, _ = Products.light_curve(products, 0, {"tic_id": 5})
    np.testing.assert_allclose(found.centroid_row, [511.6, 513.6, 513.6])
    np.testing.assert_allclose(found.centroid_column, [1023.3, 1022.3, 1022.3])
    np.testing.assert_allclose(found.centroid_row - found.pos_corr_row, 511.6)


def test_stray_light_is_judged_by_the_sky_in_one_pixel():
    """Two stars on the same sky: the number of their pixels makes no difference."""
    sky = np.array([2.0, 2.0, 2.0, 11.0, 9.0])  # [e-/s per pixel], five times the quiet one is 10
    apertures = [
        Aperture.whole(Window(0, 3, 0, 4)),
        Aperture(Window(5, 6, 0, 1), np.zeros((1, 1), dtype=bool)),
    ]
    fluxes = StarFluxes.unknown(2, 5)
    fluxes.flux[:] = 1000.0
    fluxes.background[0], fluxes.background[1] = 12 * sky, sky
    settings = json.dumps({"flags": {"straylight_factor": 5.0}})
    images = SimpleNamespace(
        quality=np.zeros(5, dtype=int),
        attributes={"settings": settings, "bad_quality": 32},
        grid=SimpleNamespace(is_continuous=True),
    )
    quality = quality_of(images, SimpleNamespace(apertures=apertures, moving=[]), fluxes)
    is_bright = quality & int(LightCurveFlag.STRAYLIGHT) != 0
    assert is_bright.tolist() == [[False, False, False, True, False]] * 2
    # A dark sky is not judged by itself: 0.6 e-/s are not much, for being ten times as much.
    fluxes.background[0] = 12 * np.array([0.06, 0.06, 0.06, 0.6, 0.6])
    quality = quality_of(images, SimpleNamespace(apertures=apertures, moving=[]), fluxes)
    assert not (quality[0] & int(LightCurveFlag.STRAYLIGHT)).any()


def test_a_sky_that_is_far_less_certain_than_usual_is_stray_light():
    """On cutouts: 12 pixels with an error of 2 e-/s each, for a usual error of 5 e-/s."""
    sky_error = np.array([0.1, 0.1, 2.0, 0.1, 0.1])
    fluxes = StarFluxes.unknown(1, 5)
    fluxes.flux[:], fluxes.flux_err[:], fluxes.background[:] = 1000.0, 5.0, 600.0
    fluxes.flux_err[0, 2] = 24.5
    images = SimpleNamespace(
        quality=np.zeros(5, dtype=int),
        attributes={
            "settings": json.dumps({"flags": {"straylight_factor": 5.0}}),
            "bad_quality": 32,
        },
        grid=SimpleNamespace(
            is_continuous=False, error_at=lambda error, row, column: error[:, [0] * len(row)]
        ),
        background_error=sky_error[:, None],
        is_good=lambda: np.ones(5, dtype=bool),
    )
    star = pd.DataFrame({"row": [1.0], "column": [2.0]})
    targets = SimpleNamespace(apertures=[Aperture.whole(Window(0, 3, 0, 4))], moving=[], stars=star)
    is_stray = quality_of(images, targets, fluxes) & int(LightCurveFlag.STRAYLIGHT) != 0
    assert is_stray.tolist() == [[False, False, True, False, False]]


def test_a_star_is_not_corrected_by_the_motion_that_it_makes_itself():
    images = cube(np.zeros(3))
    own = np.array([[0.03, 0.0], [-0.02, 0.0], [0.0, 0.0]])
    images.own_motion = {"tic_id": np.array([77, 5]), "d_row": own, "d_column": -own}
    table = stars((0, 0, 0, 0, 1023.5, 1023.5), (0, 0, 0, 0, 1023.5, 1023.5))
    frame = StarFrame.of(images, table.assign(tic_id=[8, 77]))
    np.testing.assert_allclose(frame.pos_row[0] - frame.pos_row[1], [0.03, -0.02, np.nan])
    np.testing.assert_allclose(frame.pos_column[0] - frame.pos_column[1], [-0.03, 0.02, np.nan])


@pytest.mark.parametrize(
    ("flux", "error", "said"),
    [
        (
            700.0,
            np.nan,
            r"^7 good cadences .*, median 700 e-/s, but none with an error above 0: var",
        ),
        (700.0, 0.0, r"but none with an error above 0: variability cannot be computed\.$"),
        (0.0, 3.0, r"^7 good cadences .*, median 0 e-/s: variance, rms_hour, ptp, variability can"),
    ],
)
def test_numbers_that_cannot_be_computed_say_what_is_missing(flux, error, said):
    good = np.arange(9) > 1
    curve = SimpleNamespace(
        time=1683.0 + np.arange(9) / 48, flux=np.full(9, flux), flux_err=np.full(9, error)
    )
    curve.flux_err[0] = 3.0  # of a bad cadence
    with pytest.raises(MeasurementError, match=said):
        tasoc_numbers(curve, good)
