"""A finished run: all products are there, whole, and readable by other programs."""

import json
import platform
import shutil
import sqlite3
from datetime import datetime, timedelta

import h5py
import hdf5plugin  # noqa: F401  (without it h5py cannot read the pixels)
import lightkurve
import numpy as np
import pytest
from astropy.io import fits
from matplotlib import image
from pipeline_run import CCD, COARSE, DUMPS, NAN, SHOWCASE, ZERO

import tessphot_lib
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.provenance import software_version
from tessphot_lib.io.images.ffi_table import read_ffi_table
from tessphot_lib.steps.pictures import run_pictures

# Column, type and whether NULL is forbidden, as TASOC's programs know them.
TODOLIST = {
    "priority": "INTEGER",
    "starid": "INTEGER",
    "sector": "INTEGER",
    "datasource": "TEXT",
    "camera": "INTEGER",
    "ccd": "INTEGER",
    "cadence": "INTEGER",
    "method": "TEXT",
    "tmag": "REAL",
    "status": "INTEGER",
    "cbv_area": "INTEGER",
}
DIAGNOSTICS = {
    "priority": "INTEGER",
    "lightcurve": "TEXT",
    "method_used": "TEXT",
    "elaptime": "REAL",
    "worker_wait_time": "REAL",
    "mean_flux": "REAL",
    "variance": "REAL",
    "variability": "REAL",
    "rms_hour": "REAL",
    "ptp": "REAL",
    "pos_row": "REAL",
    "pos_column": "REAL",
    "contamination": "REAL",
    "mask_size": "INTEGER",
    "edge_flux": "REAL",
    "stamp_width": "INTEGER",
    "stamp_height": "INTEGER",
    "stamp_resizes": "INTEGER",
    "errors": "TEXT",
    "cdpp_0_5h": "REAL",
    "cdpp_1h": "REAL",
    "cdpp_2h": "REAL",
    "cdpp_6h": "REAL",
}
CATALOG = {
    "starid": "INTEGER",
    "ra": "REAL",
    "decl": "REAL",
    "ra_J2000": "REAL",
    "decl_J2000": "REAL",
    "pm_ra": "REAL",
    "pm_decl": "REAL",
    "tmag": "REAL",
    "teff": "REAL",
}
SETTINGS = {
    "sector": "INTEGER",
    "camera": "INTEGER",
    "ccd": "INTEGER",
    "ticver": "TEXT",
    "reference_time": "REAL",
    "epoch": "REAL",
    "coord_buffer": "REAL",
    "camera_centre_ra": "REAL",
    "camera_centre_dec": "REAL",
    "footprint": "TEXT",
}
# The columns of TASOC files, in this order.
LIGHT_CURVE = {
    "TIME": "D",
    "TIMECORR": "E",
    "CADENCENO": "J",
    "FLUX_RAW": "D",
    "FLUX_RAW_ERR": "D",
    "FLUX_BKG": "D",
    "FLUX_CORR": "D",
    "FLUX_CORR_ERR": "D",
    "QUALITY": "J",
    "PIXEL_QUALITY": "J",
    "MOM_CENTR1": "D",
    "MOM_CENTR2": "D",
    "POS_CORR1": "D",
    "POS_CORR2": "D",
}


@pytest.fixture
def todo(small_run):
    with sqlite3.connect(small_run.results / "todo.sqlite") as connection:
        yield connection


def columns(connection, table):
    return {row[1]: row[2] for row in connection.execute(f"PRAGMA table_info({table})")}


def unique_indices(connection, table):
    indices = connection.execute(f"PRAGMA index_list({table})").fetchall()
    return [
        [column[2] for column in connection.execute(f"PRAGMA index_info({index[1]})")]
        for index in indices
        if index[2]
    ]


def test_all_products_are_there(small_run):
    expected = ["todo.sqlite", "catalog.sqlite", "pixels.hdf5", "average_image.fits"]
    expected += ["jitter.ecsv", "ffis.ecsv", "diagnostics/r13c0.ecsv", "diagnostics/r14c0.ecsv"]
    for name in expected:
        assert (small_run.ccd / name).stat().st_size > 0, name
    assert len(list((small_run.ccd / "blocks").glob("b*.hdf5"))) == 3
    assert {path.name for path in (small_run.ccd / "lightcurves").iterdir()} == {"r13c0", "r14c0"}
    for name in ("todo.sqlite", "summary.txt", "cbv/tess-s0014-3-4-c1800_cbv.fits"):
        assert (small_run.results / name).stat().st_size > 0, name
    for name in (f"average_image_{CCD}.png", "light_curve.png"):
        picture = small_run.results / "pictures" / name
        assert picture.read_bytes().startswith(b"\x89PNG"), name


def test_record_of_the_run(small_run):
    """What ran when on what: nothing in it names the computer or the folder."""
    text = (small_run.results / "run.json").read_text()
    record = json.loads(text)
    assert record["software"].startswith(f"tessphot {tessphot_lib.__version__}")
    assert record["packages"]["numpy"] == np.__version__
    stars = len(small_run.light_curves)
    counts = record["ccds"][CCD]
    flagged = len({*DUMPS, COARSE, NAN, ZERO})
    images = counts["images"], counts["images_left_out"], counts["images_flagged"]
    assert images == (24, 0, flagged)
    assert counts["images_used"] == 24 - flagged
    assert counts["light_curves"] == stars <= counts["stars"]
    assert record["settings"]["simulation"]["seed"] == small_run.config["simulation"]["seed"]
    assert record["settings"]["photometry"]["tiles"] == [16, 1]
    began, ended = (datetime.fromisoformat(record[key]) for key in ("began", "ended"))
    assert began.utcoffset() == ended.utcoffset() == timedelta(0)
    assert timedelta(0) <= ended - began < timedelta(hours=1)
    assert str(small_run.home) not in text
    assert platform.node() not in text


def test_nothing_half_written_is_left(small_run):
    left = [path for path in small_run.home.rglob("*") if ".partial" in path.name]
    left += [path for path in small_run.results.rglob("*.sqlite-*")]
    assert left == []


def test_every_job_has_a_log_and_a_benchmark(small_run):
    jobs = ["ffi_table", "catalog", "average_image", "jitter", "hdf5", "prf", "todo"]
    jobs += ["photometry_r13c0", "photometry_r14c0"]
    for name in jobs:
        log = (small_run.folder / "logs" / CCD / f"{name}.log").read_text()
        assert "ERROR" not in log
        assert "Warning" not in log, log
        assert (small_run.folder / "benchmarks" / CCD / f"{name}.tsv").is_file()
    assert len(list((small_run.folder / "logs" / CCD).glob("backgrounds_b*.log"))) == 3


def test_summary_is_shown_at_the_end(small_run):
    said = (small_run.home / "said.txt").read_text()
    summary = (small_run.results / "summary.txt").read_text()
    assert summary in said
    assert "Traceback" not in said
    assert "Warning" not in said


def test_nothing_is_left_to_do(small_run):
    assert small_run.plan() == {}


def test_light_curves_are_valid_fits_files(small_run):
    for path in small_run.light_curves.values():
        with fits.open(path, checksum=True) as hdus:  # a wrong checksum warns: an error here
            hdus.verify("exception")
            assert [hdu.name for hdu in hdus] == ["PRIMARY", "LIGHTCURVE", "SUMIMAGE", "APERTURE"]
            assert all({"CHECKSUM", "DATASUM"} <= set(hdu.header) for hdu in hdus)


def test_light_curves_have_the_columns_of_tasoc(small_run):
    for tic_id, path in small_run.light_curves.items():
        with fits.open(path) as hdus:
            table = hdus["LIGHTCURVE"].columns
            found = list(zip(table.names, table.formats, strict=True))
            assert found[: len(LIGHT_CURVE)] == list(LIGHT_CURVE.items())  # ours may follow
            header = hdus[0].header
            assert (header["TICID"], header["OBJECT"]) == (tic_id, f"TIC {tic_id}")
            assert (header["SECTOR"], header["CAMERA"], header["CCD"]) == (14, 3, 4)
            assert header["CREATOR"] == header["PROCVER"] == f"tessphot {software_version()}"
            assert (header["ORIGIN"], header["FILEVER"]) == ("TASOC/Aarhus", "1.5")
            assert header["SIMULATD"] is True
            assert header["DATAVAL"] == 0
            times, exposure = hdus[1].data["TIME"], 1800 / 86400
            assert hdus[1].header["TSTART"] == pytest.approx(times[0] - exposure / 2, abs=1e-6)
            assert hdus[1].header["TSTOP"] == pytest.approx(times[-1] + exposure / 2, abs=1e-6)
            assert hdus[1].header["NUM_FRM"] == 900


@pytest.mark.parametrize("name", ["saturated", "transit"])
def test_lightkurve_reads_the_light_curve(small_run, name):
    tic_id = SHOWCASE[name]
    path = small_run.light_curves[tic_id]
    assert path.name == f"tess{tic_id:011d}-s014-3-4-c1800-dr60-v01-tasoc_lc.fits.gz"
    curve = lightkurve.read(path).select_flux("flux_raw")
    assert curve.meta["TICID"] == tic_id
    assert curve.meta["SECTOR"] == 14
    table = fits.getdata(path, "LIGHTCURVE")
    assert len(curve) == len(table) == 24
    assert np.all(np.diff(curve.time.value) > 0)
    assert curve.time.format == "btjd"
    assert curve.flux.unit == "electron/s"
    np.testing.assert_array_equal(curve.time.value, table["TIME"])
    np.testing.assert_array_equal(curve.flux.value, table["FLUX_RAW"])
    np.testing.assert_array_equal(curve.flux_err.value, table["FLUX_RAW_ERR"])
    np.testing.assert_array_equal(curve.cadenceno, table["CADENCENO"])


def test_lightkurve_takes_the_relative_flux_by_default(small_run):
    path = small_run.light_curves[SHOWCASE["transit"]]
    curve = lightkurve.read(path)
    table = fits.getdata(path, "LIGHTCURVE")
    shown = np.asarray(curve.flux.value)
    known = np.isfinite(shown)
    np.testing.assert_array_equal(known, (table["QUALITY"] == 0) & np.isfinite(table["FLUX_RAW"]))
    assert known.sum() > 10
    assert curve.flux.unit == ""
    assert np.median(shown[known]) == 1
    raw = table["FLUX_RAW"][known]
    np.testing.assert_allclose(shown[known], raw / np.median(raw), atol=1e-6)
    np.testing.assert_allclose(1e6 * (shown - 1), table["FLUX_CORR"], atol=0.1)
    np.testing.assert_allclose(1e6 * curve.flux_err.value, table["FLUX_CORR_ERR"], rtol=1e-6)
    header = fits.getheader(path)
    assert (header["CORRMETH"], header["CORRNTR"]) == ("none", 0)
    assert header["CORRWHY"] == "too few images"
    assert (header["AP_KIND"], header["AP_THRES"], header["AP_MINPX"]) == ("optimal", 3.0, 4)
    assert (header["AP_RADIU"], header["AP_MOTCO"]) == (13.0, True)
    assert "PSF_FREE" not in header
    assert 0 < header["CDPP1_0"] < 1e6


def test_functions_of_lightkurve_work_on_what_it_takes_by_default(small_run):
    """None of them warns (an error here), or divides by a median of zero."""
    path = small_run.light_curves[SHOWCASE["transit"]]
    curve = lightkurve.read(path)
    whole = curve.flux.value
    np.testing.assert_allclose(curve.normalize().flux.value, whole, rtol=1e-6)
    both = lightkurve.LightCurveCollection([curve, curve.copy()]).stitch()
    np.testing.assert_allclose(both.flux.value, np.tile(whole, 2), rtol=1e-6)
    flat = curve.remove_nans().flatten(window_length=11)
    assert np.median(flat.flux.value) == pytest.approx(1, abs=1e-3)
    scatter = np.std(np.diff(whole[np.isfinite(whole)])) / np.sqrt(2)
    cdpp = curve.estimate_cdpp(transit_duration=2, savgol_window=7).value
    assert 0 < cdpp < 1e6 * scatter
    # The other columns, as README has it.
    corrected = lightkurve.read(path).select_flux("flux_corr")
    assert corrected.flux.unit == "ppm"
    np.testing.assert_allclose(
        1 + corrected.flux.to_value(""), np.where(np.isfinite(whole), whole, np.nan), rtol=1e-6
    )


def test_points_that_are_bad_are_so_in_the_mission_s_bits_too(small_run):
    """TASOC's corrections take PIXEL_QUALITY only; points with QUALITY 0 all have a FLUX_CORR."""
    n_bad = 0
    for path in small_run.light_curves.values():
        table = fits.getdata(path, "LIGHTCURVE")
        is_good, is_known = table["QUALITY"] == 0, np.isfinite(table["FLUX_RAW"])
        known_as_bad = table["PIXEL_QUALITY"] & 4335 != 0
        assert known_as_bad[~is_good].all(), path.name
        assert not known_as_bad[is_good].any(), path.name
        n_bad += np.count_nonzero(~is_good & is_known)
        for column in ("FLUX_CORR", "FLUX_CORR_ERR", "FLUX", "FLUX_ERR"):
            np.testing.assert_array_equal(np.isfinite(table[column]), is_good & is_known, column)
    assert n_bad > 100


def test_tables_of_the_todo_list(todo, small_run):
    with sqlite3.connect(small_run.ccd / "todo.sqlite") as of_ccd:
        for connection in (todo, of_ccd):
            for table, expected in (
                ("todolist", TODOLIST),
                ("diagnostics", DIAGNOSTICS),
                ("photometry_skipped", {"priority": "INTEGER", "skipped_by": "INTEGER"}),
                (
                    "datavalidation_raw",
                    {"priority": "INTEGER", "dataval": "INTEGER", "approved": "BOOLEAN"},
                ),
            ):
                found = columns(connection, table)
                assert {name: found.get(name) for name in expected} == expected, table
                assert list(found)[: len(expected)] == list(expected), table
            target = ["starid", "datasource", "sector", "camera", "ccd", "cadence"]
            assert target in unique_indices(connection, "todolist")
            assert ["lightcurve"] in unique_indices(connection, "diagnostics")


def test_todo_list_begins_with_the_brightest_star(todo):
    rows = todo.execute(
        "SELECT priority, starid, tmag, sector, datasource, camera, ccd, cadence, method, cbv_area"
        " FROM todolist ORDER BY priority"
    ).fetchall()
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
    # Ring 1: the star is 409 pixels, 2.4 deg, from the camera centre at (2099, -59).
    assert rows[0][1:] == (SHOWCASE["saturated"], 6.0, 14, "ffi", 3, 4, 1800, "aperture", 341)
    tmag = [row[2] for row in rows]
    assert tmag == sorted(tmag)
    assert max(tmag) <= 15.0


def test_statuses_sum_up(todo, small_run):
    counts = dict(todo.execute("SELECT status, COUNT(*) FROM todolist GROUP BY status"))
    assert set(counts) <= {1, 3, 5}, "a star failed or was forgotten"
    measured = counts[1] + counts.get(3, 0)
    assert measured == len(small_run.light_curves)
    (n_diagnostics,) = todo.execute("SELECT COUNT(*) FROM diagnostics").fetchone()
    assert n_diagnostics == measured
    skipped = todo.execute(
        "SELECT left.status, left.tmag, brighter.status, brighter.tmag FROM photometry_skipped"
        " JOIN todolist AS left USING (priority)"
        " JOIN todolist AS brighter ON brighter.priority = skipped_by"
    ).fetchall()
    assert len(skipped) == counts[5] > 0
    for status, tmag, status_of_brighter, brighter in skipped:
        assert (status, status_of_brighter) == (5, 1)
        assert brighter < tmag
    summary = (small_run.results / "summary.txt").read_text()
    assert summary.startswith(
        f"{sum(counts.values())} stars, {len(small_run.light_curves)} "
        f"light curves:\n{counts[1]:10d} measured\n"
    )
    assert f"\n  {CCD}: {sum(counts.values())} stars, {len(small_run.light_curves)} " in summary
    assert "other runs" not in summary


def test_measured_stars_have_all_numbers_that_tasoc_computes(todo):
    """TASOC's data validation stops at the first NULL among them."""
    ours = {"errors", "cdpp_0_5h", "cdpp_1h", "cdpp_2h", "cdpp_6h"}
    unknown = " OR ".join(f"{name} IS NULL" for name in DIAGNOSTICS if name not in ours)
    query = "SELECT * FROM diagnostics JOIN todolist USING (priority) WHERE status IN (1, 3)"
    assert len(todo.execute(query).fetchall()) > 50
    assert todo.execute(f"{query} AND ({unknown})").fetchall() == []


def test_paths_of_light_curves_are_relative_to_the_todo_file(todo, small_run):
    rows = todo.execute(
        "SELECT starid, lightcurve, method, method_used, mean_flux FROM todolist"
        " JOIN diagnostics USING (priority)"
    ).fetchall()
    assert {tic_id for tic_id, *_ in rows} == set(small_run.light_curves)
    for tic_id, path, method, method_used, mean_flux in rows:
        assert small_run.results / path == small_run.light_curves[tic_id]
        assert method_used == method
        table = fits.getdata(small_run.results / path, "LIGHTCURVE")
        good = table["QUALITY"] == 0
        assert mean_flux == pytest.approx(np.nanmedian(table["FLUX_RAW"][good]), rel=1e-12)


def test_tables_of_the_catalog(small_run):
    with sqlite3.connect(small_run.ccd / "catalog.sqlite") as connection:
        for table, expected in (("catalog", CATALOG), ("settings", SETTINGS)):
            found = columns(connection, table)
            assert {name: found.get(name) for name in expected} == expected, table
            assert list(found)[: len(expected)] == list(expected), table
        indices = connection.execute("PRAGMA index_list(catalog)").fetchall()
        indexed = [
            [column[2] for column in connection.execute(f"PRAGMA index_info({index[1]})")]
            for index in indices
        ]
        assert ["ra", "decl"] in indexed
        rows = connection.execute("SELECT sector, camera, ccd, coord_buffer FROM settings")
        assert rows.fetchall() == [(14, 3, 4, 0.2)]
        ((text,),) = connection.execute("SELECT footprint FROM settings")
        assert np.shape(eval(text, {"__builtins__": {}})) == (4, 2)


def test_catalog_has_all_stars_and_no_phantoms(small_run):
    lines = (small_run.ccd / "tic.csv").read_text().splitlines()[1:]
    phantoms = {int(line.split(",")[0]) for line in lines if not line.endswith((",", ",SPLIT"))}
    stars = {int(line.split(",")[0]) for line in lines} - phantoms
    with sqlite3.connect(small_run.ccd / "catalog.sqlite") as connection:
        found = {row[0] for row in connection.execute("SELECT starid FROM catalog")}
    assert phantoms
    assert found <= stars
    assert set(SHOWCASE.values()) <= found


def test_pixels_hold_every_image_once(small_run):
    names = [path.name for path in small_run.images()]
    table = read_ffi_table(small_run.ccd / "ffis.ecsv")
    assert [path.rsplit("/", 1)[1] for path in table["path"]] == names
    assert set(table["status"]) == {"ok"}
    with h5py.File(small_run.ccd / "pixels.hdf5") as file:
        assert file["flux"].shape == (24, 96, 112)
        np.testing.assert_array_equal(file["cadenceno"][:], table["cadenceno"])
        with fits.open(small_run.images()[8]) as hdus:
            image = hdus[1].data[1744:1840, 44 + 204 : 44 + 316]
            error = hdus[2].data[1744:1840, 44 + 204 : 44 + 316]
        # Rounded: by 1/16 of the error at most in the rms, by sqrt(3) times that at most.
        rounding = (file["flux"][8] - image) / error
        assert 0.25 / 16 < np.std(rounding) < 1 / 16
        assert np.abs(rounding).max() < 1.74 / 16


def test_average_image_is_that_of_the_good_images(small_run):
    with fits.open(small_run.ccd / "average_image.fits", checksum=True) as hdus:
        hdus.verify("exception")
        average = hdus["AVERAGE"].data
    assert average.shape == (96, 112)
    row, column = np.unravel_index(np.nanargmax(average), average.shape)
    # In the bleed column of the star of Tmag 6, at (0.70, 0.25) of the window.
    assert abs(column - 0.25 * 111) <= 1
    assert abs(row - 0.70 * 95) < 12


def test_pictures_of_a_run_without_light_curves(small_run, tmp_path):
    (tmp_path / CCD).mkdir()
    for name in ("todo.sqlite", "average_image.fits"):
        (tmp_path / CCD / name).symlink_to(small_run.ccd / name)
    shutil.copy(small_run.ccd / "todo.sqlite", tmp_path / "todo.sqlite")  # no diagnostics in it
    average, curve = tmp_path / "average_image.png", tmp_path / "light_curve.png"
    ccd_ids = [CcdId.from_string(CCD)]
    run_pictures(tmp_path / "todo.sqlite", [average], curve, ccd_ids=ccd_ids)
    picture = image.imread(curve)
    assert 0 < (picture[..., 0] < 0.5).mean() < 0.1  # some words on white
    assert image.imread(average).shape[0] > 500
