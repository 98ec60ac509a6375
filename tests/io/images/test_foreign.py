"""Files of other kinds in a folder of images: said what they are, and none missed in silence."""

import pytest

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.images.cutout_files import CUTOUT_NAME, find_cutouts
from tessphot_lib.io.images.ffi_files import FFI_NAME
from tessphot_lib.io.images.foreign import (
    foreign_files,
    foreign_lines,
    missed_images,
    puzzling_files,
)

FFI = "tess2019199201929-s0014-3-2-0150-s_ff"
CUTOUT = "tess-s0014-3-2_280.1_35.2_15x15_astrocut"


@pytest.mark.parametrize(
    ("name", "kind", "is_missed"),
    [
        (f"{FFI}ir.fits", "uncalibrated images (ffir)", False),
        ("hlsp_tica_tess_ffi_s0027-o1-00116470-cam1-ccd1_tess_v01_img.fits", "TICA", False),
        (f"{FFI}ic.fits.bz2", "another suffix or compression", True),
        (f"{FFI}ic.fits.fz", "another suffix or compression", True),
        (f"{FFI}ic.FITS", "another suffix or compression", True),
        (f"{FFI}ic.fit", "another suffix or compression", True),
        (f"{FFI}ic (1).fits", "with other names", True),
        (f"copy_of_{FFI}ic.fits", "with other names", True),
        (f"{CUTOUT}.fits", "cutouts of TESScut", False),
        (f"{CUTOUT}.fits.bz2", "cutouts with another suffix", True),
        ("tess-s0014-3-2-cube.fits", "cubes of TESScut", False),
        ("tess2019198215352-s0014-0000000000000007-0150-s_tp.fits", "target pixel files", False),
        ("hlsp_tess-spoc_tess_phot_0000000000000007-s0014_tess_v1_tp.fits", "target pixel", False),
        ("tess2019198215352-s0014-0000000000000007-0150-s_tp.fit", "another suffix", False),
        ("mine_tp.fits.part", "target pixel files with another suffix", False),
        ("ktwo206000001-c03_lpd-targ.fits.gz", "target pixel files of Kepler or K2", False),
        ("tess2019198215352-s0014-0000000000000007-0150-s_lc.fits", "light curves", False),
        (f"{CUTOUT}-custom-lc.fits", "light curves", False),
        ("sector14.tar.gz", "archives", False),
        ("astrocut_1.zip", "archives", False),
        (f"{FFI}ic.fits.part", "another suffix or compression", True),
        ("tesscurl_sector_14_ffic.sh", "download scripts", False),
        ("hlsp_qlp_tess_ffi_s0014-0000000000000007_tess_v01_llc.fits", "other programs", False),
        ("tess2019107181902-prf-3-4-row0001-col0045.fits.gz", "PRF files of the mission", False),
        ("tess-s0014-3-2-c1800_cbv.fits", "basis vectors", False),
        ("mine.fits", "other FITS files", False),
    ],
)
def test_kind_of_a_file(tmp_path, name, kind, is_missed):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / name).touch()
    (tmp_path / f"{FFI}ic.fits.gz").touch()
    (tmp_path / "notes.txt").touch()
    found = foreign_files(tmp_path, FFI_NAME)
    (line,) = foreign_lines(found)
    (found_kind,) = found
    assert kind in found_kind.name
    assert line.startswith("1 ") and f"({name}): " in line
    assert bool(list(missed_images(found, [CcdId(14, 3, 2)]))) == is_missed
    assert list(missed_images(found, [CcdId(14, 3, 3)])) == []
    told = ("light curves", "cubes", "other programs", "other FITS", "Kepler", "pixel files with")
    is_puzzling = any(word in found_kind.name for word in told)
    assert puzzling_files(found) == [line] * is_puzzling


@pytest.mark.parametrize("name", [f"{FFI}ic.fits", f"{CUTOUT}.fits"])
def test_files_of_no_sector_are_named(tmp_path, name):
    name = name.replace("s0014", "s0000")
    (tmp_path / name).touch()
    for wanted in (FFI_NAME, CUTOUT_NAME):
        (line,) = foreign_lines(foreign_files(tmp_path, wanted))
        assert line.startswith(f"1 file of sector 0 ({name}): ")


def test_images_among_cutouts(tmp_path):
    for name in (f"{CUTOUT}.fits", f"{FFI}ic.fits", f"{FFI}ic.fits.gz"):
        (tmp_path / name).touch()
    (line,) = foreign_lines(foreign_files(tmp_path, CUTOUT_NAME))
    assert line.startswith(f"2 full-frame images ({FFI}ic.fits, ...): set input.source: ffi")


@pytest.mark.parametrize(
    "name",
    ["tess-s0014-3-2-c1800_cbv.fits", "tess-s0014-3-2-cube.fits", f"{CUTOUT}-custom-lc.fits"],
)
def test_what_is_named_like_a_cutout_is_none(tmp_path, name):
    """Basis vectors are in the folder of a run, where its cutouts may be, too."""
    (tmp_path / name).touch()
    (tmp_path / f"{CUTOUT}.fits").touch()
    found = find_cutouts(tmp_path)
    assert [file.path for file in found[CcdId(14, 3, 2)]] == [str(tmp_path / f"{CUTOUT}.fits")]
    assert len(foreign_lines(foreign_files(tmp_path, CUTOUT_NAME))) == 1
