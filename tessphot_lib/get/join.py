"""The light curves of a star in its sectors -> the joined one, as files and as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.lightcurve import LightCurve
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.io.products.joined_fits import write_joined
from tessphot_lib.io.products.lightcurve_fits import read_light_curve
from tessphot_lib.io.products.prf_fits import read_prf
from tessphot_lib.lightcurves.joined import JoinedSector, SectorCurve, join_sectors
from tessphot_lib.report.joined_picture import draw_joined


def join(
    light_curves: Sequence[Path],
    prfs: Sequence[Path],
    star: Mapping[str, Any],
    output: Path,
    *,
    origin: str,
) -> list[dict[str, Any]]:
    """Join light curves of one star.

    Parameters
    ----------
    light_curves : sequence of Path
        One per sector and CCD, in any order.
    prfs : sequence of Path
        ``prf.fits`` of each of them, for the zero point.
    star : mapping
        ``tic_id``, ``name``, ``ra``, ``dec`` [deg], ``tmag``.
    output : Path
        The FITS file; ``.ecsv`` and ``.png`` beside it have the same name.
    origin : str
        ``output.origin``.

    Returns
    -------
    list of dict
        The table of the sectors, see `tessphot_lib.io.products.joined_fits.SECTOR_COLUMNS`.

    Raises
    ------
    InputDataError
        If a file cannot be read.
    """
    read = [
        (*read_light_curve(path), read_prf(prf).zeropoint)
        for path, prf in zip(light_curves, prfs, strict=True)
    ]
    read.sort(key=lambda one: [one[2][name] for name in ("SECTOR", "CAMERA", "CCD")])
    curves, stamps, inputs, rows = [], [], [], []
    for curve, stamp, header, zeropoint in read:
        one = _sector_curve(curve, header, float(flux_of(star["tmag"], zeropoint)))
        curves.append(curve)
        stamps.append(stamp)
        inputs.append(one)
        rows.append(_known_of(curve, header, one, zeropoint))
    joined = join_sectors(inputs)
    for row, one in zip(rows, joined, strict=True):
        row |= {
            "MEDIAN": one.median,
            "STARFLUX": one.star_flux,
            "CATRATIO": one.catalog_ratio,
            "RATIO": one.ratio,
        }
    table = _in_order(curves, joined, rows)
    write_joined(output, table, rows, star, origin=origin)
    title = f"{star['name']}, Tmag {star['tmag']:.2f}: {len(rows)} light curves"
    draw_joined(table, rows, stamps, title, output.with_suffix(".png"))
    return rows


def _sector_curve(curve: LightCurve, header: Mapping[str, Any], expected: float) -> SectorCurve:
    """What `join_sectors` needs of a light curve."""
    fractions = {key: header.get(key) for key in ("CROWDSAP", "FLFRCSAP")}
    share, captured = (np.nan if value is None else float(value) for value in fractions.values())
    return SectorCurve(
        flux=curve.flux,
        flux_err=curve.flux_err,
        flux_corr=curve.flux_corr,
        flux_corr_err=curve.flux_corr_err,
        is_good=(curve.quality == 0) & np.isfinite(curve.flux),
        crowdsap=share,
        flfrcsap=captured,
        expected=expected,
    )


def _known_of(
    curve: LightCurve, header: Mapping[str, Any], one: SectorCurve, zeropoint: float
) -> dict[str, Any]:
    """Row of the table of sectors, but for what joining gives."""
    cdpp = header.get("CDPP1_0")
    return {
        "SECTOR": int(header["SECTOR"]),
        "CAMERA": int(header["CAMERA"]),
        "CCD": int(header["CCD"]),
        "CADENCE": round(float(header["TIMEDEL"]) * 86400.0, 3),
        "N_IMAGES": len(curve.time),
        "N_GOOD": int(one.is_good.sum()),
        "METHOD": str(header["PHOTMET"]),
        "CROWDSAP": one.crowdsap,
        "FLFRCSAP": one.flfrcsap,
        "ZEROPNT": zeropoint,
        "CDPP_1H": np.nan if cdpp is None else float(cdpp),
    }


def _in_order(
    curves: Sequence[LightCurve], joined: Sequence[JoinedSector], rows: Sequence[Mapping[str, Any]]
) -> dict[str, NDArray]:
    """One table of all sectors in order of time; images without a time are left out."""
    parts = []
    for curve, one, row in zip(curves, joined, rows, strict=True):
        n = len(curve.time)
        parts.append(
            {
                "TIME": curve.time,
                "FLUX": one.flux,
                "FLUX_ERR": one.flux_err,
                "RAW_FLUX": one.raw_flux,
                "RAW_FLUX_ERR": one.raw_flux_err,
                "QUALITY": curve.quality,
                "PIXEL_QUALITY": curve.pixel_quality,
                "CADENCENO": curve.cadenceno,
                **{name: np.full(n, row[name]) for name in ("SECTOR", "CAMERA", "CCD")},
            }
        )
    table = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort([table["CCD"], table["CAMERA"], table["TIME"]])
    order = order[np.isfinite(table["TIME"][order])]
    return {name: values[order] for name, values in table.items()}
