"""What the light-curve files of all stars of a CCD share: keywords, formatted once.

Comments of keywords that any method may have are here, too.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from numbers import Real
from typing import Any

from astropy.io import fits

from tessphot_lib.core.constants import FRAME_TIME, SECONDS_PER_DAY
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.provenance import software_version
from tessphot_lib.core.settings import HlspSettings
from tessphot_lib.io.files.fits_bytes import GZIP_LEVEL, format_cards
from tessphot_lib.io.products.time_cards import time_cards

FILE_VERSION = "1.5"
Card = tuple[str, Any, str]
RADESYS: Card = ("RADESYS", "ICRS", "reference frame of celestial coordinates")

_WCS_KEYWORDS = re.compile(
    r"WCSAXES|(CTYPE|CUNIT|CRPIX|CRVAL|CDELT|CROTA)[12]|(CD|PC)[12]_[12]|PV[12]_\d+"
    r"|(A|B|AP|BP)_(ORDER|DMAX|\d_\d)|LONPOLE|LATPOLE|RADESYS|EQUINOX"
)
# Keyword of a collection in an archive (a high-level science product) by its setting.
HLSP = {
    "HLSPID": "id",
    "HLSPNAME": "name",
    "HLSPLEAD": "lead",
    "DOI": "doi",
    "LICENSE": "license",
    "LICENURL": "license_url",
}
COMMENTS = {
    "CRMITEN": "spacecraft cosmic ray mitigation enabled",
    "CRBLKSZ": "[exposures] block size of this mitigation",
    "CRSPOC": "SPOC cosmic ray cleaning enabled",
    "HLSPID": "identifier of the collection",
    "HLSPNAME": "name of the collection",
    "HLSPLEAD": "who leads the collection",
    "DOI": "digital object identifier",
    "LICENSE": "license of the data",
    "LICENURL": "license",
    "HLSPVER": "version of the collection",
    "AP_CONT": "contamination in the aperture",
    "CDPP0_5": "[ppm] noise of means over 0.5 h",
    "CDPP1_0": "[ppm] noise of means over 1 h",
    "CDPP2_0": "[ppm] noise of means over 2 h",
    "CDPP6_0": "[ppm] noise of means over 6 h",
    "CDPPSG6": "[ppm] the same after a Savitzky-Golay filter",
    "CROWDSAP": "target's fraction of light in the aperture",
    "FLFRCSAP": "fraction of its light in the aperture",
    "CORRMETH": "FLUX_CORR: removed: none | motion | trends",
    "CORRNTR": "number of cotrending basis vectors removed",
    "CORREVID": "ln evidence for this correction over none",
    "CORRWHY": "why nothing was removed",
    "EPHEMSRC": "TIMECORR: where TESS was",
    "TIMEERR": "[s] expected 1-sigma error of TIME",
    "TIMESHFT": "[s] added to the time stamps of the images",
}


@dataclass(frozen=True)
class LightCurveTemplate:
    """What the files of all stars of a CCD share; see `light_curve_template`.

    The four ``bytes`` are header cards. ``wcs_cards`` lack CRPIX1 and CRPIX2,
    which ``reference_pixel`` holds as (column, row) on the full image, one-based.
    """

    ccd_id: CcdId
    cadence_seconds: float
    exposure_time: float
    data_rel: int
    version: int
    simulated: bool
    in_collection: bool
    level: int
    primary_cards: bytes
    table_cards: bytes
    wcs_cards: bytes
    reference_pixel: tuple[float, float]


def light_curve_template(
    ccd_id: CcdId,
    *,
    wcs: fits.Header,
    image_header: Mapping[str, Any],
    cadence_seconds: float,
    data_rel: int,
    version: int = 1,
    origin: str = "TASOC/Aarhus",
    tic_version: str | None = None,
    simulated: bool = False,
    date: str | None = None,
    hlsp: HlspSettings | None = None,
    settings: Mapping[str, Any] | None = None,
    level: int = GZIP_LEVEL,
) -> LightCurveTemplate:
    """Format all that the light-curve files of one CCD share.

    Parameters
    ----------
    ccd_id : CcdId
    wcs : Header
        WCS of the reference image in one-based pixels of the full image
        (TAN-SIP); other keywords in it are passed over.
    image_header : mapping
        Keywords of one image, primary and image header merged. Used: DEADC,
        INT_TIME, READTIME, FRAMETIM, NUM_FRM, NREADOUT, CRMITEN, CRBLKSZ,
        CRSPOC, GAINx, READNOIx. Missing times follow from the cadence and the
        mission's usual values, missing CRxxx are written as undefined.
    cadence_seconds : float
        Sampling interval [s].
    data_rel, version : int
        Data release of the images; version of the light curves.
    origin : str
        lightkurve and TASOC's readers know the format by ``TASOC/Aarhus``.
    tic_version : str, optional
        Version of the TESS Input Catalog.
    simulated : bool
        Whether the images are simulated (``SIMULATD``).
    date : str, optional
        Date in the files, ISO; today by default. Only this differs
        between the files of two equal runs.
    hlsp : HlspSettings, optional
        Values of the keywords of `HLSP`; what is not set has no keyword.
    settings : mapping, optional
        Further primary keywords that are the same for all stars.
    level : int
        Compression, see `tessphot_lib.io.files.fits_bytes.gzip_bytes`.

    Raises
    ------
    InputDataError
        If ``wcs`` lacks the reference pixel.
    """
    software = f"tessphot {software_version()}"
    hlsp = hlsp or HlspSettings()
    collection = {key: getattr(hlsp, name) for key, name in HLSP.items()}
    collection["HLSPVER"] = f"v{version:02d}" if hlsp.id else None
    primary: list[Card] = [
        ("ORIGIN", origin, "institution responsible for this format"),
        ("CREATOR", software, "software that made this file"),
        ("DATE", date or datetime.now(UTC).strftime("%Y-%m-%d"), "file creation date"),
        ("TELESCOP", "TESS", "telescope"),
        ("INSTRUME", "TESS Photometer", "detector type"),
        ("FILTER", "TESS", "photometric bandpass"),
        ("SIMULATD", simulated, "made from simulated data"),
        ("CAMERA", ccd_id.camera, "camera number (1-4)"),
        ("CCD", ccd_id.ccd, "CCD number (1-4)"),
        ("SECTOR", ccd_id.sector, "observing sector"),
        ("PROCVER", software, "version of the photometry software"),
        ("FILEVER", FILE_VERSION, "version of the file format"),
        ("DATA_REL", data_rel, "data release of the images"),
        ("VERSION", version, "version of the light curves"),
        RADESYS,
        ("TIMESYS", "TDB", "time system of all dates and times"),
        ("TIMEUNIT", "d", "time unit of TELAPSE"),
        ("TICVER", tic_version, "version of the TESS Input Catalog"),
    ]
    known = {key: value for key, value in image_header.items() if value is not None}
    primary += [(key, known.get(key), COMMENTS[key]) for key in ("CRMITEN", "CRBLKSZ", "CRSPOC")]
    primary += [(key, value, COMMENTS.get(key, "")) for key, value in collection.items()]
    primary += setting_cards(settings)

    dead_time = float(known.get("DEADC", 0.99 * _kept_frames(known)))
    try:
        reference_pixel = float(wcs["CRPIX1"]), float(wcs["CRPIX2"])
    except (KeyError, TypeError) as error:
        raise InputDataError(f"{ccd_id}: the reference image has no WCS ({error})") from error
    return LightCurveTemplate(
        ccd_id=ccd_id,
        cadence_seconds=cadence_seconds,
        exposure_time=dead_time * cadence_seconds,
        data_rel=data_rel,
        version=version,
        simulated=simulated,
        in_collection=bool(hlsp.id),
        level=level,
        primary_cards=format_cards(known_cards(primary)),
        table_cards=format_cards(known_cards(_table_cards(known, cadence_seconds, dead_time))),
        wcs_cards=format_cards(known_cards(_wcs_cards(wcs))),
        reference_pixel=reference_pixel,
    )


def known_cards(cards: Iterable[Card]) -> list[Card]:
    """Leave out the cards without a value: None, NaN and the infinities."""
    return [
        card
        for card in cards
        if card[1] is not None and not (isinstance(card[1], Real) and not math.isfinite(card[1]))
    ]


def _wcs_cards(wcs: fits.Header) -> Iterator[Card]:
    """Celestial WCS of an image but for the reference pixel; ICRS has no equinox."""
    unwanted = {"CRPIX1", "CRPIX2"} | ({"EQUINOX"} if wcs.get("RADESYS") == "ICRS" else set())
    for key, value in wcs.items():
        if _WCS_KEYWORDS.fullmatch(key) and key not in unwanted:
            yield key, value, wcs.comments[key]


def _kept_frames(known: Mapping[str, Any]) -> float:
    """Fraction of the 2-s frames that the mitigation of cosmic rays keeps."""
    return 0.8 if known.get("CRMITEN", True) else 1.0


def _table_cards(known: Mapping[str, Any], cadence_seconds: float, dead_time: float) -> list[Card]:
    """Header of the table of fluxes, but for what differs from star to star."""
    n_frames = round(cadence_seconds / FRAME_TIME)
    table: list[Card] = [
        ("INHERIT", True, "inherit the primary header"),
        ("EXTNAME", "LIGHTCURVE", "name of extension"),
        ("EXTVER", 1, "extension version number"),
        ("FILTER", "TESS", "photometric bandpass"),
        RADESYS,
        *time_cards("TIME, TSTART and TSTOP"),
        ("DEADC", dead_time, "deadtime correction"),
        ("TIMEPIXR", 0.5, "bin time beginning=0 middle=0.5 end=1"),
        ("TIMEDEL", cadence_seconds / SECONDS_PER_DAY, "[d] time resolution of data"),
        ("INT_TIME", known.get("INT_TIME", 1.98), "[s] photon accumulation per frame"),
        ("READTIME", known.get("READTIME", 0.02), "[s] readout time per frame"),
        ("FRAMETIM", known.get("FRAMETIM", FRAME_TIME), "[s] frame time"),
        ("NUM_FRM", known.get("NUM_FRM", n_frames), "number of frames per time stamp"),
        (
            "NREADOUT",
            known.get("NREADOUT", round(_kept_frames(known) * n_frames)),
            "number of reads per cadence",
        ),
    ]
    for output in "ABCD":
        for key, comment in (
            (f"GAIN{output}", "[electrons/count] CCD output gain"),
            (f"READNOI{output}", "[electrons] read noise of CCD output"),
        ):
            if key in known:
                table.append((key, known[key], comment))
    return table


def setting_cards(settings: Mapping[str, Any] | None) -> list[Card]:
    """Cards of settings: those that come without a comment get the one that is known here."""
    cards = []
    for key, value in (settings or {}).items():
        value, comment = value if isinstance(value, tuple) else (value, COMMENTS.get(key, ""))
        cards.append((key, value, comment))
    return cards
