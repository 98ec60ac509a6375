"""Full-frame images: files in SPOC's layout in which every pixel has its own value."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from paths import REALDATA

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.flags import CadenceFlag
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.wcs import ffi_wcs, has_valid_wcs, pixel_to_sky, sky_to_pixel, wcs_header
from tessphot_lib.io.images.ffi import cadence_number, header_quality, read_ffi, read_ffi_header

needs_realdata = pytest.mark.skipif(
    not REALDATA.is_dir(), reason="real TESS data are not beside the project"
)
CROPPED = REALDATA / "ffi_cropped" / "tess2018206192942-s0001-1-4-0120-s_ffic.fits"

CCD = CcdId(14, 2, 3)
# As SPOC lays a CCD out; float32 holds whole numbers up to 16.7 million exactly.
N_ROWS, N_COLUMNS, FIRST_SCIENCE = 2078, 2136, 44
WINDOW = Window(1800, 1804, 30, 37)
WCS_KEYWORDS = {
    "WCSAXES": 2,
    "CTYPE1": "RA---TAN-SIP",
    "CTYPE2": "DEC--TAN-SIP",
    "CRVAL1": 315.4,
    "CRVAL2": -28.96,
    "CRPIX1": 1045.0,
    "CRPIX2": 1001.0,
    "CD1_1": -0.0055,
    "CD1_2": 0.0014,
    "CD2_1": -0.0016,
    "CD2_2": -0.0055,
    "A_ORDER": 2,
    "B_ORDER": 2,
    "A_2_0": -1.9e-5,
    "B_0_2": 2.0e-5,
}


def unique_image(n_rows=N_ROWS, n_columns=N_COLUMNS):
    return np.arange(n_rows * n_columns, dtype=np.float32).reshape(n_rows, n_columns)


def value_at(row, column, n_columns=N_COLUMNS):
    """What `unique_image` has at a science pixel."""
    return row * n_columns + column + FIRST_SCIENCE


def hdus_of(n_rows=N_ROWS, n_columns=N_COLUMNS, primary=None, image=None, drop=()):
    """Image with the keywords that matter; the times of the primary are those of the telescope."""
    first = fits.PrimaryHDU()
    first.header.update({"TELESCOP": "TESS", "FFIINDEX": 11234, "TSTART": 1.0, "TSTOP": 2.0})
    first.header.update(primary or {})
    flux = fits.ImageHDU(unique_image(n_rows, n_columns), name="CAMERA.CCD 2.3 cal")
    flux.header.update({"CAMERA": 2, "CCD": 3, "TSTART": 1683.35, "TSTOP": 1683.370833})
    flux.header.update({"BARYCORR": 0.0045, "EXPOSURE": 0.0165, "DQUALITY": 32} | WCS_KEYWORDS)
    flux.header.update(image or {})
    for key in drop:
        for header in (first.header, flux.header):
            header.remove(key, ignore_missing=True)
    error = fits.ImageHDU(0.5 * unique_image(n_rows, n_columns), name="CAMERA.CCD 2.3 uncert")
    return fits.HDUList([first, flux, error])


def small(path, **changes):
    """File with few rows, for what does not depend on the size."""
    hdus_of(n_rows=40, n_columns=60, **changes).writeto(path)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("ffi") / "tess2019199201929-s0014-2-3-0150-s_ffic.fits"
    hdus_of().writeto(path)
    return path


@pytest.fixture(scope="module")
def packed(whole):
    path = whole.with_name(whole.name + ".gz")
    path.write_bytes(gzip.compress(whole.read_bytes(), compresslevel=1))
    return path


@pytest.mark.parametrize("kind", ["whole", "packed"])
@pytest.mark.parametrize(
    "window", [WINDOW, Window(0, 1, 0, 1), Window(2047, 2048, 2040, 2048), Window(0, 3, 2047, 2048)]
)
def test_window_holds_its_science_pixels(kind, window, request):
    exposure = read_ffi(request.getfixturevalue(kind), CCD, window)
    rows, columns = np.mgrid[window.row0 : window.row1, window.column0 : window.column1]
    np.testing.assert_array_equal(exposure.flux, value_at(rows, columns))
    np.testing.assert_array_equal(exposure.flux_err, 0.5 * value_at(rows, columns))
    assert exposure.flux.dtype == exposure.flux_err.dtype == np.float32
    assert exposure.flux.dtype.isnative
    assert exposure.flux.flags.writeable


def test_whole_ccd(whole):
    exposure = read_ffi(whole, CCD, Window())
    np.testing.assert_array_equal(exposure.flux, unique_image()[:2048, 44:2092])


@pytest.mark.parametrize("kind", ["whole", "packed"])
def test_keywords_of_the_image_precede_those_of_the_primary(kind, request):
    path = request.getfixturevalue(kind)
    header = read_ffi_header(path, CCD)
    assert (header["TSTART"], header["TSTOP"]) == (1683.35, 1683.370833)
    assert header["TELESCOP"] == "TESS"
    exposure = read_ffi(path, CCD, WINDOW)
    assert (exposure.time_start, exposure.time_stop) == (1683.35, 1683.370833)
    assert exposure.time == pytest.approx(1683.3604165, abs=1e-9)
    assert exposure.timecorr == 0.0045
    assert exposure.exposure_time == pytest.approx(1425.6)
    assert (exposure.cadenceno, exposure.quality) == (11234, 32)
    assert (exposure.ccd_id, exposure.window) == (CCD, WINDOW)


def test_missing_pixels_stay_missing(tmp_path):
    hdus = hdus_of(40, 60)
    hdus[1].data[3, 44 + 5] = np.nan
    hdus.writeto(tmp_path / "a.fits")
    flux = read_ffi(tmp_path / "a.fits", CCD, Window(2, 6, 4, 8)).flux
    assert np.argwhere(np.isnan(flux)).tolist() == [[1, 1]]


@pytest.mark.parametrize("key", ["CAMERA", "CCD", "TSTART", "TSTOP", "BARYCORR", "EXPOSURE"])
def test_missing_keyword(tmp_path, key):
    path = small(tmp_path / "a.fits", drop=[key])
    with pytest.raises(InputDataError, match=f"a.fits: keyword {key} is missing"):
        read_ffi_header(path, CCD)
    with pytest.raises(InputDataError, match=f"a.fits: keyword {key} is missing"):
        read_ffi(path, CCD, Window(0, 5, 0, 5))


@pytest.mark.parametrize("value", [True, "later", fits.card.UNDEFINED])
def test_keyword_without_a_number(tmp_path, value):
    path = small(tmp_path / "a.fits", image={"BARYCORR": value})
    with pytest.raises(
        InputDataError, match=r"a.fits: keyword BARYCORR is (missing|.*not a number)"
    ):
        read_ffi_header(path, CCD)


def test_optional_keyword_without_a_value_is_missing(tmp_path):
    nothing = fits.card.UNDEFINED
    path = small(tmp_path / "a.fits", primary={"SECTOR": nothing}, image={"DQUALITY": nothing})
    assert read_ffi(path, CCD, Window(0, 5, 0, 5)).quality == 0
    assert header_quality(read_ffi_header(path, CCD)) == 0
    path = small(tmp_path / "b.fits", primary={"FFIINDEX": nothing})
    in_sector_14 = 4697 + round((1683.3604165 - 0.0045 - 1325.3235173) * 48)
    assert read_ffi(path, CCD, Window(0, 5, 0, 5)).cadenceno == in_sector_14


def test_times_must_go_forward(tmp_path):
    path = small(tmp_path / "a.fits", image={"TSTOP": 1683.35})
    with pytest.raises(InputDataError, match=r"TSTART 1683.35 is not before TSTOP 1683.35"):
        read_ffi_header(path, CCD)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (CcdId(14, 1, 3), "keyword CAMERA is 2, expected 1 for s0014-cam1-ccd3"),
        (CcdId(14, 2, 4), "keyword CCD is 3, expected 4 for s0014-cam2-ccd4"),
        (CcdId(15, 2, 3), "keyword SECTOR is 14, expected 15 for s0015-cam2-ccd3"),
    ],
)
def test_image_of_another_ccd(tmp_path, other, message):
    path = small(tmp_path / "a.fits", primary={"SECTOR": 14})
    read_ffi_header(path, CCD)
    for read in (read_ffi_header, lambda path, ccd: read_ffi(path, ccd, Window(0, 5, 0, 5))):
        with pytest.raises(InputDataError, match=message):
            read(path, other)


# Cut inside the first header, in the image, in the header of the errors, in the errors.
@pytest.mark.parametrize("size", [0, 1000, 2880, 9000, 18000, 25000])
def test_truncated_plain_file(tmp_path, size):
    path = small(tmp_path / "a.fits")
    content = path.read_bytes()
    assert size < len(content) - 2880
    path.write_bytes(content[:size])
    with pytest.raises(InputDataError, match=r"a.fits: cannot be read: \S"):
        read_ffi(path, CCD, Window(30, 40, 0, 16))
    if size < 2 * 40 * 60 * 4:
        with pytest.raises(InputDataError, match=r"a.fits: cannot be read: "):
            read_ffi_header(path, CCD)


def test_truncated_gzipped_file(whole, packed, tmp_path):
    path = tmp_path / "a.fits.gz"
    content = packed.read_bytes()
    for share in (0.0, 0.00002, 0.3, 0.7, 0.999):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(InputDataError, match=r"a.fits.gz: cannot be read: "):
            read_ffi(path, CCD, WINDOW)
    # A whole gzip of a file that had been cut before; the header tells as well:
    path.write_bytes(gzip.compress(whole.read_bytes()[:20_000_000], compresslevel=1))
    for read in (lambda: read_ffi(path, CCD, WINDOW), lambda: read_ffi_header(path, CCD)):
        with pytest.raises(InputDataError, match=r"a.fits.gz: cannot be read: "):
            read()


def test_gzipped_in_several_pieces(tmp_path):
    """As bgzip and others do, with an empty piece at the end: its size is not that of the whole."""
    content = small(tmp_path / "a.fits").read_bytes()
    pieces = [content[:10_000], content[10_000:20_000], content[20_000:], b""]
    path = tmp_path / "a.fits.gz"
    path.write_bytes(b"".join(gzip.compress(piece) for piece in pieces))
    assert read_ffi_header(path, CCD)["CAMERA"] == 2
    exposure = read_ffi(path, CCD, Window(30, 40, 0, 16))
    rows, columns = np.mgrid[30:40, 0:16]
    np.testing.assert_array_equal(exposure.flux, value_at(rows, columns, n_columns=60))
    path.write_bytes(b"".join(gzip.compress(piece) for piece in (*pieces[:2], b"")))
    with pytest.raises(InputDataError, match=r"a.fits.gz: cannot be read: it is truncated"):
        read_ffi_header(path, CCD)


def test_damaged_gzipped_file(packed, tmp_path):
    content = bytearray(packed.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path = tmp_path / "a.fits.gz"
    path.write_bytes(content)
    with pytest.raises(InputDataError, match=r"a.fits.gz: cannot be read: "):
        read_ffi(path, CCD, WINDOW)


@pytest.mark.filterwarnings("ignore:Unexpected extra padding")
@pytest.mark.parametrize("content", [b"", b"not a FITS file" * 1000, bytes(40_000)])
@pytest.mark.parametrize("name", ["a.fits", "a.fits.gz"])
def test_not_an_image(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    for read in (lambda: read_ffi(path, CCD, WINDOW), lambda: read_ffi_header(path, CCD)):
        with pytest.raises(InputDataError, match=f"{name}: cannot be read: "):
            read()


def test_no_such_file(tmp_path):
    with pytest.raises(InputDataError, match=r"none.fits: cannot be read: "):
        read_ffi_header(tmp_path / "none.fits", CCD)


def test_no_errors_and_too_small(tmp_path):
    hdus = hdus_of(40, 60)
    hdus[:2].writeto(tmp_path / "a.fits")
    with pytest.raises(InputDataError, match=r"a.fits: cannot be read: it ends before HDU 2"):
        read_ffi(tmp_path / "a.fits", CCD, Window(0, 5, 0, 5))
    hdus.writeto(tmp_path / "b.fits")
    for window in (Window(0, 41, 0, 5), Window(0, 5, 0, 17)):
        with pytest.raises(InputDataError, match=r"b.fits: an image is \(40, 60\), too small"):
            read_ffi(tmp_path / "b.fits", CCD, window)


# -- cadence numbers ----------------------------------------------------------------------------


def early_header(start, stop, barycorr):
    return fits.Header({"TSTART": start, "TSTOP": stop, "BARYCORR": barycorr})


def test_cadence_number_from_the_time():
    start, stop, barycorr = 1325.317007851970, 1325.337841177751, 3.9072474e-3
    path = Path("a.fits")
    assert cadence_number(early_header(start, stop, barycorr), path) == 4697
    for step in (-1, 1, 1300, 20000):
        later = start + step / 48, stop + step / 48, barycorr
        assert cadence_number(early_header(*later), path) == 4697 + step
    # It is the time at the telescope that counts, whatever the light travel.
    moved = early_header(start - 0.02, stop - 0.02, barycorr - 0.02)
    assert cadence_number(moved, path) == 4697
    assert cadence_number(fits.Header({"FFIINDEX": 7}), path) == 7
    with pytest.raises(InputDataError, match=r"a.fits: keyword FFIINDEX is missing and the image"):
        cadence_number(early_header(start, start + 600 / 86400, barycorr), path)


@needs_realdata
@pytest.mark.realdata
def test_cadence_number_of_a_real_image():
    header = fits.getheader(CROPPED, 1)
    assert "FFIINDEX" not in header
    assert cadence_number(header, CROPPED) == 4697


# -- world coordinates --------------------------------------------------------------------------


def test_usable_wcs():
    header = fits.Header(WCS_KEYWORDS)
    assert has_valid_wcs(header)
    assert header_quality(fits.Header(WCS_KEYWORDS | {"DQUALITY": 4})) == 4
    for key in ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1", "CD1_2", "CD2_1", "CD2_2"):
        assert not has_valid_wcs(fits.Header({k: v for k, v in WCS_KEYWORDS.items() if k != key}))
        assert not has_valid_wcs(fits.Header(WCS_KEYWORDS | {key: "unknown"}))
    for absurd in (
        {"CD1_1": 0.0, "CD1_2": 0.0},
        {"CD1_1": -0.055, "CD2_2": -0.055},
        {"CRPIX1": 1e6},
        {"CRPIX2": -5001.0},
    ):
        assert not has_valid_wcs(fits.Header(WCS_KEYWORDS | absurd)), absurd
    undefined = fits.Header(WCS_KEYWORDS)
    undefined["CRVAL1"] = None
    assert not has_valid_wcs(undefined)
    assert header_quality(fits.Header({"DQUALITY": 4})) == 4 | int(CadenceFlag.NO_WCS)


def test_bits_beyond_the_mission_s_are_not_taken_for_findings_of_this_software(tmp_path):
    strange = 4 | int(CadenceFlag.NO_DATA | CadenceFlag.COARSE_MEASURED | CadenceFlag.NO_WCS)
    assert header_quality(fits.Header(WCS_KEYWORDS | {"DQUALITY": strange})) == 4
    path = small(tmp_path / "a.fits", image={"DQUALITY": strange})
    window = Window(0, 20, 0, 16)
    assert read_ffi(path, CCD, window).quality == 4


def test_reference_pixel_points_where_the_header_says():
    # FITS counts from 1 and includes the 44 virtual columns.
    wcs = ffi_wcs(fits.Header(WCS_KEYWORDS))
    row, column = sky_to_pixel(wcs, np.array([315.4]), np.array([-28.96]))
    np.testing.assert_allclose([row[0], column[0]], [1000.0, 1000.0], atol=1e-4)
    ra, dec = pixel_to_sky(wcs, np.array([1000.0, 1001.0]), np.array([1000.0, 1000.0]))
    np.testing.assert_allclose([ra[0], dec[0]], [315.4, -28.96], atol=1e-9)
    assert dec[1] - dec[0] == pytest.approx(WCS_KEYWORDS["CD2_2"], rel=0.01)  # one row up


def test_text_of_the_wcs_is_the_wcs():
    header = fits.Header(WCS_KEYWORDS | {"CAMERA": 2, "CRPIX1P": 1, "WCSAXESP": 2, "A_DMAX": 4.5})
    cut = wcs_header(header)
    assert set(cut) == set(WCS_KEYWORDS)
    text = cut.tostring(sep="\n", endcard=False, padding=False)
    row, column = np.array([3.0, 2000.0]), np.array([2040.0, 77.0])
    np.testing.assert_allclose(
        pixel_to_sky(ffi_wcs(text), row, column), pixel_to_sky(ffi_wcs(header), row, column)
    )


@needs_realdata
@pytest.mark.realdata
def test_round_trip_over_a_real_ccd():
    wcs = ffi_wcs(fits.getheader(CROPPED, 1))
    row, column = (
        axis.ravel()
        for axis in np.meshgrid([-0.5, 30.0, 1100.0, 2047.5], [-0.5, 700.0, 2047.5], indexing="ij")
    )
    ra, dec = pixel_to_sky(wcs, row, column)
    back_row, back_column = sky_to_pixel(wcs, ra, dec)
    np.testing.assert_allclose(back_row, row, atol=1e-3)
    np.testing.assert_allclose(back_column, column, atol=1e-3)
    # astropy counts columns of the full image from 0
    sky = wcs.pixel_to_world(744.0, 30.0)
    np.testing.assert_allclose([ra[4], dec[4]], [sky.ra.deg, sky.dec.deg])


@needs_realdata
@pytest.mark.realdata
def test_rest_of_the_sky_is_on_no_pixel():
    """The tangential projection sees the other half of the sky, too."""
    wcs = ffi_wcs(fits.getheader(CROPPED, 1))
    ra, dec = (
        axis.ravel() for axis in np.meshgrid(np.arange(0, 360, 7.5), np.arange(-90, 91, 7.5))
    )
    row, column = sky_to_pixel(wcs, ra, dec)
    on_ccd = Window().contains(row, column)
    assert 1 <= on_ccd.sum() <= 6
    centre = np.radians(315.3), np.radians(-29.1)
    cosine = np.sin(centre[1]) * np.sin(np.radians(dec)) + np.cos(centre[1]) * np.cos(
        np.radians(dec)
    ) * np.cos(np.radians(ra) - centre[0])
    assert (np.degrees(np.arccos(cosine[on_ccd])) < 9).all()
    assert np.isnan(row[cosine < np.cos(np.radians(17))]).all()
    assert np.isnan(column[cosine < np.cos(np.radians(17))]).all()
    opposite = sky_to_pixel(wcs, np.array([315.4 - 180]), np.array([28.96]))
    assert np.isnan(opposite).all()


def test_no_positions():
    row, column = sky_to_pixel(ffi_wcs(fits.Header(WCS_KEYWORDS)), np.zeros(0), np.zeros(0))
    assert row.shape == column.shape == (0,)
