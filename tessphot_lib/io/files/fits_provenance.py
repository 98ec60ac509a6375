"""How FITS products tell of their making: the same three things as attributes of HDF5 files."""

from collections.abc import Mapping

from astropy.io import fits


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
