"""Real cutouts through all steps: zero point, noise, scattered light, PRF fits."""

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from cutout_run import run_cut
from paths import REALDATA
from pipeline_run import by_tic_id

from benchmarks.realdata import METHODS, compare, measure
from tessphot_lib.core.flags import ApertureFlag
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.star_warnings import BLENDED_FIT, UNDER_CHARGE
from tessphot_lib.io.products.diagnostics_ecsv import read_diagnostics_table
from tessphot_lib.io.products.not_measured_ecsv import read_not_measured
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.todo_sqlite import read_todo

STAMPS, REAL_STARS = REALDATA / "tesscut_s0008_cam3_ccd4", REALDATA / "tic_ic2391.csv"
BLEEDING = 93549226  # of magnitude 11, among the full pixels of a brighter star


@pytest.fixture(scope="module")
def real_run(tmp_path_factory):
    """The 60 real stamps of IC 2391, of which two carry the WCS of another CCD."""
    if not STAMPS.is_dir():
        pytest.skip(f"no real data: {STAMPS} is absent")
    home = tmp_path_factory.mktemp("real")
    return run_cut(home, STAMPS, REAL_STARS, faint_limit=16.0, ccd_id=CcdId(8, 3, 4))


@pytest.fixture(scope="module")
def real_stars(real_run):
    """What is asked of the real stars, one row each."""
    todo = read_todo(real_run / "todo.sqlite").set_index("tic_id")
    rows = []
    for tic_id, path in by_tic_id(real_run / "lightcurves").items():
        with fits.open(path) as hdus:
            table, tmag = hdus[1].data, hdus[0].header["TESSMAG"]
            average, bits = np.array(hdus["SUMIMAGE"].data), np.array(hdus["APERTURE"].data)
        good = (table["QUALITY"] == 0) & np.isfinite(table["FLUX_RAW"])
        flux = np.array(table["FLUX_RAW"][good], dtype=float)
        # Second differences: what a rotating spotted star does in an hour is no noise.
        second = flux[2:] - 2 * flux[1:-1] + flux[:-2]
        noise = 1.4826 * np.median(np.abs(second)) / np.sqrt(6)
        in_aperture = bits & int(ApertureFlag.IN_APERTURE) != 0
        centroid = [np.nanmedian(table[name][good]) for name in ("MOM_CENTR2", "MOM_CENTR1")]
        off = np.hypot(
            centroid[0] - todo.loc[tic_id, "row"], centroid[1] - todo.loc[tic_id, "column"]
        )
        rows.append(
            {
                "tmag": tmag,
                "n_good": int(good.sum()),
                # The flux of one that has 0.2 % of the light under its PRF is 0 within its error.
                "zero_point": tmag + 2.5 * np.log10(max(np.median(flux), 1.0)),
                "excess": noise / np.median(table["FLUX_RAW_ERR"][good]),
                "is_isolated": off < 0.7 and np.nanmax(average[in_aperture]) == np.nanmax(average),
            }
        )
    return pd.DataFrame(rows)


@pytest.mark.realdata
def test_real_stars_are_measured_or_have_a_reason(real_run):
    wanted = set(pd.read_csv(REAL_STARS)["ID"])
    measured = set(by_tic_id(real_run / "lightcurves"))
    left_out = set(read_not_measured(real_run / "not_measured.ecsv")["tic_id"])
    assert len(measured) == 53
    assert measured | left_out | {BLEEDING} == wanted
    assert not measured & left_out


@pytest.mark.realdata
def test_real_star_under_the_charge_of_another_fails(real_run):
    """The PRF fit saw 2 % of its light, from which its flux was -17166 e-/s."""
    diagnostics = read_diagnostics_table(real_run / "r0c0.ecsv").set_index("tic_id")
    assert diagnostics.loc[BLEEDING, "errors"] == UNDER_CHARGE
    blended = diagnostics.loc[93555536]  # 0.2 % of the light under its PRF is its own
    assert BLENDED_FIT in blended["errors"]


@pytest.mark.realdata
def test_real_zero_point_and_noise(real_stars):
    # Isolated: nothing brighter in the stamp, and the light is where the catalog says.
    isolated = real_stars[real_stars["is_isolated"]]
    assert len(isolated) >= 5
    assert isolated["zero_point"].median() == pytest.approx(20.44, abs=0.15)
    bright = real_stars[real_stars["tmag"] < 13]
    assert len(bright) >= 10
    assert bright["excess"].median() < 1.5
    assert (real_stars["n_good"] > 900).all()


@pytest.mark.realdata
def test_real_scattered_light_does_not_show(real_run):
    """Faint stars, which are sky for the most part: flagged, or as bright as at other times."""
    with PixelCube(real_run / "pixels.hdf5") as cube:
        level = cube.background_level
    quiet = level < 1.05 * np.median(level)
    scattered = (level > 2 * np.median(level)) & ~quiet
    assert scattered.sum() > 20
    off = []
    for path in by_tic_id(real_run / "lightcurves").values():
        with fits.open(path) as hdus:
            table, bits = hdus[1].data, hdus["APERTURE"].data
            n_pixels = int((bits & int(ApertureFlag.IN_APERTURE) != 0).sum())
            if hdus[0].header["TESSMAG"] < 14:
                continue
            good = (table["QUALITY"] == 0) & np.isfinite(table["FLUX_RAW"])
            difference = np.median(table["FLUX_RAW"][good & scattered])
            difference -= np.median(table["FLUX_RAW"][good & quiet])
            off.append(difference / n_pixels / np.median(level[scattered] - np.median(level)))
    assert np.median(np.abs(off)) < 0.01  # of the scattered light in the aperture's pixels


@pytest.mark.realdata
def test_real_prf_fits_scatter_no_more_than_apertures(real_run):
    tables = {name: measure(real_run, CcdId(8, 3, 4), name) for name in METHODS[:2]}
    stars = compare(tables)
    assert len(stars) > 15
    assert (stars["linpsf", "relative"] / stars["aperture", "relative"]).median() < 1
