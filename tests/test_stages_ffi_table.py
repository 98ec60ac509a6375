"""Step `ffi_table`: which images are kept or refused, and which is the reference."""

import numpy as np
import pytest
from astropy.io import fits

from tessphot_lib.errors import InputDataError
from tessphot_lib.io.ffi_table import read_ffi_table, reference_image
from tessphot_lib.model import CcdId
from tessphot_lib.stages.ffi_table import run_ffi_table

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
        assert not (tmp_path / "ffis.ecsv").exists()
        return
    table = listed(paths, tmp_path, "skip")
    assert names(table) == ["image000_ffic.fits", "image001_ffic.fits", "image001b_ffic.fits"]
    assert table["status"].tolist() == ["ok", "ok", "duplicate"]
    assert "the same time (cadence 11001)" in str(table["reason"][2])
    assert not table["is_reference"][2]


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
    with pytest.raises(InputDataError, match="s0014-cam2-ccd3: none of its 1 images can be used"):
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


def test_no_wcs_at_all(tmp_path):
    paths = [image(tmp_path, number, wcs=False) for number in range(2)]
    with pytest.raises(InputDataError, match=r"s0014-cam2-ccd3: no image has a usable WCS"):
        listed(paths, tmp_path)


def test_quality_tells_of_a_missing_wcs(tmp_path):
    paths = [image(tmp_path, 0, DQUALITY=36), image(tmp_path, 1, wcs=False, DQUALITY=32)]
    table = listed(paths, tmp_path)
    assert table["quality"].tolist() == [36, 32 | 524288]
    assert np.asarray(table["has_wcs"], dtype=bool).tolist() == [True, False]
