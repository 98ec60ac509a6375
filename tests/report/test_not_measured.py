"""Stars without a light curve: why, by what is known of their files."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from astropy.wcs import WCS

from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.io.images.cutout_table import read_cutout_table, write_cutout_table
from tessphot_lib.report.not_measured import NOT_IN_CATALOG, excluded_stars, stars_not_measured

STAMPS = CcdId(14, 2, 3, 120)
WINDOW = Window(100, 111, 300, 313)


@pytest.fixture
def table(tmp_path):
    """One stamp that is used, of a star that the catalog lacks; one that is not, of star 4."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crpix, wcs.wcs.crval = [8.0, 5.0], [63.0, -60.0]  # row 104, column 307
    wcs.wcs.cd = np.diag([-0.0057, 0.0057])
    used = {"path": tmp_path / "a_tp.fits", "status": "ok", "window": WINDOW, "wcs": wcs}
    unused = {"path": tmp_path / "b_tp.fits", "status": "unusable", "reason": "it is bad"}
    path = tmp_path / "cutouts.ecsv"
    rows = [used | {"tic_id": 99, "target": (63.0, -60.0, 13.0)}, unused | {"tic_id": 4}]
    write_cutout_table(path, rows, STAMPS)
    return path


def test_star_whose_own_file_has_no_data(table):
    known = pd.DataFrame({"tic_id": [99, 5], "tmag": 9.0, "row": 104.0, "column": 307.0})
    known = known.assign(ra=63.0, dec=-60.0)
    wanted, nobody = np.ones(2, dtype=bool), excluded_stars(known, [], {}, STAMPS)
    left_out = stars_not_measured(known, ~wanted, wanted, nobody, table, STAMPS)
    assert left_out["reason"].tolist() == [
        "its target pixel file is not used",
        "no pixels of any target pixel file",
    ]
    assert left_out["detail"].tolist() == ["a_tp.fits: it has no data where the star is", ""]


def test_reasons(table):
    known = pd.DataFrame(
        {
            "tic_id": [1, 2, 3, 4, 5],
            "tmag": [9.0, 16.5, 12.0, 11.0, 16.0],
            "row": [104.0, 105.0, 1500.0, 700.0, 107.0],
            "column": [310.0, 306.0, 20.0, 800.0, 309.0],
        }
    ).assign(ra=63.0, dec=-60.0)
    on_data = np.array([True, True, False, False, True])
    is_wanted = np.array([True, True, True, True, False])  # 2 is faint, but has a file
    nobody = excluded_stars(known, [0, 1], {}, STAMPS)
    left_out = stars_not_measured(known, on_data, is_wanted, nobody, table, STAMPS)
    reasons = dict(zip(left_out["tic_id"], left_out["reason"], strict=True))
    assert reasons == {
        3: "no pixels of any target pixel file",
        4: "its target pixel file is not used",
        5: "fainter than todo.faint_limit",
        99: NOT_IN_CATALOG,
    }
    details = dict(zip(left_out["tic_id"], left_out["detail"], strict=True))
    assert details[4] == "b_tp.fits: it is bad"
    assert details[99] == "a_tp.fits: TIC 2 is 1.4 pixels from there"
    absent = left_out.set_index("tic_id").loc[99]
    assert (absent["row"], absent["column"]) == pytest.approx((104.0, 307.0))


def test_cutouts_are_nobodys_own(table, tmp_path):
    """Sources that the star list lacks have the numbers -1, -2, ..."""
    known = pd.DataFrame({"tic_id": [-1], "tmag": 9.0, "row": 1500.0, "column": 20.0})
    known = known.assign(ra=10.0, dec=10.0)
    (used,) = read_cutout_table(table)
    about = {"tic_id": 0, "target": (63.0, -60.0, np.nan)}
    write_cutout_table(tmp_path / "other.ecsv", [used | about], replace(STAMPS, cadence=0))
    wanted, nobody = np.ones(1, dtype=bool), excluded_stars(known, [], {}, STAMPS)
    other = tmp_path / "other.ecsv"
    left_out = stars_not_measured(known, ~wanted, wanted, nobody, other, replace(STAMPS, cadence=0))
    assert left_out["reason"].tolist() == ["no pixels of any cutout"]
