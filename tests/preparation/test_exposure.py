"""What is made of one image: its sky beside straps, and the row of the image table."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.wcs import WCS
from star_images import gaussian_star

from tessphot_lib.background.mesh_fit import SkySampler
from tessphot_lib.background.straps import sky_rows
from tessphot_lib.core.affine import displacement
from tessphot_lib.core.exposure import Exposure
from tessphot_lib.core.flags import CadenceFlag
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.mesh import Mesh
from tessphot_lib.preparation.exposure import (
    FieldOfStars,
    fit_sky,
    measure_image,
    sky_values,
    stars_displaced,
)

WINDOW = Window(900, 1056, 1000, 1192)  # not square, not aligned
ROW, COLUMN = np.indices(WINDOW.shape)
STAR_ROW, STAR_COLUMN = np.array([950.3, 1010.8]), np.array([1050.6, 1101.2])
STRAPS = [60, 61, 150]  # columns of the window


def wcs(*, d_row=0.0, d_column=0.0):
    """A WCS by which all stars stand some pixels higher."""
    result = WCS(naxis=2)
    result.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    result.wcs.crval, result.wcs.crpix = [80.0, 30.0], [1024.0 + 44 + d_column, 1024.0 + d_row]
    result.wcs.cd = 0.0058 * np.array([[-1.0, 0.1], [0.1, 1.0]])
    return result


def header(**moved):
    result = wcs(**moved).to_header(relax=True)
    for (row, column), value in np.ndenumerate(wcs().wcs.cd):
        result[f"CD{row + 1}_{column + 1}"] = value
    for key in [key for key in result if key.startswith(("PC", "CDELT"))]:
        del result[key]
    return result


@pytest.fixture(scope="module")
def field():
    mask = np.zeros(WINDOW.shape, dtype=bool)
    for row, column in zip(STAR_ROW, STAR_COLUMN, strict=True):
        mask |= np.hypot(ROW + 900 - row, COLUMN + 1000 - column) < 6
    return FieldOfStars(
        window=WINDOW,
        sampler=SkySampler.from_mask(Mesh.over(WINDOW, 64), mask),
        mask=mask,
        sky_rows=sky_rows(mask),
        motion_stars={"tic_id": np.array([3, 8]), "row": STAR_ROW, "column": STAR_COLUMN},
        wcs=wcs(),
        bad_quality=32,
    )


def image(level=200.0, shift=(0.0, 0.0)):
    """A plane with some stars on it."""
    flux = level + 0.05 * ROW - 0.02 * COLUMN
    for row, column in zip(STAR_ROW + shift[0], STAR_COLUMN + shift[1], strict=True):
        flux = flux + gaussian_star(WINDOW, row, column, 1e4)
    noise = np.random.default_rng(1).normal(0, 0.5, WINDOW.shape)
    return (flux + noise).astype(np.float32)


def exposure(flux, cards, quality=0):
    return Exposure(
        ccd_id=CcdId(14, 1, 1),
        window=WINDOW,
        flux=flux,
        flux_err=np.ones_like(flux),
        time_start=1683.0,
        time_stop=1683.02,
        timecorr=0.001,
        cadenceno=4800,
        quality=quality,
        exposure_time=1425.6,
        header=cards,
    )


def test_straps_are_no_part_of_the_smooth_background(field):
    flux = image()
    flux[:, STRAPS] += np.float32([20.0, 15.0, -12.0])
    sky = fit_sky(flux, field)
    np.testing.assert_allclose(sky.image, 200 + 0.05 * ROW - 0.02 * COLUMN, atol=0.25)
    np.testing.assert_allclose(sky.column_excess[STRAPS], [20, 15, -12], atol=0.3)
    assert np.abs(np.delete(sky.column_excess, STRAPS)).max() < 0.5


def test_straps_too_faint_to_be_clipped_are_taken_off_before_the_second_fit(field):
    """Seven columns of 6 e-/s in one cell, in an image with a noise of 5."""
    flux = image() + np.random.default_rng(2).normal(0, 5.0, WINDOW.shape)
    columns = np.arange(90, 118, 4)
    flux[:, columns] += 6.0
    sky = fit_sky(flux.astype(np.float32), field)
    truth = 200 + 0.05 * ROW - 0.02 * COLUMN
    assert (sky.image - truth)[:, 88:120].mean() == pytest.approx(0.0, abs=0.3)
    np.testing.assert_allclose(sky.column_excess[columns], 6.0, atol=2.0)


def two_of(scene):
    """The scene with two of its motion stars."""
    two = {name: values[1:] for name, values in scene.motion_stars.items()}
    return replace(scene, motion_stars=two)


def row_of(field, flux, *, known=0, quality=0, **moved):
    one = exposure(flux, header(**moved), quality)
    return measure_image(one, field, fit_sky(flux, field), known)


def test_stars_and_header_say_where_the_image_is(field):
    row = row_of(field, image(shift=(0.4, -0.3)), d_row=0.4, d_column=-0.3)
    np.testing.assert_allclose(row["star_row"], STAR_ROW + 0.4, atol=0.01)
    np.testing.assert_allclose(row["star_column"], STAR_COLUMN - 0.3, atol=0.01)
    moved = displacement(row["header_motion"][None], STAR_ROW, STAR_COLUMN)
    np.testing.assert_allclose(np.ravel(moved), [0.4, 0.4, -0.3, -0.3], atol=1e-3)
    assert row["background_level"] == pytest.approx(200 + 0.05 * 77.5 - 0.02 * 95.5, abs=1.0)
    assert (row["is_averaged"], row["quality"]) == (True, 0)


def test_sky_of_displaced_images_is_fitted_beside_their_stars(field):
    many = {"tic_id": np.arange(3), "row": np.repeat(STAR_ROW[0], 3)}
    many["column"] = STAR_COLUMN[0] + np.arange(3.0)
    scene = replace(field, motion_stars=many)
    seen = {"star_row": many["row"] + 2.6, "star_column": many["column"] - [3.1, 2.9, 0.1]}
    assert stars_displaced(seen, scene) == (3, -3)
    assert stars_displaced({name: one[1:] for name, one in seen.items()}, two_of(scene)) == (0, 0)
    moved = scene.displaced((3, -3))
    assert moved.mask[:3].all()
    assert moved.mask[:, -3:].all()
    np.testing.assert_array_equal(moved.mask[3:, :-3], field.mask[:-3, 3:])
    # Where nearly all of a cell is masked, light beside the mask is taken for sky.
    covered = np.hypot(ROW - 60, COLUMN - 90) < 44
    crowded = replace(
        field, mask=covered, sampler=SkySampler.from_mask(field.sampler.mesh, covered)
    )
    flux = image()
    flux[3:, :-3] += 40.0 * covered[:-3, 3:]
    truth = 200 + 0.05 * ROW - 0.02 * COLUMN
    off = [
        np.abs(fit_sky(flux, one).image - truth).max()
        for one in (crowded.displaced((3, -3)), crowded)
    ]
    assert 2 * off[0] < off[1]
    level = sky_values(fit_sky(image(), moved))["background_level"]
    assert level == pytest.approx(202, abs=1)


@pytest.mark.parametrize("by_header", [(2.1, -2.4), (-2.4, 2.1), (0.0, 0.0)])
def test_stars_are_looked_for_where_the_wcs_has_them(field, by_header):
    """Unless it is the WCS that is wrong."""
    shift = (2.1, -2.4) if by_header == (2.1, -2.4) else (0.3, -0.2)
    d_row, d_column = by_header
    row = row_of(field, image(shift=shift), d_row=d_row, d_column=d_column)
    np.testing.assert_allclose(row["star_row"], STAR_ROW + shift[0], atol=0.01)
    np.testing.assert_allclose(row["star_column"], STAR_COLUMN + shift[1], atol=0.01)


@pytest.mark.parametrize(
    ("known", "quality", "is_averaged"),
    [(0, 0, True), (32, 0, False), (0, 32, False), (4, 8, True)],
)
def test_images_with_bad_bits_are_not_averaged(field, known, quality, is_averaged):
    row = row_of(field, image(), known=known, quality=quality)
    assert row["is_averaged"] is is_averaged
    assert row["quality"] == known | quality


def test_images_without_a_sky_are_not_averaged(field):
    few = image()
    few[:, 40:] = np.nan
    row = row_of(field, few)
    assert (row["is_averaged"], row["quality"]) == (False, int(CadenceFlag.NO_DATA))
    assert np.isnan(row["star_row"]).all()
    nothing_seen = replace(
        field, sampler=SkySampler.from_mask(field.sampler.mesh, np.ones(WINDOW.shape, dtype=bool))
    )
    row = row_of(nothing_seen, image())
    assert (row["is_averaged"], row["quality"]) == (False, int(CadenceFlag.BAD_BACKGROUND))


def test_a_header_that_has_gone_astray_gives_no_motion(field):
    assert np.isnan(row_of(field, image(), d_row=80.0)["header_motion"]).all()
