"""Headers that astropy writes: long texts are announced, and nothing is cut off."""

import pytest
from astropy.io import fits

from tessphot_lib.io.files.fits_provenance import note_long_strings, note_provenance


@pytest.mark.parametrize("text", ["x", "it's", "'"])
@pytest.mark.parametrize("n_characters", [0, 5, 40, 44, 45, 46, 47, 60, 67, 68, 69, 70, 80, 500])
def test_texts_of_any_length_are_read_back_without_a_warning(text, n_characters):
    value = (text * n_characters)[:n_characters]
    header = fits.Header()
    header["PRFSRC"] = (value, "where the PRF is from")
    note_long_strings(header)
    read = fits.Header.fromstring(header.tostring())  # a warning is an error here
    assert read["PRFSRC"] == value
    assert ("LONGSTRN" in read) == ("CONTINUE" in header.tostring())
    if n_characters < 22:
        assert read.comments["PRFSRC"] == "where the PRF is from"


def test_how_a_file_was_made():
    header = fits.Header()
    software = "tessphot 0.1.0+" + "g0123456789-dirty" * 2
    note_provenance(header, {"software": software, "settings": '{"a": 1}', "inputs": "x" * 200})
    read = fits.Header.fromstring(header.tostring())
    assert read["CREATOR"] == software
    assert (read["SETTINGS"], read["INPUTS"]) == ('{"a": 1}', "x" * 200)
    assert read["LONGSTRN"] == "OGIP 1.0"
