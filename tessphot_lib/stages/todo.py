"""Step: average image and catalog of a CCD -> todo list with the aperture of each star."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.apertures import Aperture, find_apertures, lies_in
from tessphot_lib.cbv_area import cbv_area
from tessphot_lib.config import ApertureSettings
from tessphot_lib.constants import SCIENCE_COLUMNS, SCIENCE_ROWS
from tessphot_lib.errors import InputDataError
from tessphot_lib.io.catalog_sqlite import read_catalog
from tessphot_lib.io.cutout_table import read_unused_cutouts
from tessphot_lib.io.not_measured_ecsv import write_not_measured
from tessphot_lib.io.pixels_hdf5 import PixelCube
from tessphot_lib.io.todo_sqlite import StarAperture, create_todo, with_priority
from tessphot_lib.model import CcdId, Window
from tessphot_lib.patches import Patches
from tessphot_lib.provenance import provenance
from tessphot_lib.stages.grid import cube_grid
from tessphot_lib.starmask import star_mask
from tessphot_lib.tiles import tile_of

log = logging.getLogger(__name__)

DEFAULT_METHOD = "aperture"
MINIMUM_APERTURE = "Using minimum aperture."  # downstream packages look for this text
LIMITED_APERTURE = "Aperture limited by missing pixels."
NO_PIXELS = "no pixels of any cutout"
UNUSED_CUTOUT = "its cutout is not used"
TOO_FAINT = "fainter than todo.faint_limit"
MARGIN = 32  # [pixels] around a patch that its apertures are looked for in
NEIGHBOR_REACH = 100  # [pixels] around it from where stars may give it light
MANY_STARS = 20_000  # in the catalog of a CCD: not those of some cutouts only
MAX_SKY_OF_PATCH = 200  # pixels of each patch that count for the sky of all
PIXEL_SCALE = 21.0 / 3600  # [deg]


def run_todo(
    pixels: Path,
    catalog: Path,
    output: Path,
    ccd_id: CcdId,
    *,
    settings: Mapping[str, Any],
    photometry: Mapping[str, Any],
    cutouts: Path | None = None,
    not_measured: Path | None = None,
) -> None:
    """Decide who is measured, with which pixels, and who is left to a brighter neighbor.

    Parameters
    ----------
    pixels, catalog : Path
        ``pixels.hdf5``, ``catalog.sqlite``.
    settings, photometry : mapping
        Sections ``todo`` and ``photometry`` of the configuration.
    cutouts, not_measured : Path, optional
        ``cutouts.ecsv`` and, to be written from it, ``not_measured.ecsv``.

    Raises
    ------
    InputDataError
        If no star is bright enough.
    """
    known, about = read_catalog(catalog)
    row, column, tmag = (known[name].to_numpy(dtype=float) for name in ("row", "column", "tmag"))
    with PixelCube(pixels) as cube:
        window = cube.window
        cadence_seconds = int(cube.attributes["cadence_seconds"])
        on_data = np.zeros(len(known), dtype=bool)
        found: dict[int, Aperture] = {}
        motion_rms = _motion_rms(cube)
        settings_of_apertures = ApertureSettings.from_mapping(photometry["aperture"])
        elsewhere = _sky_of_patches(cube, row, column, tmag)
        for region, inside in _regions(cube, row, column):
            average = cube.average_image(region)
            inside = inside[_on_data(average, region, row[inside], column[inside])]
            on_data[inside] = True
            wanted = inside[tmag[inside] <= float(settings["faint_limit"])]
            if wanted.size:
                stars_here = _Stars(row, column, tmag, wanted)
                found |= _apertures(
                    cube, region, average, stars_here, settings_of_apertures, motion_rms, elsewhere
                )
    if cutouts is not None and not_measured is not None:
        left_out = _not_measured(known, on_data, float(settings["faint_limit"]), cutouts)
        write_not_measured(not_measured, left_out, ccd_id)
        for reason, count in left_out["reason"].value_counts().items():
            log.info("%s: %d stars are not measured: %s", ccd_id, count, reason)
    chosen = np.array(sorted(found), dtype=np.int64)
    if chosen.size == 0:
        raise InputDataError(
            f"{catalog}: no star brighter than todo.faint_limit {settings['faint_limit']} lies "
            f"on the pixels of {ccd_id}, window {window.as_list()}"
        )
    apertures = [found[index] for index in chosen.tolist()]
    stars = known.iloc[chosen][["tic_id", "tmag", "row", "column"]].reset_index(drop=True)
    stars["sector"], stars["camera"], stars["ccd"] = ccd_id.sector, ccd_id.camera, ccd_id.ccd
    stars["datasource"], stars["cadence_seconds"] = "ffi", cadence_seconds
    stars["method"] = DEFAULT_METHOD
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
        "%s: %d stars to Tmag %s, %d of them left to a brighter neighbor, %d minimum apertures, "
        "%d limited by missing pixels",
        ccd_id,
        len(stars),
        settings["faint_limit"],
        len(skipped),
        sum(aperture.is_minimum for aperture in by_priority),
        sum(aperture.is_limited for aperture in by_priority),
    )


@dataclass(frozen=True)
class _Stars:
    """The catalog, and the indices of those of its stars that are to be measured."""

    row: NDArray
    column: NDArray
    tmag: NDArray
    measured: NDArray


def _regions(cube: PixelCube, row: NDArray, column: NDArray) -> Iterator[tuple[Window, NDArray]]:
    """Parts of the CCD that are looked at together, each with the indices of the stars on it.

    The whole window or, where there are patches, each of them with what lies beside it.
    """
    patches = cube_grid(cube)
    if not isinstance(patches, Patches):
        with np.errstate(invalid="ignore"):
            yield cube.window, np.flatnonzero(cube.window.contains(row, column))
        return
    on_patch = patches.patch_at(row, column)
    for number, box in enumerate(patches.windows):
        inside = np.flatnonzero(on_patch == number)
        if inside.size:
            yield _widened(box, MARGIN).intersect(cube.window), inside


def _apertures(
    cube: PixelCube,
    region: Window,
    average: NDArray,
    stars: _Stars,
    settings: ApertureSettings,
    motion_rms: float,
    elsewhere: NDArray | None,
) -> dict[int, Aperture]:
    """Apertures of the stars of a region, by their index in the catalog."""
    around = _widened(region, NEIGHBOR_REACH)
    with np.errstate(invalid="ignore"):
        near = np.flatnonzero(around.contains(stars.row, stars.column))
    known = [values[near] for values in (stars.row, stars.column, stars.tmag)]
    mask_scale = float(cube.attributes["mask_radius_scale"])
    found = find_apertures(
        average,
        region,
        *known,
        measured=np.searchsorted(near, stars.measured),
        sky=~star_mask(region, *known, radius_scale=mask_scale),
        threshold=settings.threshold,
        min_pixels=settings.min_pixels,
        max_radius=settings.max_radius,
        noise=_typical_noise(cube, region) if settings.kind == "optimal" else None,
        motion_rms=motion_rms,
        sky_elsewhere=elsewhere,
    )
    return dict(zip(stars.measured.tolist(), found, strict=True))


def _sky_of_patches(
    cube: PixelCube, row: NDArray, column: NDArray, tmag: NDArray
) -> NDArray | None:
    """Some pixels of the average image outside known stars, of all patches; None without patches.

    A small patch hardly shows any sky by itself.
    """
    if cube.patches is None:
        return None
    mask_scale = float(cube.attributes["mask_radius_scale"])
    values = []
    for box in (Window(*map(int, one)) for one in cube.patches["windows"]):
        average = cube.average_image(box)
        around = _widened(box, NEIGHBOR_REACH)
        with np.errstate(invalid="ignore"):
            near = around.contains(row, column)
        sky = ~star_mask(box, row[near], column[near], tmag[near], radius_scale=mask_scale)
        seen = average[sky & np.isfinite(average)]
        values.append(seen[:: 1 + len(seen) // MAX_SKY_OF_PATCH])
    return np.concatenate(values)


def _widened(window: Window, margin: int) -> Window:
    """A window with what lies around it, as far as the CCD goes."""
    return Window(
        max(window.row0 - margin, 0),
        min(window.row1 + margin, SCIENCE_ROWS),
        max(window.column0 - margin, 0),
        min(window.column1 + margin, SCIENCE_COLUMNS),
    )


def _not_measured(
    known: pd.DataFrame, on_data: NDArray, faint_limit: float, cutouts: Path
) -> pd.DataFrame:
    """Stars that cutouts were made of, or that lie on the CCD, and get no light curve, and why.

    Of a long list of stars (`MANY_STARS`) those fainter than the limit are left
    out where there are no pixels of them.
    """
    ra, dec = (known[name].to_numpy(dtype=float) for name in ("ra", "dec"))
    is_bright = known["tmag"].to_numpy(dtype=float) <= faint_limit
    with np.errstate(invalid="ignore"):
        on_ccd = Window().contains(known["row"].to_numpy(), known["column"].to_numpy())
    reason = np.full(len(known), "", dtype=object)
    detail = np.full(len(known), "", dtype=object)
    reason[on_ccd & is_bright & ~on_data] = NO_PIXELS
    reason[~is_bright & (on_data if len(known) > MANY_STARS else on_ccd)] = TOO_FAINT
    for cutout in read_unused_cutouts(cutouts):
        east = ((ra - cutout["ra"] + 180) % 360 - 180) * np.cos(np.radians(dec))
        offset = np.hypot(east, dec - cutout["dec"])
        lost = ~on_data & (offset < 0.5 * cutout["size"] * PIXEL_SCALE)
        reason[lost] = UNUSED_CUTOUT
        detail[lost] = f"{cutout['path'].name}: {cutout['reason']}"
    listed = reason != ""
    table = known.loc[listed, ["tic_id", "tmag", "row", "column"]]
    return table.assign(reason=reason[listed], detail=detail[listed]).sort_values("tmag")


def _typical_noise(cube: PixelCube, region: Window) -> NDArray:
    """Errors of the pixels in the image whose background is the median one [e-/s]."""
    level = np.where(cube.quality == 0, cube.background_level, np.nan)
    if not np.isfinite(level).any():
        level = np.nan_to_num(cube.background_level)
    middle = int(np.nanargmin(np.abs(level - np.nanmedian(level))))
    noise = cube.read("flux_err", region, slice(middle, middle + 1))[0].astype(np.float64)
    if np.isfinite(noise).any() or cube.patches is None:
        return noise
    # A cutout may lack that image: the one in the middle of those that it has.
    has = np.flatnonzero(np.isfinite(cube.read("flux_err", region)).any(axis=(1, 2)))
    one = int(has[len(has) // 2]) if has.size else middle
    return cube.read("flux_err", region, slice(one, one + 1))[0].astype(np.float64)


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
    remarks = [MINIMUM_APERTURE] * aperture.is_minimum + [LIMITED_APERTURE] * aperture.is_limited
    return StarAperture(aperture.stamp, aperture.mask, errors=" ".join(remarks) or None)
