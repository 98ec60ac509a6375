"""Step: average image and catalog of a CCD -> todo list with the aperture of each star."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.apertures import Aperture, find_apertures, lies_in
from tessphot_lib.cbv_area import cbv_area
from tessphot_lib.config import ApertureSettings
from tessphot_lib.errors import InputDataError
from tessphot_lib.io.catalog_sqlite import read_catalog
from tessphot_lib.io.pixels_hdf5 import PixelCube
from tessphot_lib.io.todo_sqlite import StarAperture, create_todo, with_priority
from tessphot_lib.model import CcdId
from tessphot_lib.provenance import provenance
from tessphot_lib.starmask import star_mask
from tessphot_lib.tiles import tile_of

log = logging.getLogger(__name__)

MINIMUM_APERTURE = "Using minimum aperture."  # downstream packages look for this text


def run_todo(
    pixels: Path,
    catalog: Path,
    output: Path,
    ccd_id: CcdId,
    *,
    settings: Mapping[str, Any],
    photometry: Mapping[str, Any],
) -> None:
    """Decide who is measured, with which pixels, and who is left to a brighter neighbor.

    Parameters
    ----------
    pixels, catalog : Path
        ``pixels.hdf5``, ``catalog.sqlite``.
    settings, photometry : mapping
        Sections ``todo`` and ``photometry`` of the configuration.

    Raises
    ------
    InputDataError
        If no star is bright enough.
    """
    known, about = read_catalog(catalog)
    with PixelCube(pixels) as cube:
        window = cube.window
        average = cube.average_image(window)
        cadence_seconds = int(cube.attributes["cadence_seconds"])
        mask_scale = float(cube.attributes["mask_radius_scale"])
        aperture = ApertureSettings.from_mapping(photometry["aperture"])
        noise = _typical_noise(cube) if aperture.kind == "optimal" else None
        motion_rms = _motion_rms(cube)
    row, column, tmag = (known[name].to_numpy(dtype=float) for name in ("row", "column", "tmag"))
    chosen = np.flatnonzero(
        (tmag <= float(settings["faint_limit"])) & _on_data(average, window, row, column)
    )
    if chosen.size == 0:
        raise InputDataError(
            f"{catalog}: no star brighter than todo.faint_limit {settings['faint_limit']} lies "
            f"on the pixels of {ccd_id}, window {window.as_list()}"
        )
    apertures = find_apertures(
        average,
        window,
        row,
        column,
        tmag,
        measured=chosen,
        sky=~star_mask(window, row, column, tmag, radius_scale=mask_scale),
        threshold=aperture.threshold,
        min_pixels=aperture.min_pixels,
        max_radius=aperture.max_radius,
        noise=noise,
        motion_rms=motion_rms,
    )
    stars = known.iloc[chosen][["tic_id", "tmag", "row", "column"]].reset_index(drop=True)
    stars["sector"], stars["camera"], stars["ccd"] = ccd_id.sector, ccd_id.camera, ccd_id.ccd
    stars["datasource"], stars["cadence_seconds"] = "ffi", cadence_seconds
    centre = float(about["camera_centre_ra"]), float(about["camera_centre_dec"])
    ra, dec = (known[name].to_numpy(dtype=float)[chosen] for name in ("ra", "dec"))
    stars["cbv_area"] = cbv_area(ccd_id.camera, ccd_id.ccd, ra, dec, centre)
    grid = photometry["tiles"]
    stars["tile"] = [
        tile_of(at_row, at_column, grid)
        for at_row, at_column in zip(row[chosen], column[chosen], strict=True)
    ]
    stars["index"] = np.arange(len(stars))
    stars = with_priority(stars)
    by_priority = [apertures[index] for index in stars.pop("index")]
    skipped = _left_to_brighter(stars, by_priority)
    create_todo(
        output,
        stars,
        info=provenance({"todo": dict(settings), "photometry": dict(photometry)}),
        apertures={
            priority: _stored(aperture)
            for priority, aperture in zip(stars["priority"].tolist(), by_priority, strict=True)
        },
        skipped=skipped,
    )
    log.info(
        "%s: %d stars to Tmag %s, %d of them left to a brighter neighbor, %d minimum apertures",
        ccd_id,
        len(stars),
        settings["faint_limit"],
        len(skipped),
        sum(aperture.is_minimum for aperture in by_priority),
    )


def _typical_noise(cube: PixelCube) -> NDArray:
    """Errors of the pixels in the image whose background is the median one [e-/s]."""
    level = np.where(cube.quality == 0, cube.background_level, np.nan)
    if not np.isfinite(level).any():
        level = np.nan_to_num(cube.background_level)
    middle = int(np.nanargmin(np.abs(level - np.nanmedian(level))))
    return cube.read("flux_err", cadences=slice(middle, middle + 1))[0].astype(np.float64)


def _motion_rms(cube: PixelCube) -> float:
    """Standard deviation of the motion of unflagged images in the middle of the CCD [pixels]."""
    motion = cube.motion[cube.quality == 0][:, [0, 3]]
    motion = motion[np.isfinite(motion).all(axis=1)]
    return float(np.sqrt(np.mean(np.var(motion, axis=0)))) if len(motion) > 1 else 0.0


def _on_data(average: NDArray, window: Any, row: NDArray, column: NDArray) -> NDArray:
    """Tell which positions fall on a pixel of the window that has data."""
    with np.errstate(invalid="ignore"):
        result = window.contains(row, column)
    inside = np.flatnonzero(result)
    rows = np.floor(row[inside] + 0.5).astype(int) - window.row0
    columns = np.floor(column[inside] + 0.5).astype(int) - window.column0
    rows, columns = (
        np.minimum(rows, average.shape[0] - 1),
        np.minimum(columns, average.shape[1] - 1),
    )
    result[inside] = np.isfinite(average[rows, columns])
    return result


def _left_to_brighter(stars: pd.DataFrame, apertures: list[Aperture]) -> pd.DataFrame:
    """Stars that lie in the aperture of a brighter one, which is measured in their place.

    Stars are gone through from the brightest on; one that is itself left out
    takes nobody else with it.
    """
    row, column = (stars[name].to_numpy(dtype=float) for name in ("row", "column"))
    priority = stars["priority"].to_numpy()
    skipped_by = np.zeros(len(stars), dtype=np.int64)
    order = np.argsort(row, kind="stable")
    sorted_row = row[order]
    for index, aperture in enumerate(apertures):
        if skipped_by[index]:
            continue
        first, last = np.searchsorted(
            sorted_row, [aperture.stamp.row0 - 0.5, aperture.stamp.row1 - 0.5]
        )
        near = order[first:last]
        near = near[(near > index) & (skipped_by[near] == 0)]
        if near.size:
            near = near[lies_in(aperture, row[near], column[near])]
            skipped_by[near] = priority[index]
    left = skipped_by > 0
    return pd.DataFrame({"priority": priority[left], "skipped_by": skipped_by[left]})


def _stored(aperture: Aperture) -> StarAperture:
    """An aperture as the todo list keeps it."""
    errors = MINIMUM_APERTURE if aperture.is_minimum else None
    return StarAperture(aperture.stamp, aperture.mask, errors=errors)
