"""Light-curve files: complete, read back equal, and understood by others' readers."""

import gzip
import warnings
from dataclasses import fields

import lightkurve
import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS
from paths import REALDATA

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.flags import ApertureFlag
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.lightcurve import LightCurve, Stamp
from tessphot_lib.core.settings import HlspSettings
from tessphot_lib.io.products.lightcurve_fits import (
    COLUMNS,
    light_curve_name,
    read_light_curve,
    write_light_curve,
)
from tessphot_lib.io.products.lightcurve_template import light_curve_template

pytestmark = pytest.mark.filterwarnings("error")

CCD_ID = CcdId(14, 2, 3)
WINDOW = Window(700, 705, 1200, 1207)
CADENCE = 1800.0
STAR = {
    "ra_j2000": 101.25,
    "dec_j2000": -33.5,
    "pm_ra": 30.0,
    "pm_dec": -40.0,
    "tmag": 9.87,
    "teff": np.nan,
}

# The keywords that TASOC's format 1.5 promises, by extension.
PRIMARY_KEYWORDS = """NEXTEND EXTNAME ORIGIN DATE TELESCOP INSTRUME FILTER OBJECT TICID CAMERA CCD
    SECTOR PROCVER FILEVER DATA_REL VERSION PHOTMET RADESYS RA_OBJ DEC_OBJ PMRA PMDEC PMTOTAL
    TESSMAG TICVER CRMITEN CRBLKSZ CRSPOC DATAVAL CREATOR SIMULATD TIMESYS TELAPSE XPOSURE
    DATE-BEG DATE-END MJD-BEG MJD-END"""
HLSP_KEYWORDS = {
    "HLSPID",
    "HLSPNAME",
    "HLSPLEAD",
    "HLSPVER",
    "HLSPTARG",
    "DOI",
    "LICENSE",
    "LICENURL",
}
TABLE_KEYWORDS = """INHERIT TIMEREF TIMESYS BJDREFI BJDREFF TIMEUNIT TSTART TSTOP DATE-OBS DATE-END
    DATE-BEG RA_TARG DEC_TARG FILTER RADESYS
    MJD-BEG MJD-END TELAPSE LIVETIME DEADC EXPOSURE XPOSURE TIMEPIXR TIMEDEL INT_TIME READTIME
    FRAMETIM NUM_FRM NREADOUT"""
TABLE_COLUMNS = [
    ("TIME", "D", "BJD - 2457000, days"),
    ("TIMECORR", "E", "d"),
    ("CADENCENO", "J", None),
    ("FLUX_RAW", "D", "e-/s"),
    ("FLUX_RAW_ERR", "D", "e-/s"),
    ("FLUX_BKG", "D", "e-/s"),
    ("FLUX_CORR", "D", "ppm"),
    ("FLUX_CORR_ERR", "D", "ppm"),
    ("QUALITY", "J", None),
    ("PIXEL_QUALITY", "J", None),
    ("MOM_CENTR1", "D", "pixels"),
    ("MOM_CENTR2", "D", "pixels"),
    ("POS_CORR1", "D", "pixels"),
    ("POS_CORR2", "D", "pixels"),
]


SINGLE = {name for name, column in COLUMNS.items() if column.format == "E"}  # float32


def sip_header():
    """A TAN-SIP WCS of a full image, with keywords around it that are none."""
    header = fits.Header()
    header["WCSAXES"] = 2
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN-SIP", "DEC--TAN-SIP"
    header["CRPIX1"], header["CRPIX2"] = 1045.0, 1001.0
    header["CRVAL1"], header["CRVAL2"] = 315.4075184165135, -28.9559997971470
    header["CD1_1"], header["CD1_2"] = -0.005495654681849, 0.001441757140596
    header["CD2_1"], header["CD2_2"] = -0.001576462149567, -0.005527475851378
    header["A_ORDER"] = header["B_ORDER"] = 2
    header["A_2_0"], header["A_1_1"], header["A_0_2"] = -1.9e-5, 1.7e-5, -3.0e-6
    header["B_2_0"], header["B_1_1"], header["B_0_2"] = 3.0e-6, -1.6e-5, 2.0e-5
    header["GAINA"], header["OBJECT"] = 5.35, "not of the WCS"
    return header


IMAGE_HEADER = {"DEADC": 0.792, "CRMITEN": True, "CRBLKSZ": 10, "CRSPOC": False, "GAINC": 5.22}


def template(**changed):
    arguments = {
        "wcs": sip_header(),
        "image_header": IMAGE_HEADER,
        "cadence_seconds": CADENCE,
        "data_rel": 19,
        "version": 5,
        "tic_version": "8.2",
        "date": "2026-01-02",
    }
    return light_curve_template(CCD_ID, **arguments | changed)


def light_curve(n_cadences=20, seed=0, tic_id=1234567890):
    rng = np.random.default_rng(seed)

    def floats():
        return rng.normal(500, 100, n_cadences)

    flux = floats()
    flux[3:5] = np.nan
    known = {
        "time": 1683.35 + np.arange(n_cadences) * CADENCE / 86400,
        "timecorr": rng.uniform(-0.005, 0.005, n_cadences),
        "cadenceno": np.arange(n_cadences, dtype=np.int32) + 22000,
        "flux": flux,
        "flux_err": floats(),
        "background": floats(),
        "flux_corr": np.full(n_cadences, np.nan),
        "flux_corr_err": np.full(n_cadences, np.nan),
        "quality": rng.integers(0, 512, n_cadences).astype(np.int32),
        "pixel_quality": rng.integers(0, 2**21, n_cadences).astype(np.int32),
        "centroid_row": floats(),
        "centroid_column": floats(),
        "pos_corr_row": floats(),
        "pos_corr_column": floats(),
    }
    # Columns that are not TASOC's need no change here.
    others = {one.name for one in fields(LightCurve)} - {"tic_id", *known}
    return LightCurve(tic_id=tic_id, **known, **{name: floats() for name in sorted(others)})


def stamp(window=WINDOW):
    rng = np.random.default_rng(7)
    average = rng.normal(100, 10, window.shape).astype(np.float32)
    average[0, 1] = np.nan
    aperture = np.full(window.shape, int(ApertureFlag.COLLECTED), dtype=np.int32)
    aperture[1:3, 4] |= ApertureFlag.IN_APERTURE
    aperture[4, 0] = ApertureFlag.IN_APERTURE  # in the aperture, but not collected
    return Stamp(window, average, aperture)


def write(path, **changed):
    arguments = {
        "light_curve": light_curve(),
        "stamp": stamp(),
        "star": STAR,
        "template": template(),
        "method": "aperture",
    }
    write_light_curve(path, **arguments | changed)
    return path


@pytest.mark.parametrize("name", ["lc.fits", "new/folder/lc.fits.gz"])
@pytest.mark.parametrize("window", [WINDOW, Window(0, 5, 0, 7), Window(2043, 2048, 2041, 2048)])
def test_what_was_written_is_read_back(tmp_path, name, window):
    before, before_stamp = light_curve(), stamp(window)
    path = write(tmp_path / name, light_curve=before, stamp=before_stamp)
    after, after_stamp, header = read_light_curve(path)
    for attribute, values in vars(before).items():
        np.testing.assert_array_equal(
            getattr(after, attribute),
            np.float32(values) if attribute in SINGLE else values,
            err_msg=attribute,
        )
        kind = np.float32 if attribute.startswith("flux_relative") else np.asarray(values).dtype
        assert np.asarray(getattr(after, attribute)).dtype == kind
    assert after_stamp.window == window
    np.testing.assert_array_equal(after_stamp.average_image, before_stamp.average_image)
    np.testing.assert_array_equal(after_stamp.aperture, before_stamp.aperture)
    assert header["TICID"] == before.tic_id
    assert "TEFF" not in header
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_astropy_verifies_the_file_and_its_checksums(tmp_path):
    path = write(tmp_path / "lc.fits.gz", extra_images={"WEIGHTMAP": np.eye(5, 7)})
    with fits.open(path, checksum=True) as hdus:
        hdus.verify("exception")
        names = ["PRIMARY", "LIGHTCURVE", "SUMIMAGE", "APERTURE", "WEIGHTMAP"]
        assert [hdu.name for hdu in hdus] == names
        assert hdus[0].header["NEXTEND"] == 4
        for hdu in hdus:
            assert hdu.verify_checksum() == hdu.verify_datasum() == 1
            keywords = [keyword for keyword in hdu.header if keyword not in ("", "COMMENT")]
            assert len(set(keywords)) == len(keywords)
        np.testing.assert_array_equal(hdus["WEIGHTMAP"].data, np.eye(5, 7))


def test_columns_and_keywords_of_the_format(tmp_path):
    with fits.open(write(tmp_path / "lc.fits")) as hdus:
        columns = hdus["LIGHTCURVE"].columns
        found = [(column.name, column.format, column.unit) for column in columns]
        assert found[: len(TABLE_COLUMNS)] == TABLE_COLUMNS  # ours may follow
        assert set(PRIMARY_KEYWORDS.split()) <= set(hdus[0].header)
        assert set(TABLE_KEYWORDS.split()) <= set(hdus["LIGHTCURVE"].header)
        primary = hdus[0].header
    assert primary["ORIGIN"] == "TASOC/Aarhus"
    assert primary["FILEVER"] == "1.5"
    assert primary["OBJECT"] == "TIC 1234567890"
    assert (primary["SECTOR"], primary["CAMERA"], primary["CCD"]) == (14, 2, 3)
    assert (primary["RA_OBJ"], primary["DEC_OBJ"]) == (101.25, -33.5)
    assert (primary["PMRA"], primary["PMDEC"], primary["PMTOTAL"]) == (30.0, -40.0, 50.0)
    assert (primary["TESSMAG"], primary["DATA_REL"], primary["VERSION"]) == (9.87, 19, 5)
    assert not {"TEFF", "EQUINOX", *HLSP_KEYWORDS} & set(primary)
    assert (primary["CRMITEN"], primary["CRBLKSZ"], primary["CRSPOC"]) == (True, 10, False)
    assert (primary["PHOTMET"], primary["SIMULATD"], primary["DATE"]) == (
        "aperture",
        False,
        "2026-01-02",
    )


def test_rows_and_columns_are_not_swapped(tmp_path):
    curve = light_curve()
    with fits.open(write(tmp_path / "lc.fits", light_curve=curve)) as hdus:
        data = hdus["LIGHTCURVE"].data
        np.testing.assert_array_equal(data["MOM_CENTR1"], curve.centroid_column)
        np.testing.assert_array_equal(data["MOM_CENTR2"], curve.centroid_row)
        np.testing.assert_array_equal(data["POS_CORR1"], curve.pos_corr_column)
        np.testing.assert_array_equal(data["POS_CORR2"], curve.pos_corr_row)


def test_times_in_the_header(tmp_path):
    _, _, header = read_light_curve(write(tmp_path / "lc.fits"))
    start, n_cadences, n_measured = 1683.35 - 1 / 96, 20, 18
    assert header["TSTART"] == pytest.approx(start, abs=1e-12)
    assert header["TSTOP"] == pytest.approx(start + n_cadences / 48, abs=1e-12)
    assert header["TELAPSE"] == pytest.approx(n_cadences / 48, abs=1e-12)
    assert header["LIVETIME"] == pytest.approx(0.792 * n_cadences / 48)
    assert header["EXPOSURE"] == pytest.approx(0.792 * n_measured / 48)
    assert header["XPOSURE"] == pytest.approx(0.792 * n_measured * 1800)
    assert header["TIMEDEL"] == 1 / 48
    assert (header["NUM_FRM"], header["NREADOUT"], header["FRAMETIM"]) == (900, 720, 2.0)
    expected = Time(start + 2457000.0, format="jd", scale="tdb")
    assert header["MJD-BEG"] == pytest.approx(expected.mjd, abs=1e-9)
    assert (header["TIMESYS"], header["DATE-BEG"]) == ("TDB", expected.tdb.isot)
    assert header["DATE-OBS"] == header["DATE-BEG"]
    end = Time(header["DATE-END"], scale="tdb") - Time(header["DATE-BEG"], scale="tdb")
    assert end.jd == pytest.approx(header["TELAPSE"], abs=1e-8)


def test_date_agrees_with_that_of_the_mission(tmp_path):
    # TSTART and DATE-OBS (UTC, 69.184 s behind) of a real image of sector 1.
    curve = light_curve(1)
    curve.time[0] = 1325.318778691997 + 1 / 96
    header = read_light_curve(write(tmp_path / "lc.fits", light_curve=curve))[2]
    assert header["DATE-OBS"].startswith("2018-07-25T19:39:02.47")


@pytest.mark.parametrize("extension", ["SUMIMAGE", "APERTURE"])
def test_wcs_of_the_stamp_agrees_with_the_full_image(tmp_path, extension):
    full = WCS(sip_header())
    with fits.open(write(tmp_path / "lc.fits")) as hdus:
        header = hdus[extension].header
    cut, physical = WCS(header), WCS(header, key="P")
    # A pixel of the stamp, off-centre; science pixel (703, 1201) = FITS column 1246, row 704.
    row, column = 3, 1
    ours = cut.all_pix2world(column, row, 0)
    np.testing.assert_allclose(ours, full.all_pix2world(1246, 704, 1), rtol=0, atol=1e-11)
    assert physical.wcs_pix2world(column, row, 0) == [pytest.approx(1246), pytest.approx(704)]
    assert "GAINA" not in header
    assert "OBJECT" not in header


def test_pixels_of_the_aperture_are_counted(tmp_path):
    with fits.open(write(tmp_path / "lc.fits")) as hdus:
        header = hdus["APERTURE"].header
    assert (header["NPIXSAP"], header["NPIXMISS"]) == (3, 1)


@pytest.mark.filterwarnings("default")  # those of lightkurve's own imports and units
def test_lightkurve_reads_it(tmp_path):
    curve = light_curve()
    path = write(tmp_path / light_curve_name(curve.tic_id, CCD_ID, CADENCE, 19, 5))
    read = lightkurve.read(path, flux_column="flux_raw")
    assert read.meta["AUTHOR"] == "TASOC"
    assert read.meta["TARGETID"] == curve.tic_id
    assert read.meta["SECTOR"] == 14
    np.testing.assert_allclose(read.time.btjd, curve.time, rtol=0, atol=1e-9)
    assert read.time.scale == "tdb"
    np.testing.assert_array_equal(np.asarray(read["flux_raw"].filled(np.nan).value), curve.flux)
    assert str(read["flux_raw"].unit) == "electron / s"
    np.testing.assert_array_equal(np.asarray(read["pixel_quality"]), curve.pixel_quality)


def test_settings_of_the_method_and_the_run(tmp_path):
    made = template(settings={"KP_SET": "x"}, simulated=True)
    path = write(tmp_path / "lc.fits", template=made, method_settings={"AP_CONT": 0.01})
    header = read_light_curve(path)[2]
    assert (header["AP_CONT"], header["KP_SET"], header["SIMULATD"]) == (0.01, "x", True)


def test_keywords_of_a_collection_are_those_that_are_set(tmp_path):
    hlsp = HlspSettings(id="mine", name="Mine", lead="A. Person", license="CC BY 4.0")
    header = fits.getheader(write(tmp_path / "lc.fits", template=template(hlsp=hlsp)))
    found = {key: header[key] for key in HLSP_KEYWORDS & set(header)}
    assert found == {
        **{"HLSPID": "mine", "HLSPNAME": "Mine", "HLSPLEAD": "A. Person"},
        **{"LICENSE": "CC BY 4.0", "HLSPVER": "v05", "HLSPTARG": "TIC 1234567890"},
    }


def test_icrs_has_no_equinox(tmp_path):
    for system, expected in (("ICRS", []), ("FK5", ["SUMIMAGE", "APERTURE"])):
        wcs = sip_header()
        wcs["RADESYS"], wcs["EQUINOX"] = system, 2000.0
        with fits.open(write(tmp_path / "lc.fits", template=template(wcs=wcs))) as hdus:
            assert [hdu.name for hdu in hdus if "EQUINOX" in hdu.header] == expected


def test_rewriting_gives_the_same_bytes_but_for_the_date(tmp_path):
    first = write(tmp_path / "first.fits.gz").read_bytes()
    assert write(tmp_path / "again.fits.gz").read_bytes() == first
    later = write(tmp_path / "later.fits.gz", template=template(date="2026-01-03")).read_bytes()
    cards = [
        (a[:8], b[:8])
        for a, b in zip(_cards(gzip.decompress(first)), _cards(gzip.decompress(later)), strict=True)
        if a != b
    ]
    assert cards == [(b"DATE    ",) * 2, (b"CHECKSUM",) * 2]


def _cards(data):
    return [data[at : at + 80] for at in range(0, len(data), 80)]


def test_a_light_curve_without_cadences(tmp_path):
    curve = light_curve(0)
    after, _, header = read_light_curve(write(tmp_path / "lc.fits", light_curve=curve))
    assert after.time.shape == (0,)
    assert not {"TSTART", "DATE-OBS", "DATE-BEG", "MJD-END"} & set(header)
    assert header["EXPOSURE"] == 0


def test_missing_times_do_not_hide_the_others(tmp_path):
    curve = light_curve()
    curve.time[[0, 7]] = np.nan
    header = read_light_curve(write(tmp_path / "lc.fits", light_curve=curve))[2]
    assert header["TSTART"] == pytest.approx(1683.35 + 1 / 96)


def test_headers_that_lack_keywords(tmp_path):
    made = template(image_header={"CRMITEN": False, "GAINA": None})
    header = read_light_curve(write(tmp_path / "lc.fits", template=made))[2]
    assert header["DEADC"] == pytest.approx(0.99)
    assert header["NREADOUT"] == 900
    assert "CRBLKSZ" not in header
    assert "GAINA" not in header


def test_name_of_the_file():
    name = light_curve_name(12345, CcdId(6, 1, 4), 600.0, 8, 5)
    assert name == "tess00000012345-s006-1-4-c0600-dr08-v05-tasoc_lc.fits.gz"


def test_a_wcs_without_reference_pixel_is_refused():
    header = sip_header()
    del header["CRPIX2"]
    with pytest.raises(InputDataError, match=r"s0014-cam2-ccd3: .*CRPIX2"):
        template(wcs=header)


@pytest.mark.parametrize("content", [b"", b"SIMPLE  = not quite", None])
def test_unreadable_files_are_named(tmp_path, content):
    path = tmp_path / "broken.fits"
    if content is None:
        path.write_bytes(write(tmp_path / "lc.fits").read_bytes()[:9000])
    else:
        path.write_bytes(content)
    refused = pytest.raises(InputDataError, match=r"broken\.fits is not a light curve")
    with warnings.catch_warnings(action="ignore"), refused:  # astropy's, about the truncation
        read_light_curve(path)


def test_cut_short_gzip_is_named(tmp_path):
    path = tmp_path / "broken.fits.gz"
    path.write_bytes(write(tmp_path / "lc.fits.gz").read_bytes()[:3000])
    with pytest.raises(InputDataError, match=r"broken\.fits\.gz is not a light curve"):
        read_light_curve(path)


@pytest.mark.realdata
@pytest.mark.skipif(not REALDATA.is_dir(), reason="the real data are not beside the project")
def test_header_of_a_real_image(tmp_path):
    image = next((REALDATA / "ffi_cropped").glob("*_ffic.fits"))
    with fits.open(image) as hdus:
        merged, wcs = dict(hdus[0].header) | dict(hdus[1].header), hdus[1].header.copy()
    path = write(tmp_path / "lc.fits.gz", template=template(wcs=wcs, image_header=merged))
    with fits.open(path, checksum=True) as hdus:
        hdus.verify("exception")
        ours = WCS(hdus["APERTURE"].header).all_pix2world(1, 3, 0)
        assert hdus[1].header["READNOIB"] == 7.464599609375
        assert hdus["SUMIMAGE"].header["B_2_0"] == 2.990245447057627e-6
    for keyword in ("DATE-OBS", "DATE-END"):  # astropy warns that it makes MJD-OBS of them
        del wcs[keyword]
    np.testing.assert_allclose(ours, WCS(wcs).all_pix2world(1246, 704, 1), rtol=0, atol=1e-11)
