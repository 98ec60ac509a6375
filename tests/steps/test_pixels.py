"""Step `pixels`: how the sky lies on the pixels of a star."""

import numpy as np
import pandas as pd
import pytest

from tessphot_lib.core.wcs import ffi_wcs, pixel_to_sky
from tessphot_lib.steps.pixels import MIN_STARS, _matrix
from tests.io.products.test_lightcurve_fits import sip_header

AT = {"row": 420.3, "column": 1310.8}


def sky_of(cards, rows, columns):
    ra, dec = pixel_to_sky(ffi_wcs(cards), np.array(rows), np.array(columns))
    return pd.DataFrame({"row": rows, "column": columns, "ra": ra, "dec": dec})


@pytest.mark.parametrize("n_stars", [MIN_STARS - 2, 9])
def test_it_is_that_of_the_stars_around(n_stars):
    """The WCS of the CCD is of a cutout with pixels 4 % smaller than where the star is."""
    rng = np.random.default_rng(4)
    here = sip_header()
    cards = here.tostring(sep="\n")
    there = here.copy()
    for key in ("CD1_1", "CD1_2", "CD2_1", "CD2_2"):
        there[key] *= 0.96
    row, column = (AT[name] + rng.uniform(-9, 9, n_stars) for name in ("row", "column"))
    known = sky_of(cards, np.append(row, AT["row"]), np.append(column, AT["column"]))
    star = known.iloc[-1].to_dict()
    found = _matrix(known, star, there.tostring(sep="\n"))
    true = _matrix(known.iloc[:0], star, cards)
    off = np.abs(found - true).max() / np.abs(true).max()
    assert off < 2e-3 if n_stars >= MIN_STARS else off > 0.02


def test_stars_in_a_line_do_not_show_it():
    cards = sip_header().tostring(sep="\n")
    known = sky_of(cards, AT["row"] + np.zeros(6), AT["column"] + np.arange(6.0))
    star = known.iloc[0].to_dict()
    np.testing.assert_array_equal(_matrix(known, star, cards), _matrix(known.iloc[:0], star, cards))
