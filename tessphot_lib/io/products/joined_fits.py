"""The joined light curve of one star: FITS and ECSV.

``LIGHTCURVE`` has the columns `COLUMNS`, one row per image of any sector in order of time;
``SECTORS`` one row per sector and CCD, `SECTOR_COLUMNS`. lightkurve reads the FITS file
(``flux`` is FLUX, about one). The ECSV file is LIGHTCURVE, with SECTORS in its head.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.provenance import software_version
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.files.ecsv import write_ecsv
from tessphot_lib.io.products.time_cards import time_cards

# Column: format in FITS, unit, meaning.
COLUMNS = {
    "TIME": ("D", "BJD - 2457000, days", "time of mid-exposure"),
    "FLUX": ("D", None, "corrected flux over its common level"),
    "FLUX_ERR": ("D", None, "1-sigma error"),
    "RAW_FLUX": ("D", None, "the same without correction"),
    "RAW_FLUX_ERR": ("D", None, "1-sigma error"),
    "QUALITY": ("J", None, "flags of the photometry, 0 is good"),
    "PIXEL_QUALITY": ("J", None, "flags of the image"),
    "CADENCENO": ("J", None, "number of the image"),
    "SECTOR": ("I", None, "sector"),
    "CAMERA": ("I", None, "camera"),
    "CCD": ("I", None, "CCD"),
}
SECTOR_COLUMNS = {
    "SECTOR": ("I", None, "sector"),
    "CAMERA": ("I", None, "camera"),
    "CCD": ("I", None, "CCD"),
    "CADENCE": ("E", "s", "from one image to the next"),
    "N_IMAGES": ("J", None, "images"),
    "N_GOOD": ("J", None, "images with a good flux"),
    "METHOD": ("10A", None, "method of photometry"),
    "MEDIAN": ("D", "electron/s", "median flux of the aperture"),
    "CROWDSAP": ("D", None, "the star's fraction of the light in it"),
    "FLFRCSAP": ("D", None, "fraction of the star's light in it"),
    "ZEROPNT": ("D", "mag", "Tmag of a star of 1 e-/s"),
    "STARFLUX": ("D", "electron/s", "flux of the star alone, all of it"),
    "CATRATIO": ("D", None, "STARFLUX over that of catalog and PRF"),
    "RATIO": ("D", None, "level of this sector in FLUX"),
    "CDPP_1H": ("D", None, "noise of means over 1 h, ppm"),
}
NO_FILE = (OSError, KeyError, TypeError, ValueError, IndexError)


def write_joined(
    path: Path,
    curve: Mapping[str, NDArray],
    sectors: Sequence[Mapping[str, Any]],
    star: Mapping[str, Any],
    *,
    origin: str,
) -> None:
    """Write the FITS file, and beside it the ECSV file of the same name.

    Parameters
    ----------
    path : Path
        Ends in ``.fits``; both appear complete or not at all.
    curve : mapping of str to (n,) array
        By the names of `COLUMNS`, in order of time.
    sectors : sequence of mapping
        By the names of `SECTOR_COLUMNS`.
    star : mapping
        ``tic_id``, ``name``, ``ra``, ``dec`` [deg] and ``tmag``; None where not known.
    origin : str
        ORIGIN in the header (``output.origin``), by which lightkurve recognizes the format.
    """
    cards = [
        ("ORIGIN", origin, "institution responsible for this format"),
        ("CREATOR", f"tessphot {software_version()}", "software that made this file"),
        ("TELESCOP", "TESS", "telescope"),
        ("INSTRUME", "TESS Photometer", "detector type"),
        ("OBJECT", _in_ascii(str(star["name"]))[:60], "name"),
        ("TICID", star["tic_id"], "unique TESS target identifier"),
        ("RA_OBJ", star["ra"], "[deg] right ascension"),
        ("DEC_OBJ", star["dec"], "[deg] declination"),
        ("TESSMAG", star["tmag"], "[mag] TESS magnitude"),
        ("NSECTORS", len({row["SECTOR"] for row in sectors}), "sectors"),
    ]
    primary = fits.PrimaryHDU(header=fits.Header([one for one in cards if one[1] is not None]))
    rows = {name: np.array([row[name] for row in sectors]) for name in SECTOR_COLUMNS}
    hdus = [primary, _table("LIGHTCURVE", COLUMNS, curve), _table("SECTORS", SECTOR_COLUMNS, rows)]
    hdus[1].header.extend(time_cards())
    whole = fits.HDUList(hdus)
    whole.update_extend()  # before the sums: writing would change the header after them
    for hdu in whole:
        hdu.add_checksum(when="of this HDU")
    with complete_file(path) as partial:
        whole.writeto(partial)
    _write_text(path.with_suffix(".ecsv"), curve, sectors, star)


def _in_ascii(text: str) -> str:
    """What a header can hold of a name: ``?`` for other characters than those of ASCII."""
    return "".join(one if one.isascii() and one.isprintable() else "?" for one in text)


def read_joined(path: Path) -> tuple[dict[str, NDArray], list[dict[str, Any]], dict[str, Any]]:
    """Read back what `write_joined` wrote: curve, sectors, and the primary header.

    Raises
    ------
    InputDataError
        If the file cannot be read or is of another kind.
    """
    try:
        with fits.open(path) as hdus:
            curve = {name: _native(hdus["LIGHTCURVE"].data[name]) for name in COLUMNS}
            table = {name: _native(hdus["SECTORS"].data[name]) for name in SECTOR_COLUMNS}
            header = dict(hdus[0].header)
    except NO_FILE as error:
        raise InputDataError(f"{path} is not a joined light curve: {error}") from error
    n_rows = len(table["SECTOR"])
    rows = [
        {name: values[index].item() for name, values in table.items()} for index in range(n_rows)
    ]
    return curve, rows, header


def _table(
    name: str, columns: Mapping[str, tuple], values: Mapping[str, NDArray]
) -> fits.BinTableHDU:
    """Make a table with the meaning of each column as comment."""
    made = [
        fits.Column(column, kind, unit=unit, array=values[column])
        for column, (kind, unit, _) in columns.items()
    ]
    hdu = fits.BinTableHDU.from_columns(made, name=name)
    for number, (_, _, meaning) in enumerate(columns.values(), start=1):
        hdu.header.comments[f"TTYPE{number}"] = meaning
    return hdu


def _write_text(
    path: Path,
    curve: Mapping[str, NDArray],
    sectors: Sequence[Mapping[str, Any]],
    star: Mapping[str, Any],
) -> None:
    """The same as text, for programs that read no FITS."""
    from astropy.table import Table

    plain = json.loads(json.dumps([dict(row) for row in sectors], default=_plain))
    table = Table(meta={"star": json.loads(json.dumps(dict(star), default=_plain))})
    table.meta["sectors"] = plain
    for name, (_, unit, meaning) in COLUMNS.items():
        table[name.lower()] = curve[name]
        table[name.lower()].description = f"{meaning} [{unit}]" if unit else meaning
    write_ecsv(path, table)


def _plain(value: Any) -> Any:
    """Numpy's scalars as Python's."""
    return value.item()


def _native(values: NDArray) -> NDArray:
    """Copy to the byte order of the machine."""
    if values.dtype.kind in "SU":
        return np.array(values).astype(str)
    return np.array(values, dtype=values.dtype.newbyteorder("="))
