"""Cutouts of TESScut: what is read from them, what is refused, and how a CCD's table is made."""

import gzip
import shutil

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from cutout_files import blank_images, write_cutout
from paths import REALDATA

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.io.images.cutout_clock import NO_CADENCE
from tessphot_lib.io.images.cutout_files import find_cutouts
from tessphot_lib.io.images.cutout_table import (
    read_cutout_table,
    read_unused_cutouts,
    target_in_name,
)
from tessphot_lib.io.images.ffi_table import read_ffi_table
from tessphot_lib.io.images.tesscut import read_cutout, read_cutout_pixels
from tessphot_lib.steps.cutout_table import run_cutout_table

CCD = CcdId(14, 3, 4)
WINDOW = [100, 109, 200, 212]
STARTS = ("TSTART", "TSTOP")
S0008 = "tesscut_s0008_cam3_ccd4"


@pytest.fixture(scope="module")
def images():
    return blank_images(12, [95, 130, 195, 230])


def times(images):
    return np.array([0.5 * (one["TSTART"] + one["TSTOP"]) for one in images["header"]])


def table_of(folder, paths, on_bad_image="error"):
    run_cutout_table(paths, folder / "c.ecsv", folder / "f.ecsv", CCD, on_bad_image=on_bad_image)
    return read_cutout_table(folder / "c.ecsv"), read_ffi_table(folder / "f.ecsv")


# -- what is read -------------------------------------------------------------------------------


def test_place_pixels_and_wcs(tmp_path, images):
    path = write_cutout(tmp_path, images, WINDOW)
    cutout = read_cutout(path, CCD)
    assert cutout.window == Window(*WINDOW)
    flux, flux_err = read_cutout_pixels(path)
    np.testing.assert_array_equal(flux, images["flux"][:, 5:14, 5:17])
    assert flux_err.dtype == np.float32
    assert (flux_err == 5).all()
    # The target was asked for in the middle.
    x, y = cutout.wcs.all_world2pix(*cutout.target, 0)
    assert (float(x), float(y)) == pytest.approx((5.5, 4.0), abs=1e-3)
    assert cutout.cadenceno.tolist() == list(range(5000, 5012))
    np.testing.assert_allclose(cutout.time, times(images), rtol=0, atol=1e-10)


@pytest.mark.parametrize("seconds", [20, 200, 600, 1800])
def test_rounded_times_are_restored(tmp_path, seconds):
    made = blank_images(80, WINDOW, seconds=seconds)
    use = np.r_[0:20, 50:80]  # a gap
    made |= {key: [made[key][index] for index in use] for key in ("header", "name")}
    made |= {key: made[key][use] for key in ("flux", "flux_err")}
    old = read_cutout(write_cutout(tmp_path, made, WINDOW, rounded=True, numbered=False), CCD)
    off = (old.time - times(made)) * 86400
    rounded = (times(made).astype(np.float32) - times(made)) * 86400
    assert np.abs(rounded).max() > 2  # what there was to be mended [s]
    assert np.abs(off).max() < 0.1
    assert old.cadenceno.tolist() == (5000 + use).tolist()  # counted from the header's


def test_rounded_times_follow_a_clock_that_was_set_anew(tmp_path):
    """The names of the images, good to a second, tell of it."""
    made = blank_images(60, WINDOW)
    for header in made["header"][25:]:
        header["TSTART"], header["TSTOP"] = (header[key] + 140 / 86400 for key in STARTS)
    made["name"][25:] = [  # 2 min 20 s
        f"{name[:13]}{int(name[13:17]) + 220:04d}{name[17:]}" for name in made["name"][25:]
    ]
    old = read_cutout(write_cutout(tmp_path, made, WINDOW, rounded=True, numbered=False), CCD)
    assert np.abs(old.time - times(made)).max() * 86400 < 2
    assert old.cadenceno.tolist() == list(range(5000, 5060))


def test_exact_times_stay(tmp_path, images):
    moved = images | {"header": [header.copy() for header in images["header"]]}
    for key in ("TSTART", "TSTOP"):
        moved["header"][3][key] += 0.3 / 86400  # a clock is never that steady
    cutout = read_cutout(write_cutout(tmp_path, moved, WINDOW), CCD)
    np.testing.assert_allclose(cutout.time, times(moved), rtol=0, atol=1e-10)


def test_exact_times_stay_whatever_the_clock_does(tmp_path):
    """After a restart the images come at other times of the half hour."""
    made = blank_images(60, WINDOW)
    for header in made["header"][40:]:
        header["TSTART"], header["TSTOP"] = (header[key] + 0.004 for key in ("TSTART", "TSTOP"))
    cutout = read_cutout(write_cutout(tmp_path, made, WINDOW), CCD)
    np.testing.assert_allclose(cutout.time, times(made), rtol=0, atol=1e-10)


@pytest.mark.parametrize("first", [0, 1, 6000])
def test_numbers_of_rows_are_no_cadence_numbers(tmp_path, images, first):
    """Of a cutout whose images have a gap, with CADENCENO counting on through it."""
    use = [0, 1, 2, 8, 9, 10]
    gappy = images | {key: [images[key][index] for index in use] for key in ("header", "name")}
    gappy |= {key: images[key][use] for key in ("flux", "flux_err")}
    path = write_cutout(
        tmp_path, gappy, WINDOW, columns={"CADENCENO": lambda _: first + np.arange(6)}
    )
    assert read_cutout(path, CCD).cadenceno.tolist() == [5000 + index for index in use]


def test_first_number_is_that_of_the_first_row(tmp_path, images):
    """FFIINDEX is, whether that row has a time or not."""

    def lose(values):
        values[:2] = np.nan
        return values

    path = write_cutout(tmp_path, images, WINDOW, numbered=False, columns={"TIME": lose})
    assert read_cutout(path, CCD).cadenceno.tolist() == [NO_CADENCE] * 2 + list(range(5002, 5012))


@pytest.mark.parametrize("numbered", [True, False])
def test_image_that_the_cube_has_twice_counts_once(tmp_path, images, numbered):
    """Cubes that were added to may hold images twice, at the end or side by side."""
    order = [0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 5, 6]
    twice = {key: [images[key][index] for index in order] for key in ("header", "name")}
    twice |= {key: images[key][order] for key in ("flux", "flux_err")}
    path = write_cutout(tmp_path, images | twice, WINDOW, numbered=numbered)
    cutout = read_cutout(path, CCD)
    assert np.flatnonzero(cutout.cadenceno == NO_CADENCE).tolist() == [4, 13, 14]
    assert cutout.cadenceno[cutout.cadenceno != NO_CADENCE].tolist() == list(range(5000, 5012))
    _, ffis = table_of(tmp_path, [path])
    np.testing.assert_allclose(ffis["time"], times(images), rtol=0, atol=1e-9)


def test_numbers_of_early_sectors_follow_from_the_time(tmp_path, images):
    """Without FFIINDEX and CADENCENO the clock counts, the same for all cutouts."""
    first = write_cutout(tmp_path, images, WINDOW, numbered=False, FFIINDEX=None)
    later = write_cutout(
        tmp_path, images, [100, 109, 201, 212], numbered=False, FFIINDEX=None, use=slice(4, None)
    )
    one, other = read_cutout(first, CCD).cadenceno, read_cutout(later, CCD).cadenceno
    assert np.diff(one).tolist() == [1] * 11
    assert one[4:].tolist() == other.tolist()
    # Number 4697 is in the middle of TSTART 1325.317..., 1800 s each.
    assert one[0] == 4697 + round((1683.35 + 900 / 86400 - 1325.32352) * 48)


def test_beyond_the_edge_of_the_ccd(tmp_path):
    """TESScut pads what lies beyond the image, and gives columns that are no science pixels."""
    made = blank_images(5, [0, 20, -10, 20])
    path = write_cutout(tmp_path, made, [-4, 8, -6, 7])
    cutout = read_cutout(path, CCD)
    assert cutout.window == Window(0, 8, 0, 7)
    flux, _ = read_cutout_pixels(path)
    np.testing.assert_array_equal(flux, made["flux"][:, :8, 10:17])
    inside = write_cutout(tmp_path / "inside", made, [0, 8, 0, 7])
    there = read_cutout(inside, CCD).wcs.all_pix2world(3, 4, 0)
    np.testing.assert_allclose(cutout.wcs.all_pix2world(3, 4, 0), there, atol=2e-6)
    with pytest.raises(InputDataError, match=r"none of its pixels are science pixels: rows -12"):
        read_cutout(write_cutout(tmp_path, made, [-12, 0, 2, 9]), CCD)


def test_padding_is_no_pixel(tmp_path, images):
    def pad(flux):
        flux[:, :2] = 0
        flux[:, :, 0] = np.nan
        return flux

    flux, flux_err = read_cutout_pixels(
        write_cutout(tmp_path, images, WINDOW, columns={"FLUX": pad})
    )
    assert np.isnan(flux[:, :2]).all()
    assert np.isnan(flux_err[:, :2]).all()
    assert np.isnan(flux_err[:, :, 0]).all()
    assert np.isfinite(flux[:, 2:, 1:]).all()


def test_rows_without_an_image(tmp_path, images):
    def no_time(values):
        values[[2, 7]] = [np.nan, 0.0]
        return values

    def no_name(values):
        values[4] = ""
        return values

    columns = {"TIME": no_time, "FFI_FILE": no_name}
    path = write_cutout(tmp_path, images, WINDOW, columns=columns)
    cutout = read_cutout(path, CCD)
    assert np.flatnonzero(cutout.cadenceno == NO_CADENCE).tolist() == [2, 4, 7]
    assert np.flatnonzero(np.isnan(cutout.time)).tolist() == [2, 4, 7]
    _, ffis = table_of(tmp_path, [path])
    assert (ffis["cadenceno"] - 5000).tolist() == [0, 1, 3, 5, 6, 8, 9, 10, 11]


def test_only_bits_of_the_mission_count(tmp_path, images):
    columns = {"QUALITY": lambda values: values * 0 + (32 | 1 << 16 | 1 << 21)}
    path = write_cutout(tmp_path, images, WINDOW, columns=columns)
    assert set(read_cutout(path, CCD).quality.tolist()) == {32}


# -- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": {"FFI_FILE": None}}, "column FFI_FILE is missing: not a cutout of TESScut?"),
        ({"columns": {"FLUX_ERR": None}}, "column FLUX_ERR is missing"),
        ({"SECTOR": 15}, "keyword SECTOR is 15, its name says 14"),
        ({"CAMERA": None}, "keyword CAMERA is None, its name says 3"),
        ({"2CRV4P": None}, "keyword 2CRV4P is missing: no position on the CCD"),
        ({"WCS_FFI": "tess2018221075942-s0001-4-1-0120-s_ffic.fits"}, "its WCS is of another CCD"),
        ({"RA_OBJ": 281.5}, "does not lie on its pixels by its own WCS"),
        ({"columns": {"TIME": lambda values: values * np.nan}}, "column TIME has no times"),
        ({"columns": {"FFI_FILE": lambda names: names[::-1]}}, "FFI_FILE is not in order of time"),
        (
            {"columns": {"FFI_FILE": lambda names: ["x"] * len(names)}},
            "FFI_FILE does not name full",
        ),
        (
            {
                "columns": {
                    "FFI_FILE": lambda names: (
                        ["hlsp_tica_tess_ffi_s0014-o1-00116470-cam3-ccd4_tess_v01_img"] * len(names)
                    )
                }
            },
            "FFI_FILE names images of TICA .*, not the mission's calibrated ones",
        ),
        (
            {
                "columns": {
                    "FFI_FILE": lambda names: [name.replace("-3-4-", "-3-3-") for name in names]
                }
            },
            "FFI_FILE names images of another CCD: tess2019199202200-s0014-3-3-0150",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_refused(tmp_path, images, change, message):
    change = change | {"name": "tess-s0014-3-4_a.fits"}
    path = write_cutout(tmp_path, images, WINDOW, **change)
    with pytest.raises(InputDataError, match=f"tess-s0014-3-4_a.fits: .*{message}"):
        read_cutout(path, CCD)


def test_no_table_or_no_wcs(tmp_path, images):
    fits.HDUList([fits.PrimaryHDU()]).writeto(tmp_path / "empty.fits")
    with pytest.raises(InputDataError, match=r"empty\.fits: it has no table of images"):
        read_cutout(tmp_path / "empty.fits", CCD)
    path = write_cutout(tmp_path, images, WINDOW)
    with fits.open(path) as hdus:
        del hdus[2].header["CRVAL1"]
        hdus.writeto(tmp_path / "nowcs.fits")
    with pytest.raises(InputDataError, match=r"nowcs\.fits: keyword CRVAL1 is missing"):
        read_cutout(tmp_path / "nowcs.fits", CCD)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
@pytest.mark.filterwarnings("ignore:File may have been truncated")
@pytest.mark.parametrize("zipped", [True, False])
def test_truncated(tmp_path, images, share, zipped):
    content = write_cutout(tmp_path, images, WINDOW).read_bytes()
    content = gzip.compress(content) if zipped else content
    path = tmp_path / ("cut.fits" + ".gz" * zipped)
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(
        InputDataError, match=r"cut\.fits.*: (cannot be read|keyword CTYPE1|it has no)"
    ):
        read_cutout(path, CCD)


# -- the cutouts of a CCD -----------------------------------------------------------------------


def test_cutouts_with_different_images(tmp_path, images):
    paths = [
        write_cutout(tmp_path, images, WINDOW, use=slice(0, 8)),
        write_cutout(tmp_path, images, [110, 120, 200, 212], use=slice(5, 12)),
    ]
    used, ffis = table_of(tmp_path, paths)
    assert len(used) == 2
    assert ffis["cadenceno"].tolist() == list(range(5000, 5012))
    np.testing.assert_allclose(ffis["time"], times(images), rtol=0, atol=1e-9)
    assert ffis["is_reference"].sum() == 1


def test_overlapping_cutouts_that_agree(tmp_path, images):
    paths = [
        write_cutout(tmp_path, images, WINDOW),
        write_cutout(tmp_path / "below" / "deep", images, [104, 115, 205, 220], use=slice(3, 9)),
        write_cutout(tmp_path / "copy", images, WINDOW),
    ]
    used, _ = table_of(tmp_path, paths)
    assert len(used) == 3


def test_the_later_of_two_that_contradict_each_other_is_not_used(tmp_path, images, caplog):
    other = images | {"flux": images["flux"].copy()}
    other["flux"][6, 12, 14] += 0.5  # one pixel of one image, in the overlap
    first = write_cutout(tmp_path, images, WINDOW, name="tess-s0014-3-4_1.5_2.5_12x9_astrocut.fits")
    window = [104, 115, 205, 220]
    second = write_cutout(
        tmp_path, other, window, name="tess-s0014-3-4_3.5_-2.5_15x11_astrocut.fits"
    )
    used, _ = table_of(tmp_path, [second, first])
    assert [cutout["path"] for cutout in used] == [first]
    (left_out,) = read_unused_cutouts(tmp_path / "c.ecsv")
    assert left_out["path"] == second
    assert left_out["reason"] == f"its pixels contradict those of {first}"
    assert (left_out["ra"], left_out["dec"], left_out["size"]) == (3.5, -2.5, 15)
    assert f"left out: {second}: its pixels contradict those of {first}" in caplog.text
    # Without that image they agree.
    again = write_cutout(tmp_path, other, window, name=second.name, use=slice(7, None))
    assert len(table_of(tmp_path, [again, first])[0]) == 2


def test_direction_that_the_times_are_for(tmp_path, images):
    """As far as cutouts know it: well about the middle of the CCD, and some arcmin elsewhere."""
    _, ffis = table_of(tmp_path, [write_cutout(tmp_path, images, WINDOW)])
    assert np.isfinite(ffis["centre_ra"]).all()
    assert (ffis["centre_error"] == 600).all()
    middle = blank_images(3, [1000, 1010, 900, 910])
    _, ffis = table_of(tmp_path, [write_cutout(tmp_path, middle, middle["window"])])
    header = middle["header"][0]
    ra, dec = WCS(header).all_pix2world(1068, 1024, 1)
    assert ffis["centre_ra"][0] == pytest.approx(float(ra), abs=1e-3)
    assert ffis["centre_dec"][0] == pytest.approx(float(dec), abs=1e-3)


def test_one_cutout_of_one_image(tmp_path, images):
    used, ffis = table_of(tmp_path, [write_cutout(tmp_path, images, WINDOW, use=slice(0, 1))])
    assert len(used) == len(ffis) == 1


def test_all_bad(tmp_path, images):
    wrong = "tess2018221075942-s0001-4-1-0120-s_ffic.fits"
    paths = [
        write_cutout(tmp_path, images, WINDOW, WCS_FFI=wrong, name=f"tess-s0014-3-4_{n}.fits")
        for n in "ab"
    ]
    with pytest.raises(
        InputDataError,
        match=r"s0014-cam3-ccd4: none of its 2 cutouts can be used, the first because of "
        r".*_a\.fits: keyword WCS_FFI is",
    ):
        table_of(tmp_path, paths)


def test_unreadable_is_an_error_or_listed(tmp_path, images):
    good = write_cutout(tmp_path, images, WINDOW)
    bad = tmp_path / "tess-s0014-3-4_12.5_-45_15x15_astrocut.fits.gz"
    bad.write_bytes(gzip.compress(good.read_bytes())[:3000])
    with pytest.raises(InputDataError, match=r"15x15_astrocut\.fits\.gz: "):
        table_of(tmp_path, [good, bad])
    used, _ = table_of(tmp_path, [good, bad], on_bad_image="skip")
    assert len(used) == 1
    (left_out,) = read_unused_cutouts(tmp_path / "c.ecsv")
    assert (left_out["ra"], left_out["dec"], left_out["size"]) == (12.5, -45, 15)
    assert bad.name in left_out["reason"]


def test_table_keeps_the_wcs(tmp_path, images):
    path = write_cutout(tmp_path, images, WINDOW)
    (row,) = table_of(tmp_path, [path])[0]
    cutout = read_cutout(path, CCD)
    assert row["window"] == cutout.window
    for x, y in ((0, 0), (3.3, 11)):
        there = cutout.wcs.all_pix2world(x, y, 0)
        np.testing.assert_allclose(row["wcs"].all_pix2world(x, y, 0), there, atol=1e-9)


# -- files --------------------------------------------------------------------------------------


def test_found_by_name_in_all_folders(tmp_path, images):
    path = write_cutout(tmp_path / "a" / "b", images, WINDOW)
    shutil.copy(path, tmp_path / "tess-s0015-1-2_10.0_-3.5_10x10_astrocut.fits")
    (tmp_path / "tess-s0014-3-4_notes.txt").touch()
    (tmp_path / "tess2019-s0014-3-4_ffic.fits").touch()
    found = find_cutouts(tmp_path)
    assert list(found) == [CCD, CcdId(15, 1, 2)]
    assert [one.path for one in found[CCD]] == [str(path)]


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("tess-s0008-3-4_130.75_-53.9_15x12_astrocut.fits", (130.75, -53.9, 15)),
        ("tess-s0008-3-4_82_3_8x9_astrocut.fits.gz", (82, 3, 9)),
        ("tess-s0008-3-4_83.4063100_-62.4897710_64-x-32_astrocut.fits", (83.40631, -62.489771, 64)),
        ("tess-s0008-3-4_83.4_+2.5_10.5pixel-x-4pix_astrocut.fits", (83.4, 2.5, 10.5)),
        ("tess-s0008-3-4_83.4_+2.5_7arcmin-x-84arcsec_astrocut.fits.gz", (83.4, 2.5, 20)),
        ("tess-s0008-3-4_star.fits", (np.nan, np.nan, np.nan)),
    ],
)
def test_target_in_name(name, target):
    np.testing.assert_array_equal(target_in_name(name), target)


@pytest.mark.realdata
@pytest.mark.skipif(not REALDATA.is_dir(), reason="real TESS data are not beside the project")
@pytest.mark.parametrize(
    ("name", "ccd_id", "off"),
    [  # of 1155, 968 and 10 images; with TSTART barycentric, at the telescope, and 200 s apart
        ("tesscut_more/tess-s0019-1-3_65.489205_28.443210_10x10_astrocut.fits.gz", (19, 1, 3), 3.0),
        (f"{S0008}/tess-s0008-3-4_128.754968_-52.233730_8x8_astrocut.fits.gz", (8, 3, 4), 1e-3),
        ("sparse20/tess-s0036-4-3_82.187000_-65.448690_20x20_astrocut.fits.gz", (36, 4, 3), 1e-3),
    ],
)
def test_cutout_that_was_cut_in_time(tmp_path, name, ccd_id, off):
    """Its header still is that of the whole sector."""
    whole = read_cutout(REALDATA / name, CcdId(*ccd_id))
    half = len(whole.time) // 2
    for count in (1, 2, 5):
        rows = slice(half, half + count)
        with fits.open(REALDATA / name) as hdus:
            hdus[1].data = hdus[1].data[rows]
            hdus.writeto(tmp_path / "cut.fits", overwrite=True)
        cut = read_cutout(tmp_path / "cut.fits", CcdId(*ccd_id))
        assert cut.cadenceno.tolist() == whole.cadenceno[rows].tolist()
        np.testing.assert_allclose(86400 * (cut.time - whole.time[rows]), 0, atol=off)
