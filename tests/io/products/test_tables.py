"""The small files between steps: images, motion, average image, diagnostics."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.pointing import Pointing
from tessphot_lib.io.images.ffi_table import read_ffi_table, reference_image, write_ffi_table
from tessphot_lib.io.products.average_fits import (
    read_average_image,
    read_averaged,
    read_sky_offset,
    read_static_light,
    read_straps,
    write_average_image,
)
from tessphot_lib.io.products.diagnostics_ecsv import (
    diagnostics_table,
    read_diagnostics_table,
    write_diagnostics_table,
)
from tessphot_lib.io.products.jitter_ecsv import read_jitter, write_jitter
from tessphot_lib.io.products.todo_tables import DIAGNOSTICS
from tessphot_lib.lightcurves.metrics import CDPP_HOURS

CCD = CcdId(14, 2, 3)


def image_row(number, **values):
    row = {"path": f"/data/a b/image{number}.fits", "status": "ok", "cadenceno": 11000 + number}
    time = 1683.35 + number / 48
    row |= {"time_start": time, "time": time + 0.01, "time_stop": time + 0.02, "timecorr": 0.0045}
    row |= {"exposure_time": 1425.6, "quality": 32, "has_wcs": True}
    return row | values


def test_images_are_read_back(tmp_path):
    path = tmp_path / "new" / "ffis.ecsv"
    rows = [image_row(0), image_row(1, is_reference=True, has_wcs=False)]
    rows.append({"path": 'bad, "quoted".fits', "status": "unusable", "reason": "bad.fits: 'x', y"})
    write_ffi_table(path, rows, CCD)
    table = read_ffi_table(path)
    assert table.meta["ccd"] == "s0014-cam2-ccd3"
    assert [str(value) for value in table["path"]] == [row["path"] for row in rows]
    assert table["status"].tolist() == ["ok", "ok", "unusable"]
    assert str(table["reason"][2]) == "bad.fits: 'x', y"
    np.testing.assert_array_equal(table["time"][:2], [row["time"] for row in rows[:2]])
    assert np.isnan(np.asarray(table["time"], dtype=float)[2])
    assert table["cadenceno"].tolist() == [11000, 11001, 0]
    assert np.asarray(table["has_wcs"], dtype=bool).tolist() == [True, False, False]
    assert str(table["time"].unit) == "d"
    assert reference_image(path) == Path(rows[1]["path"])


def test_no_reference_image(tmp_path):
    path = tmp_path / "ffis.ecsv"
    write_ffi_table(path, [image_row(0)], CCD)
    with pytest.raises(InputDataError, match=r"ffis\.ecsv: no image of s0014-cam2-ccd3 has"):
        reference_image(path)
    with pytest.raises(InputDataError, match=r"none\.ecsv: cannot be read"):
        read_ffi_table(tmp_path / "none.ecsv")


def test_motion_is_read_back(tmp_path):
    rng = np.random.default_rng(0)
    motion = rng.normal(size=(3, 6))
    motion[1] = np.nan
    written = {
        "time": np.array([1683.350123456789, 1683.4, 1683.5]),
        "cadenceno": np.array([11, 12, 14]),
        "motion": motion,
        "error": np.array([0.001, np.nan, 0.002]),
        "n_stars": np.array([500, 0, 499]),
        "source": np.array(["stars", "none", "header"]),
        "light": np.array([1.0, np.nan, 0.93]),
        "sharpness": np.array([1.0, np.nan, 0.97]),
        "quality": np.array([0, 1048576, 4194304]),
        "star_scatter": np.array([0.00123456, np.inf]),
    }
    made_by = {"software": "tessphot 1", "settings": '{"a": [1, null]}'}
    displacement = np.array([[0.0, 0.0], [1.25, -0.75], [1.25, -0.75]])
    pointing = Pointing(displacement, np.array([True, False, True]))
    path = tmp_path / "jitter.ecsv"
    write_jitter(path, CCD, attributes=made_by, pointing=pointing, **written)
    found, of_pointing = read_jitter(path)
    np.testing.assert_array_equal(of_pointing.displacement, displacement)
    assert of_pointing.is_usual.tolist() == [True, False, True]
    assert set(found) == set(written)
    for name, values in written.items():
        np.testing.assert_array_equal(found[name], values, name)
    table = Table.read(tmp_path / "jitter.ecsv", format="ascii.ecsv")
    np.testing.assert_array_equal(table["row_v"], motion[:, 2])
    assert made_by.items() <= table.meta.items()
    np.testing.assert_array_equal(table["column_0"], motion[:, 3])
    assert table.meta["ccd"] == str(CCD)


@pytest.mark.parametrize("content", [None, "", "no table\n1 2\n"])
def test_motion_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "jitter.ecsv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputDataError, match=r"jitter\.ecsv: cannot be read"):
        read_jitter(path)


# -- average image ------------------------------------------------------------------------------

WINDOW = Window(700, 706, 300, 309)


def full_wcs():
    header = fits.Header()
    header.update({"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "CRVAL1": 280.0})
    header.update({"CRVAL2": 35.0, "CRPIX1": 1045.0, "CRPIX2": 1001.0, "CD1_1": -0.0055})
    header.update({"CD1_2": 0.0014, "CD2_1": -0.0016, "CD2_2": -0.0054, "A_ORDER": 2})
    header.update({"B_ORDER": 2, "A_2_0": -1.9e-5, "B_0_2": 2.0e-5, "B_1_1": -1.6e-5})
    return header


def test_average_image_is_read_back_and_points_to_its_sky(tmp_path):
    path = tmp_path / "average_image.fits"
    average = np.arange(54.0).reshape(6, 9) / 8
    average[2, 3] = np.nan
    count = np.arange(54).reshape(6, 9)
    full = full_wcs()
    write_average_image(
        path,
        average,
        count,
        WINDOW,
        CCD,
        wcs=full.tostring(sep="\n", endcard=False, padding=False),
        is_averaged=np.arange(1300) >= 20,
        offset=np.arange(6.0).reshape(2, 3),
        straps=np.linspace(-0.01, 0.03, 9),
        static_light=count / 4,
        attributes={"software": "tessphot 1.2"},
    )
    found_average, found_count, window = read_average_image(path)
    np.testing.assert_array_equal(found_average, average)
    np.testing.assert_array_equal(found_count, count)
    assert window == WINDOW
    np.testing.assert_array_equal(read_sky_offset(path), np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(read_averaged(path), np.arange(1300) >= 20)
    np.testing.assert_array_equal(read_straps(path), np.linspace(-0.01, 0.03, 9))
    np.testing.assert_array_equal(read_static_light(path), count / 4)
    with fits.open(path, checksum=True) as hdus:
        assert hdus[0].header["NIMAGES"] == 1280
        assert hdus[0].header["SECTOR"], hdus[0].header["CAMERA"] == (14, 2)
        for name in ("AVERAGE", "COUNT"):
            cut, whole = WCS(hdus[name].header), WCS(full, relax=True)
            for row, column in ((0, 0), (5, 2), (1, 8)):
                there = whole.all_pix2world(300 + column + 44, 700 + row, 0)
                np.testing.assert_allclose(cut.all_pix2world(column, row, 0), there, atol=1e-9)


def test_average_image_that_cannot_be_read(tmp_path):
    with pytest.raises(InputDataError, match=r"none\.fits: cannot be read"):
        read_average_image(tmp_path / "none.fits")
    fits.PrimaryHDU().writeto(tmp_path / "other.fits")
    with pytest.raises(InputDataError, match=r"other\.fits: cannot be read"):
        read_average_image(tmp_path / "other.fits")


# -- diagnostics --------------------------------------------------------------------------------


def diagnostics():
    return pd.DataFrame(
        {
            "priority": np.array([1, 2, 3], dtype=np.int64),
            "tic_id": np.array([99, 2**40 + 1, 7], dtype=np.int64),
            "lightcurve": ["lightcurves/r0c0/a.fits.gz", None, 'b, "c".fits.gz'],
            "elaptime": [0.125, np.nan, 1 / 3],
            "mask_size": np.array([9, 0, 4], dtype=np.int64),
            "errors": [None, "ValueError: 'x' # y\nz = 1", None],
        }
    )


def test_diagnostics_are_read_back(tmp_path):
    table = diagnostics()
    before = table.copy()
    write_diagnostics_table(tmp_path / "d" / "r0c0.ecsv", table, CCD)
    found = read_diagnostics_table(tmp_path / "d" / "r0c0.ecsv")
    pd.testing.assert_frame_equal(found, before)
    pd.testing.assert_frame_equal(table, before)


def test_diagnostics_have_the_columns_of_the_todo_list():
    table = diagnostics_table(
        [
            {"priority": 3, "tic_id": 2**40 + 1, "status": 1, "mask_size": 9, "mean_flux": 7.5}
            | dict.fromkeys(("stamp_width", "stamp_height", "stamp_resizes"), 0)
            | dict.fromkeys(("lightcurve", "method_used", "errors"))
        ]
    )
    assert table["tic_id"].tolist() == [2**40 + 1]
    assert table["mask_size"].dtype == np.int64
    assert table["mean_flux"].tolist() == [7.5]
    assert table["cdpp_1h"].isna().all()
    assert table["errors"].tolist() == [None]
    assert set(table) == {column.key for column in DIAGNOSTICS} | {"tic_id", "status"}
    assert set(CDPP_HOURS) < set(table)
    assert list(diagnostics_table([])) == list(table)
    with pytest.raises(ValueError, match="the diagnostics have no columns cdpp_1d, x"):
        diagnostics_table([{"cdpp_1d": 3.0, "x": 1, "errors": None}])


@pytest.mark.parametrize("errors", [[None] * 3, ["a"] * 3])
def test_text_columns_that_are_all_empty_or_full(tmp_path, errors):
    table = diagnostics().assign(errors=errors, elaptime=np.nan)
    write_diagnostics_table(tmp_path / "r0c0.ecsv", table, CCD)
    found = read_diagnostics_table(tmp_path / "r0c0.ecsv")
    assert found["errors"].tolist() == errors
    assert found["elaptime"].isna().all()


def test_tile_without_stars(tmp_path):
    write_diagnostics_table(tmp_path / "r0c0.ecsv", diagnostics()[:0], CCD)
    found = read_diagnostics_table(tmp_path / "r0c0.ecsv")
    assert len(found) == 0
    assert list(found) == list(diagnostics())
    assert found["tic_id"].dtype == np.int64
    assert found["elaptime"].dtype == np.float64
    # Joined with others, the types must not change.
    joined = pd.concat([found, diagnostics()], ignore_index=True)
    pd.testing.assert_frame_equal(joined, diagnostics())


def test_diagnostics_that_cannot_be_read(tmp_path):
    with pytest.raises(InputDataError, match=r"none\.ecsv: cannot be read"):
        read_diagnostics_table(tmp_path / "none.ecsv")
