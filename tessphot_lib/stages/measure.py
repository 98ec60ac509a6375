"""Measuring stars: what the steps `photometry`, `lightcurve` and `targets` share.

Stars are given with their apertures; their pixels are read block by block, so
that memory does not grow with the number of images, and each light curve is
written as one FITS file.
"""

import json
import logging
import time as clock
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy.io import fits
from numpy.typing import NDArray

from tessphot_lib.apertures import Aperture, aperture_flags, contamination, edge_flux
from tessphot_lib.barycenter import star_time_correction
from tessphot_lib.constants import SCIENCE_COLUMNS, SCIENCE_ROWS
from tessphot_lib.diagnostics import light_curve_diagnostics
from tessphot_lib.errors import MeasurementError
from tessphot_lib.flags import OWN_BAD_CADENCE, CadenceFlag, LightCurveFlag, PixelFlag
from tessphot_lib.io.lightcurve_fits import (
    LightCurveTemplate,
    light_curve_name,
    light_curve_template,
    write_light_curve,
)
from tessphot_lib.io.pixels_hdf5 import PixelCube
from tessphot_lib.io.todo_sqlite import Status
from tessphot_lib.model import LightCurve, Stamp, Window
from tessphot_lib.motion import displacement
from tessphot_lib.photometry import ApertureMatrix, ApertureSums, sum_apertures
from tessphot_lib.stages.grid import cube_grid
from tessphot_lib.starmask import star_mask

log = logging.getLogger(__name__)

UNEXPECTED = "Traceback: "  # begins the remark of a star on which the code itself failed
MARGIN = 32  # [pixels] around a tile that is read with it; larger apertures are read alone
MAX_PIXELS = 4_000_000  # of a patch, in all images that are read at once
DATA_REL_UNKNOWN = 0


@dataclass(frozen=True)
class StarList:
    """Stars to be measured, with what is known of them.

    Attributes
    ----------
    stars : DataFrame
        Columns of the catalog and of the todo list, one row per star: tic_id,
        priority, row, column, ra, dec, ra_j2000, dec_j2000, pm_ra, pm_dec, tmag, teff.
    apertures : list of Aperture
    remarks : list of str or None
        What the todo list has to say of them; makes their status a warning.
    neighbors : DataFrame
        Catalog of the region: tic_id, row, column, tmag.
    """

    stars: pd.DataFrame
    apertures: list[Aperture]
    remarks: list[str | None]
    neighbors: pd.DataFrame


def measure_stars(
    cube: PixelCube,
    targets: StarList,
    tile: Window | None,
    *,
    output_settings: Mapping[str, Any],
    path_of: Callable[[str, int], Path],
) -> pd.DataFrame:
    """Measure stars and write their light curves.

    Parameters
    ----------
    cube : PixelCube
    targets : StarList
    tile : Window or None
        Where most of the stars lie: its pixels are read once for all of them.
        None: each star's pixels are read by themselves.
    output_settings : mapping
        ``version`` and ``origin`` of section ``output`` of the configuration.
    path_of : callable
        Path of a light curve from its standard name and the TIC number.

    Returns
    -------
    DataFrame
        Diagnostics, one row per star in the order of ``targets``; a star that
        failed has status 2 and the reason in ``errors``.
    """
    template = make_template(cube, output_settings)
    n_stars = len(targets.stars)
    log.info("%s: %d stars, %d images", cube.ccd_id, n_stars, cube.n_cadences)
    start = clock.perf_counter()
    sums = _measure_all(cube, targets.apertures, tile)
    shared = (clock.perf_counter() - start) / max(n_stars, 1)
    frame = _StarFrame.of(cube, targets.stars)
    sky_of = _sky_lookup(cube, targets.neighbors, tile)
    rows = []
    for index, star in enumerate(targets.stars.to_dict("records")):
        begin = clock.perf_counter()
        path = path_of(
            light_curve_name(
                star["tic_id"],
                cube.ccd_id,
                template.cadence_seconds,
                template.data_rel,
                template.version,
            ),
            star["tic_id"],
        )
        row = _finish_star(cube, targets, index, star, sums, frame, template, sky_of, path)
        row["elaptime"] = shared + clock.perf_counter() - begin
        rows.append(row)
        if (index + 1) % 200 == 0 or index + 1 == n_stars:
            rate = (index + 1) / (clock.perf_counter() - start)
            log.info("%s: %d of %d stars, %.1f per second", cube.ccd_id, index + 1, n_stars, rate)
    return pd.DataFrame(rows, columns=list(DIAGNOSTIC_DTYPES)).astype(DIAGNOSTIC_DTYPES)


DIAGNOSTIC_DTYPES = {
    "priority": "int64",
    "tic_id": "int64",
    "status": "int64",
    "lightcurve": "object",
    "method_used": "object",
    "elaptime": "float64",
    "worker_wait_time": "float64",
    "mean_flux": "float64",
    "variance": "float64",
    "variability": "float64",
    "rms_hour": "float64",
    "ptp": "float64",
    "pos_row": "float64",
    "pos_column": "float64",
    "contamination": "float64",
    "mask_size": "int64",
    "edge_flux": "float64",
    "stamp_width": "int64",
    "stamp_height": "int64",
    "stamp_resizes": "int64",
    "errors": "object",
}


def make_template(cube: PixelCube, output_settings: Mapping[str, Any]) -> LightCurveTemplate:
    """Prepare what the files of all stars of a CCD share."""
    image_header = json.loads(str(cube.attributes["image_header"]))
    return light_curve_template(
        cube.ccd_id,
        wcs=fits.Header.fromstring(str(cube.attributes["wcs"]), sep="\n"),
        image_header=image_header,
        cadence_seconds=float(cube.attributes["cadence_seconds"]),
        data_rel=int(image_header.get("DATA_REL", DATA_REL_UNKNOWN)),
        version=int(output_settings["version"]),
        origin=str(output_settings["origin"]),
        tic_version=str(cube.attributes["ticver"]),
        simulated=bool(image_header.get("SIMDATA", False)),
        settings={
            "EPHEMSRC": str(cube.attributes["position_source"]),
            "TIMEERR": float(f"{cube.attributes['time_error']:.3g}"),
            "TIMESHFT": round(float(cube.attributes["time_shift"]), 4),
        },
    )


@dataclass(frozen=True)
class _StarFrame:
    """Times and motions of all stars in all images, (n_stars, n_cadences) each."""

    time: NDArray
    timecorr: NDArray
    pos_row: NDArray
    pos_column: NDArray

    @classmethod
    def of(cls, cube: PixelCube, stars: pd.DataFrame) -> "_StarFrame":
        timecorr = star_time_correction(
            cube.observatory_position,
            stars["ra"].to_numpy(dtype=float),
            stars["dec"].to_numpy(dtype=float),
        )
        pos_row, pos_column = displacement(
            cube.motion, stars["row"].to_numpy(dtype=float), stars["column"].to_numpy(dtype=float)
        )
        return cls(cube.time - cube.timecorr + timecorr, timecorr, pos_row.T, pos_column.T)


def _measure_all(cube: PixelCube, apertures: list[Aperture], tile: Window | None) -> ApertureSums:
    """Sums of all stars: those near the tile together, those with large apertures one by one."""
    boxes = [_bounding_window(aperture) for aperture in apertures]
    shape = len(apertures), cube.n_cadences
    result = {
        name: np.full(shape, np.nan)
        for name in ("flux", "flux_err", "background", "centroid_row", "centroid_column")
    }
    result["pixel_flags"] = np.zeros(shape, dtype=np.uint8)
    for region, members in _regions(cube, boxes, tile):
        matrix = ApertureMatrix.over(region, [apertures[index] for index in members])
        n_pixels = matrix.weights.sum(axis=1)
        for number, cadences in enumerate(_cadence_slices(cube, region)):
            sums = _measure_block(cube, matrix, cadences)
            error = _background_error(cube, apertures, members, cadences) * n_pixels[:, None]
            for name, values in result.items():
                values[members, cadences] = getattr(sums, name)
            result["flux_err"][members, cadences] = np.hypot(sums.flux_err, error)
            if len(members) > 1 and cube.patches is None:
                log.info("%s: block %d read", cube.ccd_id, number + 1)
    return ApertureSums(**result)


def _sky_lookup(
    cube: PixelCube, neighbors: pd.DataFrame, tile: Window | None
) -> Callable[[Window], NDArray]:
    """Return a function that gives the sky pixels of a stamp, (n_rows, n_columns) bool."""
    scale = float(cube.attributes["mask_radius_scale"])
    stars = [neighbors[name].to_numpy(dtype=float) for name in ("row", "column", "tmag")]
    near = None if cube.patches is not None else tile_region(tile, cube.window)
    near_sky = None if near is None else ~star_mask(near, *stars, radius_scale=scale)

    def sky_of(stamp: Window) -> NDArray:
        if near is not None and near.intersect(stamp) == stamp:
            return near_sky[stamp.slices_in(near)]
        return ~star_mask(stamp, *stars, radius_scale=scale)

    return sky_of


def tile_region(tile: Window | None, window: Window) -> Window | None:
    """Pixels that are read for a tile: the tile and a margin, cut at the window; None for none."""
    if tile is None:
        return None
    widened = Window(
        max(tile.row0 - MARGIN, 0),
        min(tile.row1 + MARGIN, SCIENCE_ROWS),
        max(tile.column0 - MARGIN, 0),
        min(tile.column1 + MARGIN, SCIENCE_COLUMNS),
    )
    return widened.intersect(window)


def _regions(
    cube: PixelCube, boxes: list[Window], tile: Window | None
) -> Iterator[tuple[Window, list[int]]]:
    """Regions to read, each with the stars that are measured in it.

    The tile with what lies around it or, where there are patches, each of
    those; stars with larger apertures by themselves.
    """
    alone = list(range(len(boxes)))
    if cube.patches is not None:
        wholes = [Window(*map(int, one)) for one in cube.patches["windows"]]
    else:
        wholes = [] if tile is None else [tile_region(tile, cube.window)]
    for whole in wholes if tile is not None else []:
        inside = whole is not None and [i for i in alone if whole.intersect(boxes[i]) == boxes[i]]
        if inside:
            alone = [index for index in alone if index not in set(inside)]
            yield whole, inside
    for index in alone:
        yield boxes[index], [index]


def _cadence_slices(cube: PixelCube, region: Window) -> Iterator[slice]:
    """Cadences that are read at once: those of a block, or fewer so that memory stays small."""
    at_once = max(64, MAX_PIXELS // (region.shape[0] * region.shape[1]) // 64 * 64)
    for block in cube.block_slices():
        step = block.stop - block.start if cube.patches is None else at_once
        for first in range(block.start, block.stop, step):
            yield slice(first, min(first + step, block.stop))


def _bounding_window(aperture: Aperture) -> Window:
    """Smallest window around the pixels of an aperture; its first pixel if it has none."""
    row, column = np.nonzero(aperture.mask)
    if row.size == 0:
        row, column = np.zeros(1, dtype=int), np.zeros(1, dtype=int)
    row0, column0 = aperture.stamp.row0, aperture.stamp.column0
    return Window(
        row0 + int(row.min()),
        row0 + int(row.max()) + 1,
        column0 + int(column.min()),
        column0 + int(column.max()) + 1,
    )


def _measure_block(cube: PixelCube, matrix: ApertureMatrix, cadences: slice) -> ApertureSums:
    """Read the pixels of one block and sum them."""
    return sum_apertures(
        cube.read("flux", matrix.region, cadences),
        cube.read("flux_err", matrix.region, cadences),
        cube_grid(cube).evaluate(cube.background[cadences], matrix.region),
        cube.read("pixel_flags", matrix.region, cadences),
        matrix,
    )


def _background_error(
    cube: PixelCube, apertures: list[Aperture], members: list[int], cadences: slice
) -> NDArray:
    """Error of the background per pixel at each star, (n_members, n_cadences) [e-/s]."""
    boxes = [_bounding_window(apertures[index]) for index in members]
    row = np.array([0.5 * (box.row0 + box.row1 - 1) for box in boxes])
    column = np.array([0.5 * (box.column0 + box.column1 - 1) for box in boxes])
    return cube_grid(cube).error_at(cube.background_error[cadences], row, column).T


def _finish_star(
    cube: PixelCube,
    targets: StarList,
    index: int,
    star: dict[str, Any],
    sums: ApertureSums,
    frame: _StarFrame,
    template: LightCurveTemplate,
    sky_of: Callable[[Window], NDArray],
    path: Path,
) -> dict[str, Any]:
    """Light curve, file and diagnostics of one star; whatever fails ends up in ``errors``."""
    row = {
        "priority": star["priority"],
        "tic_id": star["tic_id"],
        "lightcurve": None,
        "worker_wait_time": 0.0,
        "stamp_resizes": 0,
    }
    aperture = targets.apertures[index]
    row["stamp_height"], row["stamp_width"] = aperture.stamp.shape
    row["mask_size"] = int(aperture.mask.sum())
    try:
        if not aperture.mask.any():
            raise MeasurementError("No pixel of the CCD lies under the star.")
        light_curve = _light_curve(cube, index, star, sums, frame)
        good = light_curve.quality & int(LightCurveFlag.FLAGGED_BAD) == 0
        if not np.isfinite(light_curve.flux[good]).any():
            raise MeasurementError("No good cadence has all pixels of the aperture.")
        row.update(
            light_curve_diagnostics(light_curve.time, light_curve.flux, light_curve.flux_err, good)
        )
        average = cube.average_image(aperture.stamp)
        row["contamination"] = _contamination(aperture, star, targets.neighbors)
        row["edge_flux"] = edge_flux(aperture, average)
        row["pos_row"] = float(np.nanmedian(light_curve.centroid_row[good]))
        row["pos_column"] = float(np.nanmedian(light_curve.centroid_column[good]))
        sky = sky_of(aperture.stamp)
        stamp = Stamp(aperture.stamp, average, aperture_flags(aperture, average, sky))
        write_light_curve(
            path,
            light_curve,
            stamp,
            star,
            template=template,
            method="aperture",
            method_settings={"AP_CONT": row["contamination"]},
        )
    except MeasurementError as err:
        return row | {"status": int(Status.ERROR), "method_used": "error", "errors": str(err)}
    except Exception as err:  # one star stops nobody; `check` fails in the end and names it
        log.exception("TIC %d: unexpected error", star["tic_id"])
        text = "".join(traceback.format_exception_only(err)).strip()
        return row | {
            "status": int(Status.ERROR),
            "method_used": "error",
            "errors": f"{UNEXPECTED}{text}",
        }
    return row | {
        "status": int(Status.WARNING if targets.remarks[index] else Status.OK),
        "method_used": "aperture",
        "lightcurve": path.name,
        "errors": targets.remarks[index],
    }


def _light_curve(
    cube: PixelCube, index: int, star: dict[str, Any], sums: ApertureSums, frame: _StarFrame
) -> LightCurve:
    """Put the light curve of one star together."""
    pixel_quality = cube.quality.astype(np.int32)
    bad = int(cube.attributes["bad_quality"]) | int(OWN_BAD_CADENCE)
    quality = np.where(pixel_quality & bad, int(LightCurveFlag.FLAGGED_BAD), 0)
    manual = pixel_quality & int(CadenceFlag.MANUAL_EXCLUDE) != 0
    manual |= sums.pixel_flags[index] & int(PixelFlag.MANUAL_EXCLUDE) != 0
    quality[manual] |= int(LightCurveFlag.MANUAL_EXCLUDE)
    anomaly = sums.pixel_flags[index] & int(PixelFlag.BACKGROUND_ANOMALY) != 0
    quality[anomaly] |= int(LightCurveFlag.BACKGROUND_ANOMALY)
    unknown = np.full(cube.n_cadences, np.nan)
    missing = ~np.isfinite(sums.flux[index])
    return LightCurve(
        tic_id=star["tic_id"],
        time=frame.time[index],
        timecorr=frame.timecorr[index],
        cadenceno=cube.cadenceno.astype(np.int32),
        flux=sums.flux[index],
        flux_err=np.where(missing, np.nan, sums.flux_err[index]),
        background=sums.background[index],
        flux_corr=unknown,
        flux_corr_err=unknown,
        quality=quality.astype(np.int32),
        pixel_quality=pixel_quality,
        centroid_row=sums.centroid_row[index],
        centroid_column=sums.centroid_column[index],
        pos_corr_row=frame.pos_row[index],
        pos_corr_column=frame.pos_column[index],
    )


def _contamination(aperture: Aperture, star: dict[str, Any], neighbors: pd.DataFrame) -> float:
    """Contamination of one star from the catalog around it."""
    ids = neighbors["tic_id"].to_numpy()
    (found,) = np.nonzero(ids == star["tic_id"])
    return contamination(
        aperture,
        int(found[0]),
        neighbors["row"].to_numpy(dtype=float),
        neighbors["column"].to_numpy(dtype=float),
        neighbors["tmag"].to_numpy(dtype=float),
    )
