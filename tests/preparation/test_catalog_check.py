"""A catalog is refused where the image has its stars elsewhere."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tessphot_lib.core.catalog_shift import CatalogShift
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.preparation.catalog_check import check_catalog
from tests.motion.test_catalog_offset import WINDOW, image_of, stars

PATHS = {"catalog": Path("results/catalog.sqlite"), "reference": "image004_ffic.fits"}


def check(shift, n_stars=60, **options):
    row, column, tmag = stars(n_stars)
    table = pd.DataFrame({"row": row, "column": column, "tmag": tmag})
    image = image_of(row + shift, column - 0.5 * shift, tmag)
    return check_catalog(image, WINDOW, table, **PATHS, **options)


def test_wrong_wcs_is_refused_with_the_name_of_its_image():
    with pytest.raises(
        InputDataError,
        match=r"catalog\.sqlite: .* up to 6\.\d pixels .* \(\+6\.0 rows, -3\.0 columns .*"
        r"WCS of image004_ffic\.fits is wrong",
    ):
        check(6.0)


def test_displacements_are_set_right(caplog):
    with caplog.at_level(logging.WARNING):
        assert not check(0.1).motion.any()
        assert not caplog.records
        shift = check(0.8)
    assert "up to 0.9 pixels" in caplog.text
    assert (shift.d_row, shift.d_column) == pytest.approx((0.8, -0.4), abs=0.03)
    assert shift.n_stars > 20
    row, column, _ = stars()
    at_row, at_column = shift.places(row, column)
    np.testing.assert_allclose(at_row, row + 0.8, atol=0.06)
    np.testing.assert_allclose(at_column, column - 0.4, atol=0.06)
    assert vars(CatalogShift.from_array(shift.to_array())).keys() == vars(shift).keys()
    np.testing.assert_array_equal(
        CatalogShift.from_array(shift.to_array()).to_array(), shift.to_array()
    )
    assert CatalogShift.from_array(np.zeros(0)).n_stars == 0


def test_what_the_motion_of_the_images_explains_is_no_error_of_the_catalog():
    mean = np.array([0.8, 0.0, 0.0, -0.4, 0.0, 0.0])
    assert not check(0.8, mean_motion=mean).motion.any()


def test_few_stars_show_a_displacement_but_no_turn():
    shift = check(0.8, n_stars=14)
    assert 8 <= shift.n_stars < 20
    assert shift.motion[[1, 2, 4, 5]].tolist() == [0.0] * 4
    assert shift.motion[[0, 3]] == pytest.approx((0.8, -0.4), abs=0.06)
