"""Stars that are hard to put in numbers: what their files and diagnostics say all the same."""

import json

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from pixel_cube import open_cube

from tessphot_lib.core.aperture import Aperture, ApertureLight
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.settings import CorrectionSettings, OutputSettings, PhotometrySettings
from tessphot_lib.core.star_warnings import NEGATIVE_FLUX
from tessphot_lib.io.products.todo_sqlite import Status
from tessphot_lib.io.products.todo_tables import DIAGNOSTICS
from tessphot_lib.photometry.measure import measure_stars
from tessphot_lib.photometry.targets import StarList
from tessphot_lib.prf.generic import generic_prf
from tests.io.products.test_lightcurve_fits import sip_header

WINDOW, N_IMAGES, SKY = Window(300, 320, 400, 424), 60, 50.0
ROW = {"usual": 303, "below the sky": 308, "no light known": 312, "one image": 316}
COLUMN = 410
NUMBERS = [one.key for one in DIAGNOSTICS[: [x.key for x in DIAGNOSTICS].index("errors")]]


@pytest.fixture
def table(tmp_path):
    """Diagnostics of four stars, by their names, with the folder of the light curves."""
    rng = np.random.default_rng(2)
    flux = SKY + rng.normal(0, 1, (N_IMAGES, *WINDOW.shape))
    level = {"usual": 200.0, "below the sky": -30.0, "no light known": 80.0, "one image": 100.0}
    for name, row in ROW.items():
        flux[:, row - 301 : row - 298, COLUMN - 401 : COLUMN - 398] += level[name]
    flux[1:, ROW["one image"] - 300, COLUMN - 400] = np.nan
    attributes = {"wcs": sip_header().tostring(sep="\n"), "ticver": "8.2", "time_error": 0.01}
    attributes |= {"image_header": json.dumps({}), "position_source": "a test", "time_shift": 0.0}
    stars = pd.DataFrame({"row": list(ROW.values()), "column": COLUMN}, dtype=float)
    stars["tic_id"] = stars["priority"] = np.arange(1, 5)
    for name in ("ra", "dec", "ra_j2000", "dec_j2000", "pm_ra", "pm_dec"):
        stars[name] = 10.0
    stars = stars.assign(tmag=12.0, teff=np.nan, method="aperture")
    apertures = []
    for name, row in ROW.items():
        share = np.nan if name == "no light known" else 0.9
        mask = np.zeros((5, 5), dtype=bool)
        mask[1:4, 1:4] = True
        window = Window(row - 2, row + 3, COLUMN - 2, COLUMN + 3)
        apertures.append(Aperture(window, mask, light=ApertureLight(share, 0.8, np.zeros(5))))
    settings = PhotometrySettings(correction=CorrectionSettings(method="motion"))
    with open_cube(tmp_path, WINDOW, flux, sky=SKY, attributes=attributes) as cube:
        found = measure_stars(
            cube,
            StarList(stars, apertures, stars, generic_prf()),
            None,
            settings=settings,
            output_settings=OutputSettings(),
            path_of=lambda name, _: tmp_path / name,
        )
    return tmp_path, found.set_index(pd.Index(ROW))


def test_no_number_is_missing_with_a_light_curve(table):
    folder, found = table
    measured = found.drop(index="one image")
    assert not measured[NUMBERS].isna().any(axis=None)
    assert measured["status"].tolist() == [int(Status.OK), int(Status.WARNING), int(Status.OK)]
    assert found["contamination"].tolist()[:3] == pytest.approx([0.1, 0.1, 1.0])
    for name, star in measured.iterrows():
        data = fits.getdata(folder / star["lightcurve"], 1)
        good = (data["QUALITY"] == 0) & np.isfinite(data["FLUX_RAW"])
        assert good.all(), name
        for column in ("FLUX_CORR", "FLUX_CORR_ERR", "FLUX", "FLUX_ERR"):
            assert np.isfinite(data[column]).all(), (name, column)


def test_a_mean_flux_below_zero_is_told_of(table):
    folder, found = table
    star = found.loc["below the sky"]
    assert star["errors"] == NEGATIVE_FLUX
    assert star["mean_flux"] == pytest.approx(-270, rel=0.02)
    assert star["variance"] == pytest.approx((3 / 270) ** 2, rel=0.3)
    assert (star["pos_row"], star["pos_column"]) == (ROW["below the sky"], COLUMN)  # no centroid
    header, data = (
        fits.getheader(folder / star["lightcurve"]),
        fits.getdata(folder / star["lightcurve"], 1),
    )
    assert header["CORRMETH"] == "none"
    # Brighter is up, about 1.
    assert np.corrcoef(data["FLUX"], data["FLUX_RAW"])[0, 1] > 0.999
    assert np.median(data["FLUX"]) == pytest.approx(1, abs=1e-6)


def test_one_good_image_makes_no_light_curve(table):
    _, found = table
    star = found.loc["one image"]
    assert (star["status"], star["method_used"]) == (int(Status.ERROR), "error")
    assert star["lightcurve"] is None
    assert "1 good cadence with valid flux" in star["errors"]
