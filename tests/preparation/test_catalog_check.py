"""A catalog is refused where the image has its stars elsewhere."""

import logging
from pathlib import Path

import pandas as pd
import pytest

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.preparation.catalog_check import check_catalog
from tests.motion.test_catalog_offset import WINDOW, image_of, stars

PATHS = {"catalog": Path("results/catalog.sqlite"), "reference": "image004_ffic.fits"}


def check(shift):
    row, column, tmag = stars()
    table = pd.DataFrame({"row": row, "column": column, "tmag": tmag})
    check_catalog(image_of(row + shift, column - 0.5 * shift, tmag), WINDOW, table, **PATHS)


def test_wrong_wcs_is_refused_with_the_name_of_its_image():
    with pytest.raises(
        InputDataError,
        match=r"catalog\.sqlite: .* up to 6\.\d pixels .* \(\+6\.0 rows, -3\.0 columns .*"
        r"WCS of image004_ffic\.fits is wrong",
    ):
        check(6.0)


def test_small_displacements_are_told_or_passed_over(caplog):
    with caplog.at_level(logging.WARNING):
        check(0.1)
        assert not caplog.records
        check(0.8)
    assert "up to 0.9 pixels" in caplog.text
