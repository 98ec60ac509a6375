"""One WCS of a CCD from those of its stamps."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.wcs import WCS

from tessphot_lib.core.constants import FIRST_SCIENCE_COLUMN
from tessphot_lib.core.geometry import Window
from tessphot_lib.preparation.ccd_wcs import fit_ccd_wcs


def stamp(window):
    """A stamp of a CCD with a linear WCS about (row 400, column 900)."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [128.75, -52.23]
    wcs.wcs.crpix = [900.0 - window.column0 + 1, 400.0 - window.row0 + 1]
    wcs.wcs.cd = [[0.004, 0.0041], [0.0042, -0.0039]]
    return SimpleNamespace(window=window, wcs=wcs)


@pytest.mark.parametrize(
    "window",
    [
        Window(390, 398, 880, 891),
        Window(390, 398, 0, 2),  # most of it in the columns before the science pixels
        Window(2045, 2048, 880, 891),
        Window(2047, 2048, 2047, 2048),
    ],
)
def test_a_single_stamp_however_little_of_it_is_on_the_ccd(window):
    one = stamp(window)
    wcs = fit_ccd_wcs([one])
    for row, column in ((window.row0, window.column0), (window.row1 - 1, window.column1 - 1)):
        there = wcs.all_pix2world(column + FIRST_SCIENCE_COLUMN, row, 0)
        own = one.wcs.all_pix2world(column - window.column0, row - window.row0, 0)
        np.testing.assert_allclose(there, own, rtol=0, atol=2e-5)  # 0.004 pixels
