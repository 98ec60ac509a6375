"""The tables of target pixel files: one bad file does not stop the other CCDs."""

import gzip
import shutil

import numpy as np
import pytest
from astropy.io import fits
from paths import REALDATA

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.core.wcs import ffi_wcs, sky_to_pixel
from tessphot_lib.io.images.cutout_table import read_cutout_table
from tessphot_lib.io.images.ffi_table import read_ffi_table
from tessphot_lib.motion.star_positions import measure_stamps
from tessphot_lib.steps.simulate_tpfs import run_simulate_tpfs
from tessphot_lib.steps.stamp_table import run_stamp_table

CCD = CcdId(14, 2, 3, cadence=120)
SPOC_FILE = REALDATA / "lightcurves" / "tess25155310-s01-first-cadences_tp.fits.gz"
SETTINGS = SimulationSettings(n_images=2, gap_after=1, stars_per_ccd=100_000, tpf_stars=3)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder, window = tmp_path_factory.mktemp("stamps") / "tpf", Window(700, 740, 420, 470)
    run_simulate_tpfs(CCD, folder, window=window, settings=SETTINGS, faint_limit=17.0)
    return folder


@pytest.fixture
def folder(tmp_path, simulated):
    shutil.copytree(simulated, tmp_path / "tpf")
    return tmp_path


def tables_of(folder, on_bad_image):
    """Make both tables; (files, of them used, cadences without asking whether they are refused)."""
    tables = folder / "cutouts.ecsv", folder / "ffis.ecsv"
    run_stamp_table([folder / "tpf"], *tables, CCD, on_bad_image=on_bad_image)
    used = read_cutout_table(tables[0])
    return used, read_ffi_table(tables[1], even_if_refused=True)


def damaged(path):
    """Cut a file in its header."""
    path.write_bytes(path.read_bytes()[:4000])


def without_times(path):
    with fits.open(path, mode="update") as hdus:
        hdus["PIXELS"].data["TIME"] = float("nan")


def files_in(folder):
    return sorted((folder / "tpf").glob("*.fits"))


@pytest.mark.parametrize("which", [0, 1, 2])
def test_bad_file_is_an_error_of_those_who_read_the_table(folder, which):
    bad = files_in(folder)[which]
    damaged(bad)
    used, cadences = tables_of(folder, "error")
    assert len(used) == 2
    assert len(cadences) == 30
    with pytest.raises(InputDataError, match=bad.name):
        read_ffi_table(folder / "ffis.ecsv")
    tables_of(folder, "skip")
    assert len(read_ffi_table(folder / "ffis.ecsv")) == 30


def moved(path, row, column):
    with fits.open(path, mode="update") as hdus:
        hdus["PIXELS"].data["POS_CORR1"] = column
        hdus["PIXELS"].data["POS_CORR2"] = row


def test_stars_are_placed_where_they_are_in_the_reference(folder):
    """POS_CORR is against the WCS of a file, which is that of no certain cadence."""
    for path in files_in(folder):
        moved(path, np.nan, np.nan)
    stated, cadences = tables_of(folder, "error")
    sky = [np.array([value]) for value in stated[0]["wcs"].wcs.crval]
    before = sky_to_pixel(ffi_wcs(cadences.meta["wcs"]), *sky)
    for path in files_in(folder):
        moved(path, 0.3, -0.2)
    placed, cadences = tables_of(folder, "error")
    for one, other in zip(stated, placed, strict=True):
        np.testing.assert_allclose(other["wcs"].wcs.crpix - one["wcs"].wcs.crpix, [-0.2, 0.3])
    after = sky_to_pixel(ffi_wcs(cadences.meta["wcs"]), *sky)
    np.testing.assert_allclose(np.subtract(after, before)[:, 0], [0.3, -0.2], atol=1e-3)


def test_all_problems_are_counted(folder):
    for path in files_in(folder)[1:]:
        damaged(path)
    tables_of(folder, "error")
    with pytest.raises(InputDataError, match=r"and 1 more, see .*cutouts\.ecsv"):
        read_ffi_table(folder / "ffis.ecsv")


@pytest.mark.parametrize("on_bad_image", ["error", "skip"])
@pytest.mark.parametrize(
    ("spoil", "n_used", "match"),
    [(damaged, 0, "tp.fits"), (without_times, 3, "none of its target pixel files has times")],
)
def test_without_any_good_file(folder, on_bad_image, spoil, n_used, match):
    for path in files_in(folder):
        spoil(path)
    used, cadences = tables_of(folder, on_bad_image)
    assert (len(used), len(cadences)) == (n_used, 0)
    with pytest.raises(InputDataError, match=match):
        read_ffi_table(folder / "ffis.ecsv")


def changed(name, change):
    """Change a column of the table PIXELS."""

    def spoil(path):
        with fits.open(path, mode="update") as hdus:
            hdus["PIXELS"].data[name] = change(hdus["PIXELS"].data[name])

    return spoil


def displaced(path):
    """Name pixels that are 300 columns off those that its WCS is of."""
    with fits.open(path, mode="update") as hdus:
        hdus["PIXELS"].header["1CRV5P"] += 300


def flipped(path):
    """Pack a file, some bytes of its table damaged."""
    content = bytearray(gzip.compress(path.read_bytes()))
    content[len(content) // 2] ^= 0xFF
    path.unlink()
    path.with_name(path.name + ".gz").write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (changed("TIME", lambda time: time + 1), "its cadences .* other times than in most other"),
        (changed("CADENCENO", lambda number: number - 10), "its cadences .* other times than in"),
        (changed("TIME", lambda time: time[::-1]), "column TIME does not increase"),
        (changed("TIME", lambda time: time + 2457000), "column TIME has 2.45868e.06 to .* no BTJD"),
        (changed("CADENCENO", lambda number: number // 2), "column CADENCENO does not increase"),
        (displaced, r"its pixels \(1CRV5P, 2CRV5P\) and its WCS contradict those of most other"),
        (flipped, "cannot be read: "),
    ],
)
@pytest.mark.parametrize("which", [0, 2])
def test_file_that_contradicts_itself_or_the_others(folder, spoil, said, which):
    path = files_in(folder)[which]
    spoil(path)
    used, cadences = tables_of(folder, "error")
    assert (len(used), len(cadences)) == (2, 30)
    with pytest.raises(InputDataError, match=f"{path.name}.*: {said}") as caught:
        read_ffi_table(folder / "ffis.ecsv")
    assert "\n" not in str(caught.value)
    tables_of(folder, "skip")
    assert np.diff(read_ffi_table(folder / "ffis.ecsv")["time"]) == pytest.approx(
        np.diff(cadences["time"])
    )


def packed(path):
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


@pytest.mark.parametrize("compressed", [False, True])
def test_times_of_all_files_are_compared_not_of_the_sample_alone(folder, monkeypatch, compressed):
    monkeypatch.setattr("tessphot_lib.steps.stamp_table.SAMPLE", 1)
    good, path = files_in(folder)[1:]
    changed("TIME", lambda time: time + 0.1)(path)
    if compressed:
        packed(path)
        packed(good)
    used, cadences = tables_of(folder, "error")
    assert (len(used), len(cadences)) == (2, 30)
    with pytest.raises(InputDataError, match=f"{path.name}.*: its cadences .* other times than"):
        read_ffi_table(folder / "ffis.ecsv")


def test_file_without_times_at_its_begin_contradicts_none(folder, monkeypatch):
    monkeypatch.setattr("tessphot_lib.steps.stamp_table.SAMPLE", 1)
    without_times(files_in(folder)[2])
    used, _ = tables_of(folder, "error")
    assert len(used) == 3


def test_folder_without_files(tmp_path):
    (tmp_path / "tpf").mkdir()
    assert len(tables_of(tmp_path, "error")[1]) == 0
    with pytest.raises(InputDataError, match=f"{CCD}: none of its 0 target pixel files"):
        read_ffi_table(tmp_path / "ffis.ecsv")


@pytest.mark.realdata
@pytest.mark.skipif(not SPOC_FILE.is_file(), reason="real TESS data are not beside the project")
def test_star_of_a_real_file_is_where_its_light_is(tmp_path):
    """POS_CORR of the first cadences of sector 1: 0.37 pixels against the WCS."""
    tables, ccd_id = (tmp_path / "cutouts.ecsv", tmp_path / "ffis.ecsv"), CcdId(1, 4, 1, 120)
    run_stamp_table([SPOC_FILE], *tables, ccd_id, on_bad_image="error")
    (row,) = read_cutout_table(tables[0])
    with fits.open(SPOC_FILE) as hdus:
        light = hdus[1].data["FLUX"][2:].mean(axis=0, dtype=float)
        target = hdus[1].header["RA_OBJ"], hdus[1].header["DEC_OBJ"]
    column, line = row["wcs"].all_world2pix(*target, 0)
    seen = measure_stamps(light[None], line.reshape(1), column.reshape(1))
    assert abs(line - seen[0][0]) < 0.1
    assert abs(column - seen[1][0]) < 0.1
