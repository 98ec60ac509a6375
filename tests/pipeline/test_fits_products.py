"""The FITS files of a run, as other programs judge them: fitsverify, where it is installed."""

import gzip
import re
import shutil
import subprocess

import pytest
from astropy.io import fits

FITSVERIFY = shutil.which("fitsverify")


@pytest.fixture(scope="module")
def products(small_run):
    """Paths of all FITS files that a run leaves for its user."""
    found = [path for path in small_run.results.rglob("*.fits*") if "blocks" not in path.parts]
    assert len(found) > 60
    assert {"prf.fits", "average_image.fits"} <= {path.name for path in found}
    return found


def test_values_are_known_texts_whole_and_dates_those_of_the_standard(products):
    for path in products:
        with fits.open(path, checksum=True) as hdus:  # a wrong checksum warns: an error here
            hdus.verify("exception")
            assert len({hdu.name for hdu in hdus}) == len(hdus), path.name
            for hdu in hdus:
                header = hdu.header
                where = f"{path.name}[{hdu.name}]"
                for card in header.cards:
                    assert not isinstance(card.value, fits.card.Undefined), (where, card.keyword)
                    if card.keyword.startswith("DATE"):
                        date = r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d\.\d{3})?"
                        assert re.fullmatch(date, card.value), (where, card)
                assert len(set(header)) == len(header), where
                assert "EQUINOX" not in header or header["RADESYS"] != "ICRS", where
                assert "CONTINUE" not in header.tostring() or "LONGSTRN" in header, where


@pytest.mark.skipif(FITSVERIFY is None, reason="fitsverify is not installed")
def test_fitsverify_finds_nothing(products, tmp_path):
    plain = []
    for path in products:  # its reader of compressed files is slow
        plain.append(tmp_path / f"{len(plain)}-{path.name.removesuffix('.gz')}")
        content = path.read_bytes()
        plain[-1].write_bytes(gzip.decompress(content) if path.suffix == ".gz" else content)
    command = [FITSVERIFY, "-q", *map(str, plain)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    assert [line for line in said if not line.startswith("verification OK: ")] == []
    assert len(said) == len(plain)
