"""Step `catalog`: stars at the epoch of the images, in the window and its buffer."""

import astropy.units as u
import numpy as np
import pandas as pd
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS
from paths import REALDATA
from star_tables import STAR_TABLES, write_star_table

from tessphot_lib.catalog.proper_motion import at_epoch
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.settings import CatalogSettings
from tessphot_lib.core.star_table_formats import FORMATS, table_format
from tessphot_lib.io.images.cutout_table import write_cutout_table
from tessphot_lib.io.stars.catalog_sqlite import read_catalog
from tessphot_lib.steps.catalog import _stars_around, run_catalog
from tessphot_lib.steps.ffi_table import run_ffi_table

needs_realdata = pytest.mark.skipif(
    not REALDATA.is_dir(), reason="real TESS data are not beside the project"
)


def stars(*rows):
    """Rows of (ra, dec, pm_ra, pm_dec)."""
    return pd.DataFrame(rows, columns=["ra_j2000", "dec_j2000", "pm_ra", "pm_dec"], dtype=float)


@pytest.mark.parametrize("epoch", [2019.5, 1991.25])
def test_proper_motion_as_astropy_has_it(epoch):
    rng = np.random.default_rng(0)
    table = stars(
        *zip(
            rng.uniform(0, 360, 50),
            np.degrees(np.arcsin(rng.uniform(-1, 1, 50))),
            rng.normal(0, 2000, 50),
            rng.normal(0, 2000, 50),
            strict=True,
        ),
        (0.0001, 10, -1000, 0),  # across RA = 0
        (359.9999, 10, 1000, 0),
        (120, 89.9999, 500, 3000),  # across the pole
        (120, -89.9999, 500, -3000),
        (0, 90, 1000, 500),  # on it
    )
    ra, dec = at_epoch(table, epoch)
    expected = SkyCoord(
        table["ra_j2000"].to_numpy() * u.deg,
        table["dec_j2000"].to_numpy() * u.deg,
        pm_ra_cosdec=table["pm_ra"].to_numpy() * u.mas / u.yr,
        pm_dec=table["pm_dec"].to_numpy() * u.mas / u.yr,
        distance=np.full(len(table), 10.0) * u.pc,
        radial_velocity=np.zeros(len(table)) * u.km / u.s,
        obstime=Time(2000.0, format="jyear", scale="tdb"),
    ).apply_space_motion(Time(epoch, format="jyear", scale="tdb"))
    found = SkyCoord(ra * u.deg, dec * u.deg)
    assert found.separation(SkyCoord(expected.ra, expected.dec)).mas.max() < 1.0
    assert ((ra >= 0) & (ra < 360)).all()


def test_one_star_by_hand():
    ra, dec = at_epoch(stars((80.0, 60.0, 3600.0, -7200.0), (10.0, 20.0, np.nan, 100.0)), 2010.0)
    assert ra[0] == pytest.approx(80 + 36 / 3600 / 0.5, abs=2e-5)  # 36 arcsec at dec 60
    assert dec[0] == pytest.approx(60 - 72 / 3600, abs=1e-5)
    assert ra[1] == pytest.approx(10.0, abs=1e-12)  # an unknown motion is none
    assert dec[1] == pytest.approx(20 + 1 / 3600, abs=1e-9)


# -- the step -----------------------------------------------------------------------------------

CCD = CcdId(14, 2, 3)
WINDOW = Window(400, 440, 900, 1000)
CRVAL = (359.95, 60.0)  # stars on both sides of RA = 0
KEYWORDS = {"CAMERA": 2, "CCD": 3, "TSTART": 1683.35, "TSTOP": 1683.3708, "BARYCORR": 0.004}
KEYWORDS |= {"EXPOSURE": 0.0165, "DQUALITY": 0, "DATA_REL": 19, "RA_NOM": 1.0, "DEC_NOM": 2.0}
WCS_KEYWORDS = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": CRVAL[0], "CRVAL2": CRVAL[1]}
WCS_KEYWORDS |= {"CRPIX1": 945.0 + 44, "CRPIX2": 421.0, "CD1_1": -0.0058, "CD1_2": 0.0001}
WCS_KEYWORDS |= {"CD2_1": 0.0001, "CD2_2": 0.0058}


def sky(row, column):
    """What the WCS says of a science pixel."""
    x, y = np.asarray(column) + 44, np.asarray(row)
    return WCS(fits.Header(WCS_KEYWORDS)).all_pix2world(x, y, 0)


def run(
    folder,
    table,
    *,
    buffer=0.1,
    faint_limit=15.0,
    window=WINDOW,
    cutouts=None,
    name="tic.csv",
):
    folder.mkdir(parents=True, exist_ok=True)
    primary = fits.PrimaryHDU()
    primary.header["FFIINDEX"] = 11000
    flux = fits.ImageHDU(np.zeros((3, 4), dtype=np.float32))
    flux.header.update(KEYWORDS | WCS_KEYWORDS)
    image = folder / "image_ffic.fits"
    fits.HDUList([primary, flux, fits.ImageHDU(flux.data)]).writeto(image, overwrite=True)
    run_ffi_table([image], folder / "ffis.ecsv", CCD, on_bad_image="error")
    image.unlink()  # as with input.keep_ffis: false, once the table is there
    write_star_table(folder / name, table)
    run_catalog(
        folder / "ffis.ecsv",
        folder / name,
        folder / "catalog.sqlite",
        CCD,
        settings=CatalogSettings(buffer=buffer, faint_limit=faint_limit),
        window=window,
        cutouts=cutouts,
    )
    return read_catalog(folder / "catalog.sqlite")


def tic(row, column, tmag=10.0, pm_ra=0.0, pm_dec=0.0):
    ra, dec = sky(np.array(row, dtype=float), np.array(column, dtype=float))
    return pd.DataFrame(
        {
            "ID": np.arange(len(ra))[::-1] + 100,
            "ra": ra,
            "dec": dec,
            "pmRA": pm_ra,
            "pmDEC": pm_dec,
            "Tmag": tmag,
            "Teff": 5000.0,
            "disposition": "",
        }
    )


def test_stars_of_the_window_and_its_buffer(tmp_path):
    margin = 0.1 * 3600 / 21.0  # 17.14 pixels
    row = [410.25, 400 - margin + 0.5, 400 - margin - 1.0, 440 + margin - 1, 440 + margin + 1]
    column = [950.0, 950.0, 950.0, 950.0, 950.0]
    row += [420.0] * 5
    column += [900 - margin + 1, 900 - margin - 1, 1000 + margin - 1, 1000 + margin + 1, 930.5]
    known, _ = run(tmp_path, tic(row, column))
    kept = [0, 1, 3, 5, 7, 9]
    expected = pd.DataFrame({"row": row, "column": column}, index=109 - np.arange(10)).iloc[kept]
    expected = expected.sort_index()
    assert known["tic_id"].tolist() == expected.index.tolist()  # increasing
    np.testing.assert_allclose(known["row"], expected["row"], atol=1e-4)
    np.testing.assert_allclose(known["column"], expected["column"], atol=1e-4)
    assert known["ra"].max() > 359
    assert known["ra"].min() < 1


@pytest.mark.parametrize("name", sorted(STAR_TABLES))
def test_tables_of_all_formats_give_the_same_catalog(tmp_path, name):
    """Those that the check of the configuration lets pass."""
    assert table_format(name) is not None
    stars = tic([410.25, 420.5, 435.0], [950.0, 911.0, 987.5], tmag=[9.5, 10.25, np.nan])
    expected, _ = run(tmp_path / "csv", stars)
    known, _ = run(tmp_path / "other", stars, name=name)
    assert len(known) == 2
    pd.testing.assert_frame_equal(known, expected)


def test_all_formats_are_tried():
    tried = {name.lower().removeprefix("tic").removesuffix(".gz") for name in STAR_TABLES}
    assert tried == set(FORMATS)


@pytest.mark.parametrize("ref_epoch", [2016.0, 2015.5])
def test_a_list_of_gaias_epoch_gives_the_catalog_of_the_tic(tmp_path, ref_epoch):
    """8 pixels are between the two for a star of 10 arcsec a year."""
    stars = tic([410.25, 420.5], [950.0, 911.0], pm_ra=[-8000.0, 500.0], pm_dec=[6000.0, 100.0])
    expected, _ = run(tmp_path / "tic", stars)
    ours = {"ra": "ra_j2000", "dec": "dec_j2000", "pmRA": "pm_ra", "pmDEC": "pm_dec"}
    ra, dec = at_epoch(stars.rename(columns=ours), ref_epoch)
    of_gaia = stars.assign(ra=ra, dec=dec, ref_epoch=ref_epoch)
    known, _ = run(tmp_path / "gaia", of_gaia)
    for name in ("row", "column"):  # the direction of the motion turns in 16 years
        np.testing.assert_allclose(known[name], expected[name], atol=0.02)
    np.testing.assert_allclose(known["dec_j2000"], expected["dec_j2000"], atol=1e-4)


def test_stars_are_placed_where_they_are_at_the_time_of_the_images(tmp_path):
    # 1 arcsec a year to the north for 19.5 years: 19.5 arcsec / 20.9 arcsec per row
    known, about = run(tmp_path, tic([420.0], [944.0], pm_dec=1000.0))
    assert about["epoch"] == pytest.approx(2000 + (2458683.3604 - 2451545) / 365.25, abs=1e-6)
    assert about["reference_time"] == pytest.approx(2458683.3604, abs=1e-4)
    moved = (about["epoch"] - 2000) / 3600
    assert known["row"][0] - 420 == pytest.approx(moved / 0.0058, abs=1e-3)
    assert known["dec"][0] - known["dec_j2000"][0] == pytest.approx(moved, rel=1e-6)


def test_faint_and_unknown_stars_are_dropped(tmp_path):
    known, _ = run(tmp_path, tic([410, 420, 430, 435], [950] * 4, tmag=[14.9, 15.1, np.nan, 15.0]))
    assert sorted(known["tmag"]) == [14.9, 15.0]


def test_stars_of_the_other_half_of_the_sky_are_dropped(tmp_path):
    table = tic([410.0, 420.0], [950.0, 950.0])
    table.loc[1, ["ra", "dec"]] = (table["ra"][1] + 180) % 360, -table["dec"][1]
    known, _ = run(tmp_path, table)
    assert known["tic_id"].tolist() == [101]


def cutout(window, off_row, off_column):
    """A cutout of the image, whose own WCS has all stars some pixels off."""
    wcs = WCS(fits.Header(WCS_KEYWORDS))
    wcs.wcs.crpix -= window.column0 + 44 - off_column, window.row0 - off_row
    return {"path": "cutout.fits", "status": "ok", "window": window, "wcs": wcs}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_star_is_placed_by_the_nearest_cutout(tmp_path, order):
    """Of two cutouts side by side; far from both by the WCS of the whole image."""
    left = cutout(Window(410, 430, 910, 930), 0.3, -0.2)
    right = cutout(Window(412, 428, 930, 960), -0.4, 0.25)
    table = tmp_path / "cutouts.ecsv"
    write_cutout_table(table, [(left, right)[index] for index in order], CCD)
    row = np.array([420.0, 420.0, 409.0, 420.0, 430.0, 436.0, 420.0])
    column = np.array([920.0, 928.0, 929.0, 931.5, 955.0, 995.0, 1009.0])
    known, _ = run(tmp_path, tic(row, column), cutouts=table)
    assert known["tic_id"].tolist() == list(range(100, 107))
    off_row = np.array([0.3, 0.3, 0.3, -0.4, -0.4, -0.4, 0.0])[::-1]
    off_column = np.array([-0.2, -0.2, -0.2, 0.25, 0.25, 0.25, 0.0])[::-1]
    np.testing.assert_allclose(known["row"] - row[::-1], off_row, atol=1e-3)
    np.testing.assert_allclose(known["column"] - column[::-1], off_column, atol=1e-3)


def test_a_cutout_looks_only_at_the_stars_around_it():
    """At all that it may place, which reach as far as the sum of its sides, and few others."""
    rng = np.random.default_rng(3)
    row, column = rng.uniform(400, 800, 5000), rng.uniform(400, 800, 5000)
    row[:2], column[:2] = np.nan, 600.0
    windows = [Window(500, 511, 500, 513), Window(620, 631, 560, 571), Window(402, 414, 790, 799)]
    found = _stars_around(*sky(row, column), [cutout(one, 0.3, -0.2) for one in windows])
    for window, around in zip(windows, found, strict=True):
        d_row = np.maximum(np.abs(row - window.middle[0]) - window.shape[0] / 2, 0)
        d_column = np.maximum(np.abs(column - window.middle[1]) - window.shape[1] / 2, 0)
        outside, reach = np.hypot(d_row, d_column), sum(window.shape)
        assert set(np.flatnonzero(outside < reach)) <= set(around)
        assert (outside[around] < 2 * reach).all()
        assert (np.diff(around) > 0).all()


@pytest.mark.parametrize("where", [(380.0, 950.0), (395.0, 950.0)])
def test_no_star_on_the_window(tmp_path, where):
    with pytest.raises(InputDataError, match=r"tic\.csv: none of its 1 star .* lies on s0014"):
        run(tmp_path, tic([where[0]], [where[1]]))


def test_settings_tell_of_the_ccd(tmp_path):
    _, about = run(tmp_path, tic([410.0], [950.0]))
    assert (about["sector"], about["camera"], about["ccd"]) == (14, 2, 3)
    centre = sky(1023.5, 1023.5)
    np.testing.assert_allclose([about["centre_ra"], about["centre_dec"]], centre, atol=1e-8)
    assert about["reference_image"] == "image_ffic.fits"
    assert '"DATA_REL": 19' in about["image_header"]
    corners = [sky(-0.5, -0.5), sky(-0.5, 2047.5), sky(2047.5, 2047.5), sky(2047.5, -0.5)]
    found = about["footprint"]
    if isinstance(found, str):
        found = [pair.split(",") for pair in found.strip("()").split("),(")]
    np.testing.assert_allclose(np.array(found, dtype=float), np.array(corners), atol=1e-7)
    text = fits.Header.fromstring(about["wcs"], sep="\n")
    assert {key: text[key] for key in WCS_KEYWORDS} == WCS_KEYWORDS


def test_centre_of_the_camera_is_not_that_of_the_spacecraft(tmp_path):
    """RA_NOM and DEC_NOM are of the spacecraft; a camera's axis is at the corner of its CCDs."""
    _, about = run(tmp_path, tic([410.0], [950.0]))
    corner = SkyCoord(*sky(2097.0, 2105.0), unit="deg")  # CCD 3
    centre = SkyCoord(about["camera_centre_ra"], about["camera_centre_dec"], unit="deg")
    assert centre.separation(corner).deg < 0.1


@needs_realdata
@pytest.mark.realdata
def test_centre_of_a_real_camera(tmp_path):
    """Sector 1, camera 1 looked at (324.5670, -33.1730)."""
    name = "tess2018206192942-s0001-1-4-0120-s_ffic.fits"
    with fits.open(REALDATA / "ffi_cropped" / name) as hdus:
        error = fits.ImageHDU(hdus[1].data)  # cropped otherwise than the image
        fits.HDUList([hdus[0], hdus[1], error]).writeto(tmp_path / name)
    ccd_id = CcdId(1, 1, 4)
    run_ffi_table([tmp_path / name], tmp_path / "ffis.ecsv", ccd_id, on_bad_image="error")
    pd.DataFrame(
        {"ID": [7], "ra": [315.4], "dec": [-28.96], "pmRA": 0.0, "pmDEC": 0.0, "Tmag": 9.0}
    ).to_csv(tmp_path / "tic.csv", index=False)
    run_catalog(
        tmp_path / "ffis.ecsv",
        tmp_path / "tic.csv",
        tmp_path / "catalog.sqlite",
        ccd_id,
        settings=CatalogSettings(buffer=0.1, faint_limit=15.0),
        window=Window(),
    )
    known, about = read_catalog(tmp_path / "catalog.sqlite")
    assert known["row"][0] == pytest.approx(1000, abs=2)
    assert known["column"][0] == pytest.approx(1000, abs=2)
    centre = SkyCoord(about["camera_centre_ra"], about["camera_centre_dec"], unit="deg")
    assert centre.separation(SkyCoord(324.5670, -33.1730, unit="deg")).deg < 0.1
