"""Step `ffi_table`: which images are kept or refused, and which is the reference."""

import numpy as np
import pytest
from astropy.io import fits

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.io.images.ffi import read_ffi_header
from tessphot_lib.io.images.ffi_table import (
    quality_by_name,
    read_ffi_table,
    reference_header,
    reference_image,
    write_ffi_table,
)
from tessphot_lib.io.images.refusal import forget_refused
from tessphot_lib.steps.ffi_table import run_ffi_table

CCD = CcdId(14, 2, 3)
WCS_KEYWORDS = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 280.0, "CRVAL2": 35.0}
WCS_KEYWORDS |= {"CRPIX1": 1045.0, "CRPIX2": 1001.0, "CD1_1": -0.0058, "CD1_2": 0.0}
WCS_KEYWORDS |= {"CD2_1": 0.0, "CD2_2": 0.0058}


def image(folder, number, *, name=None, wcs=True, **keywords):
    """Tiny image of the cadence ``number``."""
    time = 1683.35 + number / 48
    primary = fits.PrimaryHDU()
    primary.header["FFIINDEX"] = 11000 + number
    flux = fits.ImageHDU(np.zeros((3, 4), dtype=np.float32))
    flux.header.update({"CAMERA": 2, "CCD": 3, "TSTART": time, "TSTOP": time + 0.0208})
    flux.header.update({"BARYCORR": 0.004, "EXPOSURE": 0.0165, "DQUALITY": 0})
    flux.header.update(WCS_KEYWORDS if wcs else {})
    flux.header.update(keywords)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name or f"image{number:03d}_ffic.fits")
    fits.HDUList([primary, flux, fits.ImageHDU(flux.data)]).writeto(path)
    return path


def listed(images, folder, on_bad_image="error"):
    run_ffi_table(images, folder / "ffis.ecsv", CCD, on_bad_image=on_bad_image)
    return read_ffi_table(folder / "ffis.ecsv")


def test_image_of_another_size_is_refused_before_it_is_read(tmp_path):
    paths = [image(tmp_path, number) for number in range(2)]
    window = Window(0, 3, 0, 1)  # the images have three rows, and no science column
    with pytest.raises(
        InputDataError, match=r"image000_ffic\.fits: an image is \(3, 4\), too small"
    ):
        run_ffi_table(paths, tmp_path / "ffis.ecsv", CCD, on_bad_image="error", window=window)
        read_ffi_table(tmp_path / "ffis.ecsv")


def names(table):
    return [str(path).rsplit("/", 1)[1] for path in table["path"]]


def test_images_in_order_of_time(tmp_path):
    # Names that sort otherwise than the times do.
    paths = [
        image(tmp_path, number, name=f"{name}.fits")
        for number, name in ((5, "a"), (2, "b"), (9, "c"))
    ]
    table = listed(paths, tmp_path)
    assert names(table) == ["b.fits", "a.fits", "c.fits"]
    assert table["cadenceno"].tolist() == [11002, 11005, 11009]
    assert table["status"].tolist() == ["ok"] * 3
    np.testing.assert_allclose(table["time"], 1683.35 + np.array([2, 5, 9]) / 48 + 0.0104)
    np.testing.assert_allclose(table["exposure_time"], 1425.6)
    assert table["timecorr"].tolist() == [0.004] * 3


def test_order_of_the_files_does_not_matter(tmp_path):
    paths = [image(tmp_path / "x", number) for number in range(6)]
    paths.append(image(tmp_path / "y", 3))
    listed(paths, tmp_path / "1", "skip")
    listed(paths[::-1], tmp_path / "2", "skip")
    assert (tmp_path / "1/ffis.ecsv").read_bytes() == (tmp_path / "2/ffis.ecsv").read_bytes()


@pytest.mark.parametrize("on_bad_image", ["error", "skip"])
def test_second_image_of_a_cadence(tmp_path, on_bad_image):
    paths = [image(tmp_path, 0), image(tmp_path, 1), image(tmp_path, 1, name="image001b_ffic.fits")]
    if on_bad_image == "error":
        with pytest.raises(
            InputDataError,
            match=r"image001b_ffic\.fits: the same time \(cadence 11001\) as .*image001_ffic",
        ):
            listed(paths, tmp_path)
        # The table is there, so that Snakemake does not make again what the old one led to.
        table = read_ffi_table(tmp_path / "ffis.ecsv", even_if_refused=True)
        assert table["status"].tolist() == ["ok", "ok", "duplicate"]
        return
    table = listed(paths, tmp_path, "skip")
    assert names(table) == ["image000_ffic.fits", "image001_ffic.fits", "image001b_ffic.fits"]
    assert table["status"].tolist() == ["ok", "ok", "duplicate"]
    assert "the same time (cadence 11001)" in str(table["reason"][2])
    assert not table["is_reference"][2]


def test_the_newer_release_of_an_image_is_used(tmp_path):
    """Reprocessed images have the names of the old ones, in another folder."""
    old = [image(tmp_path / "dr01", number, DATA_REL=1) for number in range(4)]
    new = [image(tmp_path / "dr29", number, DATA_REL=29) for number in (1, 2)]
    for paths in (old + new, new[::-1] + old):
        table = listed(paths, tmp_path, "skip")
        used = table[table["status"] == "ok"]
        assert used["path"].tolist() == [str(old[0]), str(new[0]), str(new[1]), str(old[3])]
        left_out = table[table["status"] == "duplicate"]
        assert left_out["path"].tolist() == [str(old[1]), str(old[2])]
        assert f"(cadence 11001) as {new[0]}, of a newer data release" in left_out["reason"][0]


def test_mixed_releases_are_told(tmp_path, caplog):
    paths = [image(tmp_path, number, DATA_REL=1 + 28 * (number > 2)) for number in range(5)]
    listed(paths, tmp_path)
    assert "images of several data releases, 1 (3 images), 29 (2 images)" in caplog.text
    caplog.clear()
    listed(paths[:3], tmp_path)
    assert "releases" not in caplog.text


@pytest.mark.parametrize("bad", ["foreign", "unreadable", "keyword"])
def test_image_that_does_not_belong(tmp_path, bad):
    good = image(tmp_path, 1)
    if bad == "foreign":
        path, message = image(tmp_path, 0, CCD=4), "keyword CCD is 4, expected 3"
    elif bad == "keyword":
        path, message = image(tmp_path, 0, BARYCORR=None), "keyword BARYCORR is missing"
    else:
        path, message = tmp_path / "image000_ffic.fits", "cannot be read"
        path.write_bytes(good.read_bytes()[:3000])
    with pytest.raises(InputDataError, match=rf"image000_ffic\.fits: {message}"):
        listed([path, good], tmp_path)
    table = listed([path, good], tmp_path, "skip")
    assert names(table) == ["image001_ffic.fits", "image000_ffic.fits"]
    assert table["status"].tolist() == ["ok", "unusable"]
    assert message in str(table["reason"][1])
    assert reference_image(tmp_path / "ffis.ecsv") == good


def test_none_can_be_used(tmp_path):
    path = image(tmp_path, 0, CCD=4)
    with pytest.raises(InputDataError, match="s0014-cam2-ccd3: none of its 1 image can be used"):
        listed([path], tmp_path, "skip")


def test_reference_is_the_unflagged_image_with_a_wcs_in_the_middle(tmp_path):
    def reference(*specials, n_images=9):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        special = dict(specials)
        paths = [image(folder, number, **special.get(number, {})) for number in range(n_images)]
        listed(paths, folder)
        return int(reference_image(folder / "ffis.ecsv").name[5:8])

    assert reference() == 4
    assert reference((4, {"DQUALITY": 4})) in (3, 5)
    assert reference((4, {"DQUALITY": 4}), (3, {"wcs": False}), (5, {"DQUALITY": 32})) in (2, 6)
    assert reference((4, {"CD1_1": -5.0}), (3, {"DQUALITY": 4})) == 5
    # Bits that are no reason to reject do not count; if all are flagged, one of them has to do.
    assert reference((4, {"DQUALITY": 1024})) == 4
    assert reference(*((number, {"DQUALITY": 4}) for number in range(9))) == 4
    # The middle is that in time, not in number.
    folder = tmp_path / "late"
    paths = [image(folder, number) for number in (0, 1, 2, 3, 30, 60)]
    listed(paths, folder)
    assert reference_image(folder / "ffis.ecsv") == paths[4]


def test_the_header_of_the_reference_outlives_its_image(tmp_path):
    paths = [image(tmp_path, number, SIMDATA=True, GAINA=5.25 + number) for number in range(3)]
    listed(paths, tmp_path)
    written = read_ffi_header(paths[1], CCD)
    for path in paths:
        path.unlink()
    header, name = reference_header(tmp_path / "ffis.ecsv", CCD)
    assert name == paths[1].name
    assert {key: header[key] for key in written} == dict(written)
    assert header["GAINA"] == 6.25


def test_table_without_the_header_says_what_to_do(tmp_path):
    write_ffi_table(tmp_path / "ffis.ecsv", [{"path": "a.fits", "is_reference": True}], CCD)
    with pytest.raises(InputDataError, match=r"ffis\.ecsv: has no WCS of .*: delete it"):
        reference_header(tmp_path / "ffis.ecsv", CCD)


def test_no_wcs_at_all(tmp_path):
    paths = [image(tmp_path, number, wcs=False) for number in range(2)]
    with pytest.raises(InputDataError, match=r"s0014-cam2-ccd3: no image has a usable WCS"):
        listed(paths, tmp_path)


def test_quality_tells_of_a_missing_wcs(tmp_path):
    paths = [image(tmp_path, 0, DQUALITY=36), image(tmp_path, 1, wcs=False, DQUALITY=32)]
    table = listed(paths, tmp_path)
    assert table["quality"].tolist() == [36, 32 | 524288]
    assert np.asarray(table["has_wcs"], dtype=bool).tolist() == [True, False]


def test_times_of_early_releases_are_shifted(tmp_path):
    paths = [image(tmp_path, 0, DATA_REL=14), image(tmp_path, 1, DATA_REL=60)]
    table = listed(paths, tmp_path)
    raw = 1683.35 + np.array([0, 1]) / 48
    stagger = 1.5 + 0.04  # camera 2, CCD 3
    np.testing.assert_allclose(86400 * (table["time_start"] - raw), [stagger - 1.969, 0], atol=1e-4)
    late = 86400 * (table["time_stop"] - raw - 0.0208)
    np.testing.assert_allclose(late, [stagger - 1.989, 0], atol=1e-4)
    np.testing.assert_allclose(table["time_shift"], [stagger - 1.979, 0])
    # The correction and the number are still those of the header.
    assert table["timecorr"].tolist() == [0.004] * 2
    assert table["cadenceno"].tolist() == [11000, 11001]


def test_direction_that_the_correction_is_for(tmp_path):
    paths = [
        image(tmp_path, 0, BTC_PIX1=1045.0, BTC_PIX2=1001.0),  # the WCS's own pixel
        image(tmp_path, 1),  # 23 pixels to the right and up, in degrees 0.1334
        image(tmp_path, 2, wcs=False),
    ]
    table = listed(paths, tmp_path)
    np.testing.assert_allclose(table["centre_ra"][0], 280.0, atol=1e-9)
    np.testing.assert_allclose(table["centre_dec"][:2], [35.0, 35.1333], atol=2e-4)
    east = (table["centre_ra"][1] - 280.0) * np.cos(np.radians(35.1333))
    assert east == pytest.approx(-0.1334, abs=1e-4)
    assert np.isnan(table["centre_ra"][2])
    assert np.isnan(table["centre_dec"][2])


def tpf(folder, name, quality, *, first=0, camera=2, timecorr=0.001):
    """Target pixel file of 120-s cadences since the first image began; 15 are in an image."""
    cadence = np.arange(len(quality))
    moment = 1683.35 - 0.004 + (first + cadence + 0.5) / 720
    columns = [
        fits.Column("TIME", "D", array=moment + timecorr),
        fits.Column("TIMECORR", "E", array=np.full(len(quality), timecorr)),
        fits.Column("CADENCENO", "J", array=cadence),
        fits.Column("FLUX", "6E", dim="(2,3)", array=np.zeros((len(quality), 3, 2))),
        fits.Column("QUALITY", "J", array=quality),
    ]
    primary = fits.PrimaryHDU()
    primary.header.update({"SECTOR": 14, "CAMERA": camera, "CCD": 3, "DATA_REL": 60})
    table = fits.BinTableHDU.from_columns(columns, name="PIXELS")
    fits.HDUList([primary, table]).writeto(folder / name)
    return folder / name


def test_quality_is_borrowed_from_target_pixel_files(tmp_path):
    paths = [image(tmp_path, number, DQUALITY=16 * (number == 1)) for number in range(4)]
    quality = np.zeros(60, dtype=int)
    quality[[14, 17, 45]] = 32, 4 | 64 | 1024, 2048  # 64 and 1024 are of a target alone
    other = np.zeros(15, dtype=int)
    other[14] = 8
    tpfs = [
        tpf(tmp_path, "a_tp.fits", quality),
        tpf(tmp_path, "b_tp.fits.gz", other, timecorr=-1.0),
    ]
    run_ffi_table(paths, tmp_path / "ffis.ecsv", CCD, on_bad_image="error", tpfs=tpfs)
    table = read_ffi_table(tmp_path / "ffis.ecsv")
    assert table["quality"].tolist() == [32 | 8, 16 | 4, 0, 2048]
    assert quality_by_name(tmp_path / "ffis.ecsv") == {
        "image000_ffic.fits": 40,
        "image001_ffic.fits": 20,
        "image002_ffic.fits": 0,
        "image003_ffic.fits": 2048,
    }


def test_bad_target_pixel_file(tmp_path):
    paths = [image(tmp_path, 0)]
    tpfs = [tpf(tmp_path, "a_tp.fits", np.full(15, 4), camera=1)]
    run_ffi_table(paths, tmp_path / "ffis.ecsv", CCD, on_bad_image="error", tpfs=tpfs)
    with pytest.raises(InputDataError, match=r"a_tp\.fits: it is of s0014-cam1-ccd3, expected"):
        read_ffi_table(tmp_path / "ffis.ecsv")
    run_ffi_table(paths, tmp_path / "ffis.ecsv", CCD, on_bad_image="skip", tpfs=tpfs)
    assert read_ffi_table(tmp_path / "ffis.ecsv")["quality"].tolist() == [0]


def test_refused_table_is_made_again_each_time(tmp_path):
    """The bad image may be replaced by an older file, of which Snakemake takes no notice."""
    paths = [image(tmp_path, 0), image(tmp_path, 1), image(tmp_path, 2, CCD=4), image(tmp_path, 3)]
    paths.append(image(tmp_path, 3, name="image003b_ffic.fits"))
    table = tmp_path / "ffis.ecsv"
    with pytest.raises(InputDataError, match=r"CCD is 4, expected 3 .* \(and 1 more, see .*ffis"):
        listed(paths, tmp_path)
    forget_refused(table)
    assert table.stat().st_mtime < min(path.stat().st_mtime for path in paths)
    listed(paths, tmp_path, "skip")
    forget_refused(table)
    assert table.stat().st_mtime > max(path.stat().st_mtime for path in paths)
    forget_refused(tmp_path / "none.ecsv")


def test_reference_points_where_the_images_around_it_do(tmp_path):
    """The image in the middle has a plausible WCS that is 6 pixels off, or turned by 0.1 deg."""
    angle = np.radians(0.1)
    turned = {"CD1_1": -0.0058 * np.cos(angle), "CD1_2": 0.0058 * np.sin(angle)}
    turned |= {"CD2_1": 0.0058 * np.sin(angle), "CD2_2": 0.0058 * np.cos(angle)}
    wrong = {4: {"CRPIX1": 1051.0}, 5: turned, 3: {"DQUALITY": 32}}
    paths = [image(tmp_path, number, **wrong.get(number, {})) for number in range(9)]
    listed(paths, tmp_path)
    assert reference_image(tmp_path / "ffis.ecsv").name in (
        "image002_ffic.fits",
        "image006_ffic.fits",
    )
