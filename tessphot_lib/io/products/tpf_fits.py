"""A star's pixels of a run as a target pixel file, laid out as SPOC's.

Column and row of the first pixel (``1CRVnP``, ``2CRVnP``) count the pixels of the full image
from one, as in SPOC's files. There are no raw counts: RAW_CNTS is -1, which means none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from tessphot_lib.core.clock import TIME_SHIFT
from tessphot_lib.core.constants import FIRST_SCIENCE_COLUMN, SECONDS_PER_DAY
from tessphot_lib.core.flags import ApertureFlag
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.provenance import software_version
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.products.time_cards import time_cards

NO_COUNTS = -1  # TNULL of RAW_CNTS
# By this, lightkurve tells target pixel files from others.
EXPORTER = "TargetPixelExporterPipelineModule"
OF_IMAGES = (
    *("INT_TIME", "READTIME", "FRAMETIM", "NUM_FRM", "NREADOUT"),
    *(f"{key}{output}" for key in ("GAIN", "READNOI") for output in "ABCD"),
)
PRIMARY_OF_IMAGES = ("DATA_REL", "CRMITEN", "CRBLKSZ", "CRSPOC")


@dataclass(frozen=True)
class TargetPixels:
    """The pixels of a star in all images.

    Attributes
    ----------
    ccd_id : CcdId
    window : Window
        The stamp.
    star : mapping
        ``tic_id``, ``tmag``, ``ra``, ``dec`` at the epoch of the sector and ``ra_j2000``,
        ``dec_j2000`` [deg], ``pm_ra``, ``pm_dec`` [mas/yr], ``teff`` [K], ``row``,
        ``column`` [science pixels]; None or NaN where unknown.
    time, timecorr : (n,) arrays
        Barycentric for the star [BTJD], and the correction in it [d].
    time_shift : float
        What the times have been corrected by, as those of early data releases have to be [s].
    cadenceno, quality : (n,) int arrays
    flux, flux_err, flux_bkg, flux_bkg_err : (n, n_rows, n_columns) arrays
        Background off, its error, the background that is off and its error [e-/s].
    pos_corr_row, pos_corr_column : (n,) arrays
        Motion of the star [pixels].
    aperture : (n_rows, n_columns) int array
        Bits of `ApertureFlag`.
    matrix : (2, 2) array
        Degrees on the sky (east, north) per pixel (column, row).
    cadence_seconds : float
    image_header : mapping
        Keywords that the images share.
    cards : mapping
        Further keywords of the table, as CROWDSAP.
    """

    ccd_id: CcdId
    window: Window
    star: Mapping[str, Any]
    time: NDArray
    timecorr: NDArray
    time_shift: float
    cadenceno: NDArray
    quality: NDArray
    flux: NDArray
    flux_err: NDArray
    flux_bkg: NDArray
    flux_bkg_err: NDArray
    pos_corr_row: NDArray
    pos_corr_column: NDArray
    aperture: NDArray
    matrix: NDArray
    cadence_seconds: float
    image_header: Mapping[str, Any]
    cards: Mapping[str, float]


def write_target_pixels(path: Path, pixels: TargetPixels) -> None:
    """Write a target pixel file; ``path`` appears complete or not at all."""
    primary = fits.PrimaryHDU(header=fits.Header(_primary_cards(pixels)))
    aperture = fits.ImageHDU(pixels.aperture.astype(np.int32), name="APERTURE")
    aperture.header.extend([*_star_cards(pixels), *_image_wcs(pixels)])
    with complete_file(path) as partial:
        hdus = fits.HDUList([primary, _table(pixels), aperture])
        # Not by the name of the partial file, which has another ending.
        with partial.open("wb") as file:
            hdus.writeto(file, checksum=True)


def _table(pixels: TargetPixels) -> fits.BinTableHDU:
    """The table PIXELS."""
    n_rows, n_columns = pixels.window.shape
    size, dim = n_rows * n_columns, f"({n_columns},{n_rows})"
    cubes = {
        "FLUX": pixels.flux,
        "FLUX_ERR": pixels.flux_err,
        "FLUX_BKG": pixels.flux_bkg,
        "FLUX_BKG_ERR": pixels.flux_bkg_err,
    }
    counts = np.full(pixels.flux.shape, NO_COUNTS, dtype=np.int32)
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("TIME", "D", "BJD - 2457000, days", disp="D14.7", array=pixels.time),
            fits.Column("TIMECORR", "E", "d", disp="E14.7", array=pixels.timecorr),
            fits.Column("CADENCENO", "J", disp="I10", array=pixels.cadenceno),
            fits.Column(
                "RAW_CNTS", f"{size}J", "count", null=NO_COUNTS, disp="I8", dim=dim, array=counts
            ),
            *(
                fits.Column(name, f"{size}E", "e-/s", disp="E14.7", dim=dim, array=cube)
                for name, cube in cubes.items()
            ),
            fits.Column("QUALITY", "J", disp="B16.16", array=pixels.quality),
            fits.Column("POS_CORR1", "E", "pixel", disp="E14.7", array=pixels.pos_corr_column),
            fits.Column("POS_CORR2", "E", "pixel", disp="E14.7", array=pixels.pos_corr_row),
        ],
        name="PIXELS",
    )
    for number in range(4, 9):
        table.header.extend(_column_wcs(pixels, number))
    table.header.extend([*_star_cards(pixels), *_time_cards(pixels)])
    shared = pixels.image_header
    table.header.extend([(key, shared[key]) for key in OF_IMAGES if key in shared])
    cards = [(key, float(value)) for key, value in pixels.cards.items() if np.isfinite(value)]
    table.header.extend(cards)
    return table


def _primary_cards(pixels: TargetPixels) -> list[tuple[str, Any, str]]:
    """Keywords of the star and of what made the file."""
    star, ccd_id, shared = pixels.star, pixels.ccd_id, pixels.image_header
    of_star = [
        ("RA_OBJ", star["ra_j2000"], "[deg] right ascension"),
        ("DEC_OBJ", star["dec_j2000"], "[deg] declination"),
        ("PMRA", star["pm_ra"], "[mas/yr] RA proper motion"),
        ("PMDEC", star["pm_dec"], "[mas/yr] Dec proper motion"),
        ("TESSMAG", star["tmag"], "[mag] TESS magnitude"),
        ("TEFF", star["teff"], "[K] effective temperature"),
    ]
    return [
        ("EXTNAME", "PRIMARY", "name of extension"),
        ("EXTVER", 1, "extension version number"),
        ("SIMDATA", bool(shared.get("SIMDATA", False)), "based on simulated data"),
        ("ORIGIN", "tessphot", "who made this file"),
        ("CREATOR", f"tessphot {EXPORTER}", "layout of this file"),
        ("PROCVER", software_version(), "version of tessphot"),
        ("FILEVER", "1.0", "file format version"),
        ("TELESCOP", "TESS", "telescope"),
        ("INSTRUME", "TESS Photometer", "detector type"),
        ("OBJECT", f"TIC {star['tic_id']}", "target"),
        ("TICID", int(star["tic_id"]), "TESS Input Catalog number"),
        ("SECTOR", ccd_id.sector, "observing sector"),
        ("CAMERA", ccd_id.camera, "camera number"),
        ("CCD", ccd_id.ccd, "CCD number"),
        ("RADESYS", "ICRS", "reference frame of celestial coordinates"),
        *((key, float(value), text) for key, value, text in of_star if _is_known(value)),
        (TIME_SHIFT, round(pixels.time_shift, 4), "[s] added to the time stamps of the images"),
        *((key, shared[key], "") for key in PRIMARY_OF_IMAGES if key in shared),
    ]


def _is_known(value: Any) -> bool:
    return value is not None and bool(np.isfinite(float(value)))


def _star_cards(pixels: TargetPixels) -> list[tuple[str, Any, str]]:
    """Keywords of the star in the extensions, at the epoch of the sector."""
    tic_id = int(pixels.star["tic_id"])
    return [
        ("INHERIT", True, "inherit the primary header"),
        ("TELESCOP", "TESS", "telescope"),
        ("INSTRUME", "TESS Photometer", "detector type"),
        ("OBJECT", f"TIC {tic_id}", "target"),
        ("TICID", tic_id, "TESS Input Catalog number"),
        ("RADESYS", "ICRS", "reference frame of celestial coordinates"),
        ("RA_OBJ", float(pixels.star["ra"]), "[deg] right ascension"),
        ("DEC_OBJ", float(pixels.star["dec"]), "[deg] declination"),
    ]


def _time_cards(pixels: TargetPixels) -> list[tuple[str, Any, str]]:
    """Keywords of the times."""
    length = pixels.cadence_seconds / SECONDS_PER_DAY
    start, stop = float(pixels.time[0]) - 0.5 * length, float(pixels.time[-1]) + 0.5 * length
    return [
        *time_cards("TIME, TSTART and TSTOP"),
        ("TASSIGN", "SPACECRAFT", "where time is assigned"),
        ("TELAPSE", stop - start, "[d] TSTOP - TSTART"),
        ("TSTART", start, "observation start time in BTJD"),
        ("TSTOP", stop, "observation stop time in BTJD"),
        ("TIMEPIXR", 0.5, "bin time beginning=0 middle=0.5 end=1"),
        ("TIMEDEL", length, "[d] time resolution of data"),
        ("BACKAPP", True, "background is subtracted"),
        ("DEADAPP", True, "deadtime applied"),
    ]


def _placement(pixels: TargetPixels) -> dict[str, float]:
    """Where the star and the first pixel are: what the WCS keywords say."""
    window, star = pixels.window, pixels.star
    return {
        "column": window.column0 + FIRST_SCIENCE_COLUMN + 1,
        "row": window.row0 + 1,
        "x": float(star["column"]) - window.column0 + 1,
        "y": float(star["row"]) - window.row0 + 1,
        "scale": float(np.sqrt(abs(np.linalg.det(pixels.matrix)))),
    }


def _column_wcs(pixels: TargetPixels, n: int) -> list[tuple[str, Any, str]]:
    """WCS keywords of column ``n``, whose cells are images."""
    at = _placement(pixels)
    pc = pixels.matrix / np.array([[-at["scale"]], [at["scale"]]])
    return [
        (f"WCSN{n}P", "PHYSICAL", "table column WCS name"),
        (f"WCAX{n}P", 2, "table column physical WCS dimensions"),
        (f"1CTY{n}P", "RAWX", "physical WCS axis 1 type, CCD column"),
        (f"2CTY{n}P", "RAWY", "physical WCS axis 2 type, CCD row"),
        (f"1CUN{n}P", "PIXEL", "physical WCS axis 1 unit"),
        (f"2CUN{n}P", "PIXEL", "physical WCS axis 2 unit"),
        (f"1CRV{n}P", at["column"], "column of the first pixel"),
        (f"2CRV{n}P", at["row"], "row of the first pixel"),
        (f"1CDL{n}P", 1.0, "physical WCS axis 1 step"),
        (f"2CDL{n}P", 1.0, "physical WCS axis 2 step"),
        (f"1CRP{n}P", 1, "physical WCS axis 1 reference"),
        (f"2CRP{n}P", 1, "physical WCS axis 2 reference"),
        (f"WCAX{n}", 2, "number of WCS axes"),
        (f"1CTYP{n}", "RA---TAN", "right ascension coordinate type"),
        (f"2CTYP{n}", "DEC--TAN", "declination coordinate type"),
        (f"1CRPX{n}", at["x"], "[pixel] reference pixel along image axis 1"),
        (f"2CRPX{n}", at["y"], "[pixel] reference pixel along image axis 2"),
        (f"1CRVL{n}", float(pixels.star["ra"]), "[deg] right ascension there"),
        (f"2CRVL{n}", float(pixels.star["dec"]), "[deg] declination there"),
        (f"1CUNI{n}", "deg", "physical unit in column dimension"),
        (f"2CUNI{n}", "deg", "physical unit in row dimension"),
        (f"1CDLT{n}", -at["scale"], "[deg] pixel scale in RA dimension"),
        (f"2CDLT{n}", at["scale"], "[deg] pixel scale in Dec dimension"),
        *(
            (f"{i + 1}{j + 1}PC{n}", float(pc[i, j]), "linear transformation element")
            for i in range(2)
            for j in range(2)
        ),
    ]


def _image_wcs(pixels: TargetPixels) -> list[tuple[str, Any, str]]:
    """WCS keywords of the aperture image, and the number of its pixels."""
    at = _placement(pixels)
    pc = pixels.matrix / np.array([[-at["scale"]], [at["scale"]]])
    in_aperture = (pixels.aperture & ApertureFlag.IN_APERTURE) != 0
    missed = in_aperture & ((pixels.aperture & ApertureFlag.COLLECTED) == 0)
    return [
        ("WCSAXES", 2, "number of WCS axes"),
        ("CTYPE1", "RA---TAN", "right ascension coordinate type"),
        ("CTYPE2", "DEC--TAN", "declination coordinate type"),
        ("CRPIX1", at["x"], "[pixel] reference pixel along image axis 1"),
        ("CRPIX2", at["y"], "[pixel] reference pixel along image axis 2"),
        ("CRVAL1", float(pixels.star["ra"]), "[deg] right ascension there"),
        ("CRVAL2", float(pixels.star["dec"]), "[deg] declination there"),
        ("CUNIT1", "deg", "physical unit in column dimension"),
        ("CUNIT2", "deg", "physical unit in row dimension"),
        ("CDELT1", -at["scale"], "[deg] pixel scale in RA dimension"),
        ("CDELT2", at["scale"], "[deg] pixel scale in Dec dimension"),
        *(
            (f"PC{i + 1}_{j + 1}", float(pc[i, j]), "linear transformation element")
            for i in range(2)
            for j in range(2)
        ),
        ("WCSNAMEP", "PHYSICAL", "name of world coordinate system alternate P"),
        ("WCSAXESP", 2, "number of WCS physical axes"),
        ("CTYPE1P", "RAWX", "physical WCS axis 1 type CCD column"),
        ("CUNIT1P", "PIXEL", "physical WCS axis 1 unit"),
        ("CRPIX1P", 1, "reference CCD column"),
        ("CRVAL1P", at["column"], "value at reference CCD column"),
        ("CDELT1P", 1.0, "physical WCS axis 1 step"),
        ("CTYPE2P", "RAWY", "physical WCS axis 2 type CCD row"),
        ("CUNIT2P", "PIXEL", "physical WCS axis 2 unit"),
        ("CRPIX2P", 1, "reference CCD row"),
        ("CRVAL2P", at["row"], "value at reference CCD row"),
        ("CDELT2P", 1.0, "physical WCS axis 2 step"),
        ("NPIXSAP", int(in_aperture.sum()), "number of pixels in the aperture"),
        ("NPIXMISS", int(missed.sum()), "number of those not collected"),
    ]
