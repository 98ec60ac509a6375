"""Light-curve FITS files (TASOC format 1.5): columns, and keywords of each star.

``MOM_CENTR1/2`` and ``POS_CORR1/2`` are (column, row). The centroids are
zero-based science pixels, as everywhere in this package. Physical WCS keywords
(``CRVAL1P`` ...) and celestial ones count the pixels of the full image from
one, as the mission's own files do: science column + 45, science row + 1.

What all stars of a CCD share is formatted once, see `tessphot_lib.io.products.lightcurve_template`.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from isal import igzip, isal_zlib
from numpy.typing import NDArray

from tessphot_lib.core.constants import (
    BTJD_OFFSET,
    FIRST_SCIENCE_COLUMN,
    SECONDS_PER_DAY,
)
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.flags import ApertureFlag
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.identifiers import object_name
from tessphot_lib.core.lightcurve import LightCurve, Stamp
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.files.fits_bytes import (
    TableColumn,
    TableLayout,
    format_cards,
    gzip_bytes,
    image_hdu,
    primary_hdu,
    table_hdu,
)
from tessphot_lib.io.products.lightcurve_template import (
    Card,
    LightCurveTemplate,
    known_cards,
    setting_cards,
)

BTJD_ZERO = datetime(2014, 12, 8, 12)  # calendar date of BTJD 0
BTJD_MJD = BTJD_OFFSET - 2400000.5  # [d] MJD = BTJD + this
FFI_COLUMN = FIRST_SCIENCE_COLUMN + 1  # one-based column of science column 0 in the full image
FFI_ROW = 1  # one-based row of science row 0

# LightCurve attribute -> column
COLUMNS = {
    "time": TableColumn("TIME", "D", "BJD - 2457000, days", "D17.10", "time of mid-exposure"),
    "timecorr": TableColumn("TIMECORR", "E", "d", "E14.7", "barycentric correction in TIME"),
    "cadenceno": TableColumn("CADENCENO", "J", None, "I10", "number of the image"),
    "flux": TableColumn("FLUX_RAW", "D", "e-/s", "E26.17", "flux, background subtracted"),
    "flux_err": TableColumn("FLUX_RAW_ERR", "D", "e-/s", "E26.17", "1-sigma error"),
    "background": TableColumn("FLUX_BKG", "D", "e-/s", "E26.17", "background in the aperture"),
    "flux_corr": TableColumn("FLUX_CORR", "D", "ppm", "E26.17", "corrected relative flux"),
    "flux_corr_err": TableColumn("FLUX_CORR_ERR", "D", "ppm", "E26.17", "1-sigma error"),
    "quality": TableColumn("QUALITY", "J", None, "B32.32", "flags of the photometry"),
    "pixel_quality": TableColumn("PIXEL_QUALITY", "J", None, "B32.32", "flags of the image"),
    "centroid_column": TableColumn(
        "MOM_CENTR1", "D", "pixels", "F13.5", "centroid, column", "zero-based science pixels"
    ),
    "centroid_row": TableColumn(
        "MOM_CENTR2", "D", "pixels", "F13.5", "centroid, row", "zero-based science pixels"
    ),
    "pos_corr_column": TableColumn("POS_CORR1", "D", "pixels", "F14.7", "motion, column"),
    "pos_corr_row": TableColumn("POS_CORR2", "D", "pixels", "F14.7", "motion, row"),
    # lightkurve takes these two, so called, where no other columns are asked for.
    "flux_relative": TableColumn("FLUX", "E", None, "E14.7", "1 + FLUX_CORR / 1e6"),
    "flux_relative_err": TableColumn("FLUX_ERR", "E", None, "E14.7", "1-sigma error"),
}
LAYOUT = TableLayout(tuple(COLUMNS.values()))

_NOT_READABLE = (
    *(OSError, EOFError, isal_zlib.error, KeyError, TypeError, AttributeError, ValueError),
)


def light_curve_name(
    tic_id: int, ccd_id: CcdId, cadence_seconds: float, data_rel: int, version: int
) -> str:
    """Return TASOC's file name of a light curve."""
    return (
        f"tess{tic_id:011d}-s{ccd_id.sector:03d}-{ccd_id.camera}-{ccd_id.ccd}"
        f"-c{round(cadence_seconds):04d}-dr{data_rel:02d}-v{version:02d}-tasoc_lc.fits.gz"
    )


def write_light_curve(
    path: Path,
    light_curve: LightCurve,
    stamp: Stamp,
    star: Mapping[str, Any],
    *,
    template: LightCurveTemplate,
    method: str,
    method_settings: Mapping[str, Any] | None = None,
    extra_images: Mapping[str, NDArray] | None = None,
    extra_columns: Sequence[tuple[TableColumn, NDArray]] = (),
) -> None:
    """Write one light curve; ``path`` appears complete or not at all.

    Parameters
    ----------
    path : Path
        Compressed if it ends in ``.gz``.
    light_curve : LightCurve
    stamp : Stamp
    star : mapping
        ``ra_j2000``, ``dec_j2000`` [deg], ``pm_ra``, ``pm_dec`` [mas/yr],
        ``tmag``, ``teff`` [K]; NaN or None where unknown, which gives no keyword.
        A row of the catalog's table, for instance.
    template : LightCurveTemplate
    method : str
        Name of the method of photometry (keyword PHOTMET).
    method_settings : mapping, optional
        Primary keywords of the method, as ``{"AP_CONT": 0.01}`` or, with a comment,
        ``{"HALO_RAD": (20.0, "[pixels] radius of the halo")}``.
    extra_images : mapping, optional
        Further images of the stamp by the name of their extension, as
        ``{"WEIGHTMAP": weights}``.
    extra_columns : sequence of (TableColumn, (n_cadences,) array)
        Further columns, after the others.
    """
    extra_images = extra_images or {}
    n_extensions = 3 + len(extra_images)
    times = _time_cards(light_curve, template)
    primary = _star_cards(
        light_curve.tic_id, star, method, n_extensions, in_collection=template.in_collection
    )
    in_primary = ("DATE-BEG", "DATE-END", "MJD-BEG", "MJD-END", "TELAPSE", "XPOSURE")
    primary += [card for card in times if card[0] in in_primary]
    primary += setting_cards(method_settings)
    position = [
        ("RA_TARG", _number(star["ra_j2000"]), "[deg] right ascension of the target, J2000")
    ]
    position += [("DEC_TARG", _number(star["dec_j2000"]), "[deg] declination of the target, J2000")]
    arrays = {column.name: getattr(light_curve, name) for name, column in COLUMNS.items()}
    arrays |= {column.name: values for column, values in extra_columns}
    layout = _with_columns(tuple(column for column, _ in extra_columns))
    stamp_cards = _stamp_cards(stamp.window, template)
    aperture = np.asarray(stamp.aperture)
    in_aperture = (aperture & ApertureFlag.IN_APERTURE) != 0
    missed = in_aperture & ((aperture & ApertureFlag.COLLECTED) == 0)
    counts: list[Card] = [
        ("NPIXSAP", int(in_aperture.sum()), "number of pixels in the aperture"),
        ("NPIXMISS", int(missed.sum()), "number of those not collected"),
    ]
    identity = format_cards(primary[:5])
    more = format_cards(known_cards(primary[5:]))
    of_table = template.table_cards + format_cards(known_cards(position + times))
    content = [
        primary_hdu(identity + template.primary_cards + more),
        table_hdu(layout, arrays, of_table),
        image_hdu(stamp.average_image, _extension_cards("SUMIMAGE", "e-/s") + stamp_cards),
        image_hdu(aperture, _extension_cards("APERTURE") + stamp_cards + format_cards(counts)),
    ]
    content += [
        image_hdu(image, _extension_cards(name) + stamp_cards)
        for name, image in extra_images.items()
    ]
    data = b"".join(content)
    if path.suffix == ".gz":
        data = gzip_bytes(data, template.level)
    with complete_file(path) as partial:
        partial.write_bytes(data)


def read_light_curve(path: Path) -> tuple[LightCurve, Stamp, dict[str, Any]]:
    """Read back what `write_light_curve` wrote.

    Returns
    -------
    light_curve : LightCurve
        ``timecorr`` with the precision of the file (float32, 0.02 ms or better).
    stamp : Stamp
    header : dict
        Keywords of the primary header and, where that lacks them, of the
        table's. What is not known has none.

    Raises
    ------
    InputDataError
        If the file cannot be read or is not such a light curve.
    """
    try:
        with _open(path) as hdus:
            table, aperture = hdus["LIGHTCURVE"], hdus["APERTURE"].data
            header = dict(table.header) | dict(hdus[0].header)
            arrays = {name: _native(table.data[col.name]) for name, col in COLUMNS.items()}
            arrays["timecorr"] = arrays["timecorr"].astype(np.float64)
            row0 = round(hdus["APERTURE"].header["CRVAL2P"]) - FFI_ROW
            column0 = round(hdus["APERTURE"].header["CRVAL1P"]) - FFI_COLUMN
            window = Window(row0, row0 + aperture.shape[0], column0, column0 + aperture.shape[1])
            stamp = Stamp(window, _native(hdus["SUMIMAGE"].data), _native(aperture))
            light_curve = LightCurve(tic_id=header["TICID"], **arrays)
    except _NOT_READABLE as error:
        raise InputDataError(f"{path} is not a light curve: {error}") from error
    return light_curve, stamp, header


def _open(path: Path) -> fits.HDUList:
    """Open a FITS file, gzipped or not, of which all is read: a third of `fits.open`'s time."""
    content = path.read_bytes()
    return fits.HDUList.fromstring(igzip.decompress(content) if path.suffix == ".gz" else content)


def read_weights(path: Path) -> NDArray | None:
    """Read the weights of halo photometry, (n_segments, n_rows, n_columns); None without.

    Raises
    ------
    InputDataError
        If the file cannot be read.
    """
    try:
        with _open(path) as hdus:
            return _native(hdus["WEIGHTMAP"].data) if "WEIGHTMAP" in hdus else None
    except _NOT_READABLE as error:
        raise InputDataError(f"{path} is not a light curve: {error}") from error


@cache
def _with_columns(extra: tuple[TableColumn, ...]) -> TableLayout:
    """Layout with further columns; made once for the stars of a job."""
    return TableLayout((*LAYOUT.columns, *extra)) if extra else LAYOUT


def _star_cards(
    tic_id: int, star: Mapping[str, Any], method: str, n_extensions: int, *, in_collection: bool
) -> list[Card]:
    """Primary cards of one star; the first five come before those of the template."""
    pm_ra, pm_dec = _number(star["pm_ra"]), _number(star["pm_dec"])
    return [
        ("NEXTEND", n_extensions, "number of standard extensions"),
        ("EXTNAME", "PRIMARY", "name of extension"),
        ("OBJECT", object_name(int(tic_id)), "string version of TICID"),
        ("TICID", int(tic_id), "unique TESS target identifier"),
        ("PHOTMET", method, "photometric method"),
        ("RA_OBJ", _number(star["ra_j2000"]), "[deg] right ascension, J2000"),
        ("DEC_OBJ", _number(star["dec_j2000"]), "[deg] declination, J2000"),
        ("PMRA", pm_ra, "[mas/yr] RA proper motion, cos(dec) included"),
        ("PMDEC", pm_dec, "[mas/yr] Dec proper motion"),
        ("PMTOTAL", math.hypot(pm_ra, pm_dec), "[mas/yr] total proper motion"),
        ("TESSMAG", _number(star["tmag"]), "[mag] TESS magnitude"),
        ("TEFF", _number(star["teff"]), "[K] effective temperature"),
        ("HLSPTARG", object_name(int(tic_id)) if in_collection else None, "target"),
        ("DATAVAL", 0, "data validation flags"),
    ]


def _time_cards(light_curve: LightCurve, template: LightCurveTemplate) -> list[Card]:
    """Times of one light curve; undefined where it has no cadences."""
    half = 0.5 * template.cadence_seconds / SECONDS_PER_DAY
    known = light_curve.time[np.isfinite(light_curve.time)]
    n_measured = int(np.isfinite(light_curve.flux).sum())
    start, stop = (known.min() - half, known.max() + half) if known.size else (np.nan, np.nan)
    live = template.exposure_time / template.cadence_seconds
    exposure = n_measured * template.exposure_time
    return [
        ("TSTART", start, "observation start time in BTJD"),
        ("TSTOP", stop, "observation stop time in BTJD"),
        ("DATE-OBS", _date(start), "TSTART as calendar date, TDB"),
        ("DATE-BEG", _date(start), "TSTART as calendar date, TDB"),
        ("DATE-END", _date(stop), "TSTOP as calendar date, TDB"),
        ("MJD-BEG", start + BTJD_MJD, "[d] TSTART as MJD, TDB"),
        ("MJD-END", stop + BTJD_MJD, "[d] TSTOP as MJD, TDB"),
        ("TELAPSE", stop - start, "[d] TSTOP - TSTART"),
        ("LIVETIME", (stop - start) * live, "[d] TELAPSE multiplied by DEADC"),
        ("EXPOSURE", exposure / SECONDS_PER_DAY, "[d] time on source, measured cadences"),
        ("XPOSURE", exposure, "[s] the same, dead time excluded"),
    ]


def _date(btjd: float) -> str | None:
    """Calendar date of a time in BTJD, in the same time system (TDB); None for NaN."""
    if not math.isfinite(btjd):
        return None
    moment = BTJD_ZERO + timedelta(milliseconds=round(btjd * SECONDS_PER_DAY * 1e3))
    return moment.isoformat(timespec="milliseconds")


def _stamp_cards(window: Window, template: LightCurveTemplate) -> bytes:
    """Celestial and physical WCS of a stamp."""
    column, row = window.column0 + FFI_COLUMN, window.row0 + FFI_ROW  # of the first pixel
    reference_column, reference_row = template.reference_pixel
    moved: list[Card] = [
        ("CRPIX1", reference_column - column + 1, "[pixel] reference pixel, column"),
        ("CRPIX2", reference_row - row + 1, "[pixel] reference pixel, row"),
    ]
    physical: list[Card] = [
        ("WCSNAMEP", "PHYSICAL", "name of world coordinate system alternate P"),
        ("WCSAXESP", 2, "number of WCS physical axes"),
        ("CTYPE1P", "RAWX", "physical WCS axis 1 type CCD col"),
        ("CUNIT1P", "pixel", "physical WCS axis 1 unit"),
        ("CRPIX1P", 1, "reference CCD column"),
        ("CRVAL1P", column, "value at reference CCD column"),
        ("CDELT1P", 1.0, "physical WCS axis 1 step"),
        ("CTYPE2P", "RAWY", "physical WCS axis 2 type CCD row"),
        ("CUNIT2P", "pixel", "physical WCS axis 2 unit"),
        ("CRPIX2P", 1, "reference CCD row"),
        ("CRVAL2P", row, "value at reference CCD row"),
        ("CDELT2P", 1.0, "physical WCS axis 2 step"),
    ]
    return template.wcs_cards + format_cards(moved + physical)


def _extension_cards(name: str, unit: str | None = None) -> bytes:
    cards: list[Card] = [
        ("INHERIT", True, "inherit the primary header"),
        ("EXTNAME", name, "name of extension"),
        ("EXTVER", 1, "extension version number"),
    ]
    if unit is not None:
        cards.append(("BUNIT", unit, "physical units of image data"))
    return format_cards(cards)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _native(values: NDArray) -> NDArray:
    """Copy to the byte order of the machine."""
    return np.array(values, dtype=values.dtype.newbyteorder("="))
