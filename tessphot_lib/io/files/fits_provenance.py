"""How FITS products tell of their making: the same three things as attributes of HDF5 files."""

from collections.abc import Mapping

from astropy.io import fits

LONGEST_TEXT = 68  # characters in one card; " / " and a comment take some of them


def note_provenance(header: fits.Header, attributes: Mapping[str, str]) -> None:
    """Set CREATOR, SETTINGS and INPUTS; long texts go on in CONTINUE cards.

    Parameters
    ----------
    header : Header
        Of the primary HDU; changed.
    attributes : mapping
        From `tessphot_lib.core.provenance.provenance`.
    """
    header["CREATOR"] = (attributes.get("software", "tessphot"), "software and version")
    for key, comment in (("settings", "as JSON"), ("inputs", "names of files, as JSON")):
        if key in attributes:
            header[key.upper()] = (attributes[key], comment)
    note_long_strings(header)


def note_long_strings(header: fits.Header) -> None:
    """Set LONGSTRN if a text goes on in CONTINUE cards; drop comments that do not fit.

    To be called when all other keywords are set.

    Parameters
    ----------
    header : Header
        Changed.
    """
    longest = 0
    for card in header.cards:
        if isinstance(card.value, str):
            length = len(card.value.replace("'", "''"))
            longest = max(longest, length)
            if length <= LONGEST_TEXT and length + len(card.comment) > LONGEST_TEXT - 3:
                card.comment = ""  # astropy would warn, and cut it off
    if longest > LONGEST_TEXT:
        header["LONGSTRN"] = ("OGIP 1.0", "long texts go on in CONTINUE cards")
