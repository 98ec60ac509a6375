"""Step: the light curves of stars in their sectors -> the joined ones, as files and pictures."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import SECONDS_PER_DAY
from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.identifiers import FIRST_MADE_UP, object_name
from tessphot_lib.core.lightcurve import LightCurve, Stamp
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.io.files.atomic import complete_folder
from tessphot_lib.io.products.joined_fits import write_joined
from tessphot_lib.io.products.lightcurve_fits import read_light_curve
from tessphot_lib.io.products.prf_fits import read_prf
from tessphot_lib.io.products.todo_sqlite import read_diagnostics, read_todo
from tessphot_lib.io.products.todo_tables import ccd_of_row
from tessphot_lib.lightcurves.joined import JoinedSector, SectorCurve, join_sectors
from tessphot_lib.report.joined_picture import draw_joined

log = logging.getLogger(__name__)


def run_joined(todo: Path, output: Path, *, tic_ids: Sequence[int], origin: str) -> None:
    """Join the light curves that stars have in the images of all sectors of a folder.

    Parameters
    ----------
    todo : Path
        ``todo.sqlite`` of the folder.
    output : Path
        Folder for ``tic<TIC>_joined.fits``, ``.ecsv`` and ``.png``. A star without any light
        curve has none, nor has one whose files cannot be read: the log says so.
    tic_ids : sequence of int
    origin : str
        ``output.origin``.
    """
    stars = read_todo(todo, tic_ids=list(tic_ids))
    stars = stars.merge(read_diagnostics(todo)[["priority", "lightcurve"]], on="priority")
    stars = stars[stars["lightcurve"].notna() & (stars["datasource"] == "ffi")]
    with complete_folder(output) as folder:
        for tic_id in dict.fromkeys(tic_ids):
            own = stars[stars["tic_id"] == tic_id].to_dict("records")
            if not own:
                log.warning("TIC %d: no light curve", tic_id)
                continue
            paths = [todo.parent / star["lightcurve"] for star in own]
            prfs = [todo.parent / str(ccd_of_row(star)) / "prf.fits" for star in own]
            try:
                join(paths, prfs, None, folder / f"tic{tic_id}_joined.fits", origin=origin)
            except InputDataError as error:
                log.warning("TIC %d: not joined: %s", tic_id, error)


def join(
    light_curves: Sequence[Path],
    prfs: Sequence[Path],
    star: Mapping[str, Any] | None,
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
    star : mapping or None
        ``tic_id``, ``name``, ``ra``, ``dec`` [deg], ``tmag``; None: as the light curves have it.
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
    table, rows, stamps, star = _gather(light_curves, prfs, star)
    write_joined(output, table, rows, star, origin=origin)
    draw_joined(table, rows, stamps, _title(star, rows), output.with_suffix(".png"))
    return rows


def draw_together(light_curves: Sequence[Path], prfs: Sequence[Path], output: Path) -> None:
    """Draw the light curves of a star in several sectors as one picture, on one scale.

    Parameters
    ----------
    light_curves, prfs
        As of `join`.
    output : Path
        Picture; its suffix tells the format.

    Raises
    ------
    InputDataError
        If a file cannot be read.
    """
    table, rows, stamps, star = _gather(light_curves, prfs, None)
    draw_joined(table, rows, stamps, _title(star, rows), output)


def _gather(
    light_curves: Sequence[Path], prfs: Sequence[Path], star: Mapping[str, Any] | None
) -> tuple[dict[str, NDArray], list[dict[str, Any]], list[Stamp], Mapping[str, Any]]:
    """Read light curves and put them on one scale: table, rows of sectors, stamps, star."""
    read = [
        (*read_light_curve(path), read_prf(prf).zeropoint)
        for path, prf in zip(light_curves, prfs, strict=True)
    ]
    read.sort(key=lambda one: [one[2][name] for name in ("SECTOR", "CAMERA", "CCD")])
    star = _star_of(read[0][2]) if star is None else star
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
    return _in_order(curves, joined, rows), rows, stamps, star


def _title(star: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    name = star["name"]
    if star["tic_id"] >= FIRST_MADE_UP:
        name = f"{name} (not in the list of stars)"
    return f"{name}, Tmag {star['tmag']:.2f}: {counted(len(rows), 'light curve')}"


def _star_of(header: Mapping[str, Any]) -> dict[str, Any]:
    """Which star a light curve is of."""
    keys = {"tic_id": "TICID", "ra": "RA_OBJ", "dec": "DEC_OBJ", "tmag": "TESSMAG"}
    name = object_name(int(header["TICID"]))
    return {"name": name} | {ours: header[key] for ours, key in keys.items()}


def _sector_curve(curve: LightCurve, header: Mapping[str, Any], expected: float) -> SectorCurve:
    """What `join_sectors` needs of a light curve."""
    fractions = {key: header.get(key) for key in ("CROWDSAP", "FLFRCSAP")}
    fraction, captured = (np.nan if value is None else float(value) for value in fractions.values())
    return SectorCurve(
        flux=curve.flux,
        flux_err=curve.flux_err,
        flux_corr=curve.flux_corr,
        flux_corr_err=curve.flux_corr_err,
        is_good=(curve.quality == 0) & np.isfinite(curve.flux),
        crowdsap=fraction,
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
        "CADENCE": round(float(header["TIMEDEL"]) * SECONDS_PER_DAY, 3),
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
