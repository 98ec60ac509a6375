"""The joined light curve as a FITS file that other programs accept."""

import numpy as np
from astropy.io import fits

from tessphot_lib.io.products.joined_fits import (
    COLUMNS,
    SECTOR_COLUMNS,
    read_joined,
    write_joined,
)


def test_checksums_hold_and_what_is_not_known_has_no_keyword(tmp_path):
    numbers = np.arange(1, 6)
    curve = {name: numbers.astype("f8" if COLUMNS[name][0] == "D" else "i4") for name in COLUMNS}
    sector = {name: "aperture" if name == "METHOD" else 3 for name in SECTOR_COLUMNS}
    star = {"tic_id": 7, "name": "β Pic", "ra": 12.5, "dec": -3.0, "tmag": None}
    path = tmp_path / "tic7_joined.fits"
    write_joined(path, curve, [sector], star, origin="TASOC/Aarhus")
    with fits.open(path, checksum=True) as hdus:  # a wrong checksum warns: an error here
        hdus.verify("exception")
        assert all({"CHECKSUM", "DATASUM"} <= set(hdu.header) for hdu in hdus)
        assert "TESSMAG" not in hdus[0].header
        assert not any(
            isinstance(card.value, fits.card.Undefined) for hdu in hdus for card in hdu.header.cards
        )
    found, sectors, header = read_joined(path)
    np.testing.assert_array_equal(found["FLUX"], curve["FLUX"])
    assert (sectors, header["TICID"], header["OBJECT"]) == ([sector], 7, "? Pic")
