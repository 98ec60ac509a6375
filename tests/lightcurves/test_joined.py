"""join_sectors(): one star in several sectors with other apertures and zero points."""

import numpy as np
import pytest

from tessphot_lib.lightcurves.correction import relative_flux
from tessphot_lib.lightcurves.joined import SectorCurve, join_sectors

STAR = np.array([1.0, 0.9, 1.1, 1.0, 1.0])  # of its own level: what is to come out


def sector(flux_of_star, *, expected, crowdsap, flfrcsap, bad=()):
    """As a star of this flux is measured through an aperture with other stars in it."""
    captured = flux_of_star * flfrcsap * STAR
    others = np.median(captured) * (1 / crowdsap - 1)
    flux = captured + others
    good = np.ones(STAR.size, dtype=bool)
    good[list(bad)] = False
    corrected = np.where(good, 1e6 * (flux / np.median(flux) - 1), np.nan)
    return SectorCurve(
        flux=flux,
        flux_err=np.full(STAR.size, 2.0),
        flux_corr=corrected,
        flux_corr_err=np.where(good, 1e6 * 2.0 / np.median(flux), np.nan),
        is_good=good,
        crowdsap=crowdsap,
        flfrcsap=flfrcsap,
        expected=expected,
    )


def test_apertures_and_zero_points_do_not_show():
    sectors = [
        sector(1000.0, expected=1000.0, crowdsap=0.5, flfrcsap=0.8),
        sector(1300.0, expected=1300.0, crowdsap=0.9, flfrcsap=0.6),
        sector(700.0, expected=700.0, crowdsap=1.0, flfrcsap=1.0),
    ]
    for one, given in zip(join_sectors(sectors), sectors, strict=True):
        np.testing.assert_allclose(one.flux, STAR, rtol=1e-12)
        np.testing.assert_allclose(one.raw_flux, STAR, rtol=1e-12)
        assert one.ratio == pytest.approx(1.0)
        assert one.star_flux == pytest.approx(given.expected)
        np.testing.assert_allclose(one.flux_err, one.raw_flux_err, rtol=1e-12)


def test_what_changes_from_sector_to_sector_remains():
    first = sector(1000.0, expected=1000.0, crowdsap=0.5, flfrcsap=0.8)
    second = sector(1020.0, expected=1000.0, crowdsap=0.9, flfrcsap=0.6)
    third = sector(1000.0, expected=1000.0, crowdsap=0.7, flfrcsap=0.7)
    joined = join_sectors([first, second, third])
    assert [one.ratio for one in joined] == pytest.approx([1.0, 1.02, 1.0])
    np.testing.assert_allclose(joined[1].flux / joined[1].ratio, STAR, rtol=1e-12)


def test_a_wrong_catalog_magnitude_does_not_matter():
    right = sector(1000.0, expected=1000.0, crowdsap=0.5, flfrcsap=0.8)
    wrong = sector(1000.0, expected=400.0, crowdsap=0.5, flfrcsap=0.8)
    (one,), (other,) = join_sectors([right]), join_sectors([wrong])
    np.testing.assert_allclose(one.flux, other.flux, rtol=1e-12)
    assert other.catalog_ratio == pytest.approx(2.5)


def test_fits_have_the_flux_of_the_star_alone():
    curve = sector(1000.0, expected=1000.0, crowdsap=1.0, flfrcsap=1.0)
    unknown = SectorCurve(**{**vars(curve), "crowdsap": np.nan, "flfrcsap": np.nan})
    (one,) = join_sectors([unknown])
    np.testing.assert_allclose(one.flux, STAR, rtol=1e-12)


def test_bad_images_are_nan_where_corrected_only():
    (one,) = join_sectors([sector(1000.0, expected=900.0, crowdsap=0.5, flfrcsap=0.8, bad=[1])])
    assert np.isnan(one.flux[1])
    assert one.raw_flux[1] == pytest.approx(STAR[1])
    assert np.isfinite(one.flux[[0, 2, 3, 4]]).all()


def test_without_correction_the_good_raw_fluxes_count():
    curve = sector(1000.0, expected=900.0, crowdsap=0.5, flfrcsap=0.8, bad=[1])
    bare = SectorCurve(**{**vars(curve), "flux_corr": np.full(5, np.nan)})
    (one,) = join_sectors([bare])
    np.testing.assert_allclose(one.flux, np.where(curve.is_good, one.raw_flux, np.nan))


def test_a_sector_without_good_flux_leaves_the_others():
    good = sector(1000.0, expected=900.0, crowdsap=0.5, flfrcsap=0.8)
    none = sector(1000.0, expected=900.0, crowdsap=0.5, flfrcsap=0.8, bad=range(5))
    first, second = join_sectors([none, good])
    assert np.isnan(first.ratio)
    assert np.isnan(first.flux).all()
    np.testing.assert_allclose(second.flux, STAR, rtol=1e-12)


def test_a_sector_with_a_negative_median_is_not_upside_down():
    """A flux below zero: its corrected flux is relative to the amount of its median."""
    flux = -200.0 + 50.0 * (STAR - 1)
    relative, relative_err = relative_flux(flux, np.full(STAR.size, 2.0), np.ones(5, dtype=bool))
    negative = SectorCurve(
        flux=flux,
        flux_err=np.full(STAR.size, 2.0),
        flux_corr=relative,
        flux_corr_err=relative_err,
        is_good=np.ones(STAR.size, dtype=bool),
        crowdsap=1.0,
        flfrcsap=1.0,
        expected=1000.0,
    )
    good = sector(1000.0, expected=1000.0, crowdsap=1.0, flfrcsap=1.0)
    one = join_sectors([good, negative])[1]
    np.testing.assert_allclose(one.flux, one.raw_flux, rtol=1e-12)
    np.testing.assert_allclose(one.flux_err, one.raw_flux_err, rtol=1e-12)
    np.testing.assert_allclose(one.flux, flux / 1000.0, rtol=1e-12)
