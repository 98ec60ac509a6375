"""Methods ``linpsf`` and ``psf``: PRF fits of all stars of a small region together.

Regions lie on a fixed grid over the CCD, with a margin: the flux of a star
depends neither on the tile nor on who else is to be measured. All stars that
the catalog knows are fitted to the average image; in single images those
brighter than ``photometry.linpsf.free_limit`` are, and the others stay as they
are in the average. ``psf`` also fits the places of stars down to
``photometry.psf.place_limit``, in the average image, and of those down to
``photometry.psf.image_limit`` in each image.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tessphot_lib.affine import displacement
from tessphot_lib.apertures import Aperture
from tessphot_lib.config import LinpsfSettings, PsfSettings
from tessphot_lib.constants import SATURATION_TMAG
from tessphot_lib.errors import MeasurementError
from tessphot_lib.flags import OWN_BAD_CADENCE
from tessphot_lib.io.pixels_hdf5 import PixelCube
from tessphot_lib.linpsf import (
    MODEL_CHANGE,
    Design,
    GroupFit,
    fit_average_image,
    fit_images,
    prepare_fit,
)
from tessphot_lib.model import Prf, StarFluxes, StarNotes, Window
from tessphot_lib.photometry import ApertureMatrix, sum_apertures
from tessphot_lib.prf import REACH
from tessphot_lib.scene import model_error, scene_derivatives, wing_image
from tessphot_lib.stages.average_places import average_places, mean_motion
from tessphot_lib.stages.ccd_apertures import typical_noise, widened
from tessphot_lib.stages.failures import notes_of
from tessphot_lib.stages.grid import cube_grid
from tessphot_lib.stages.regions import cadence_slices, tile_region
from tessphot_lib.stages.star_list import StarList
from tessphot_lib.starmask import FULL_WELL_RATE

log = logging.getLogger(__name__)

CELL = 64  # [pixels] side of the regions that are fitted together
MARGIN = 10  # [pixels] around them that is fitted, too
FREE_MARGIN = 4  # [pixels] beyond, where stars are free, too
CORE_MARGIN = 10  # [pixels] beyond, where stars still give light from their cores
BOX_HALF = 2  # [pixels] 5 x 5 pixels whose flags and background are a star's
FULL_SHARE = 0.8  # of a full well in the average image: fuller pixels are not used
AROUND_FULL = np.ones((7, 3), dtype=bool)  # pixels beside them may hold their charge
CONFUSION = 0.2  # [e-/s] error of the average image from stars that nobody knows
N_PLACE_ROUNDS = 3
SHARED_LIMIT = 0.1  # of a star's flux that is not its own measurement, from which it is told
SATURATED = "PRF fit of a saturated star."
HARD_TO_TELL = "PRF fit: too faint, or too close to a neighbor, to be measured by itself."


@dataclass(frozen=True)
class _Group:
    """A region that is fitted together, and the targets in its cell.

    ``members`` are indices of targets, ``free`` their indices among the stars
    that are free; ``row`` and ``column`` the places of these in the average image.
    """

    region: Window
    members: list[int]
    free: NDArray
    row: NDArray
    column: NDArray
    fit: GroupFit


def measure_linpsf(
    cube: PixelCube, targets: StarList, tile: Window | None, settings: Mapping[str, Any]
) -> StarFluxes:
    """Fit the fluxes of stars at their places; see `tessphot_lib.stages.methods`."""
    limit = LinpsfSettings.from_mapping(settings["linpsf"]).free_limit
    return _measure(cube, targets, tile, limit, None)


def measure_psf(
    cube: PixelCube, targets: StarList, tile: Window | None, settings: Mapping[str, Any]
) -> StarFluxes:
    """Fit fluxes and places of stars; see `tessphot_lib.stages.methods`."""
    limit = LinpsfSettings.from_mapping(settings["linpsf"]).free_limit
    return _measure(cube, targets, tile, limit, PsfSettings.from_mapping(settings["psf"]))


def _measure(
    cube: PixelCube,
    targets: StarList,
    tile: Window | None,
    free_limit: float,
    places: PsfSettings | None,
) -> StarFluxes:
    """Fit all groups that hold targets, block by block."""
    result = StarFluxes.unknown(len(targets), cube.n_cadences)
    notes: list[StarNotes] = [StarNotes()] * len(targets)
    groups = [
        _prepare(cube, targets, cell, members, free_limit, places)
        for cell, members in _cells(cube, targets)
    ]
    for whole, inside in _read_together(cube, groups, tile):
        boxes = [index for group in inside for index in group.members]
        matrix = ApertureMatrix.over(whole, [_box(targets, index, cube.window) for index in boxes])
        for cadences in cadence_slices(cube, whole):
            flux, flux_err = (cube.read(name, whole, cadences) for name in ("flux", "flux_err"))
            flags = cube.read("pixel_flags", whole, cadences)
            sky = cube_grid(cube).evaluate(cube.background[cadences], whole)
            sums = sum_apertures(flux, flux_err, sky, flags, matrix)
            result.background[boxes, cadences] = sums.background
            result.pixel_flags[boxes, cadences] = sums.pixel_flags
            light = flux - sky
            for group in inside:
                _fit_block(cube, group, whole, light, flux_err, cadences, result)
    for group in groups:
        for index, free in zip(group.members, group.free, strict=True):
            tic_id = int(targets.stars["tic_id"].iloc[index])
            notes[index] = notes_of(
                tic_id,
                lambda group=group, index=index, free=free: _notes(targets, index, group, free),
            )
    arrays = {name: getattr(result, name) for name in StarFluxes.array_names()}
    return StarFluxes(**arrays, notes=tuple(notes))


def _cells(cube: PixelCube, targets: StarList) -> list[tuple[Window, list[int]]]:
    """Cells of the fixed grid with the targets in each; patches are cells of their own."""
    row, column = (targets.stars[name].to_numpy(dtype=float) for name in ("row", "column"))
    if cube.patches is not None:
        on_patch = cube_grid(cube).patch_at(row, column)
        windows = [Window(*map(int, one)) for one in cube.patches["windows"]]
        return [
            (windows[number], np.flatnonzero(on_patch == number).tolist())
            for number in np.unique(on_patch)
            if number >= 0
        ]
    pixel = [
        np.clip(np.floor(place + 0.5).astype(int), first, last - 1)
        for place, first, last in (
            (row, cube.window.row0, cube.window.row1),
            (column, cube.window.column0, cube.window.column1),
        )
    ]
    index = np.stack(pixel) // CELL
    cells = []
    for cell_row, cell_column in sorted(set(zip(*index.tolist(), strict=True))):
        inside = (index[0] == cell_row) & (index[1] == cell_column)
        cell = Window(
            cell_row * CELL, (cell_row + 1) * CELL, cell_column * CELL, (cell_column + 1) * CELL
        )
        cells.append((cell, np.flatnonzero(inside).tolist()))
    return cells


def _prepare(
    cube: PixelCube,
    targets: StarList,
    cell: Window,
    members: list[int],
    free_limit: float,
    places: PsfSettings | None,
) -> _Group:
    """Fit the average image of a cell and its margin, and factor the fit of single images."""
    prf = targets.prf
    region = widened(cell, MARGIN).intersect(cube.window)
    known = targets.neighbors.sort_values("tic_id")
    known = known[np.isfinite(known[["row", "column", "tmag"]].to_numpy(dtype=float)).all(axis=1)]
    known = known[widened(region, REACH).contains(known["row"], known["column"])]
    row, column = average_places(cube, known)
    tmag, tic_id = known["tmag"].to_numpy(dtype=float), known["tic_id"].to_numpy()
    flux = 10 ** (0.4 * (prf.zeropoint - tmag))
    near = np.flatnonzero(_margin(region, CORE_MARGIN, row, column))
    image = cube.average_image(region).astype(float)
    wings = wing_image(prf, region, row, column, flux) if len(prf.wing_share) else 0.0
    noise = typical_noise(cube, region)
    n_good = max(1, int(((cube.quality & int(OWN_BAD_CADENCE)) == 0).sum()))
    with np.errstate(invalid="ignore"):
        is_full = image > FULL_SHARE * FULL_WELL_RATE
    noise[ndimage.binary_dilation(is_full, AROUND_FULL)] = np.nan
    error = model_error(prf, region, row[near], column[near], flux[near])
    average_sigma = np.sqrt(noise**2 / n_good + error**2 + CONFUSION**2)
    refined = None if places is None else tmag[near] <= places.place_limit
    for _ in range(1 if refined is None else N_PLACE_ROUNDS):
        design = Design.of(prf, region, row[near], column[near], flux[near])
        flux[near], d_row, d_column = fit_average_image(
            (image - wings).ravel(), average_sigma.ravel(), design, flux[near], with_places=refined
        )
        row[near], column[near] = row[near] + d_row, column[near] + d_column
    if refined is not None:
        design = Design.of(prf, region, row[near], column[near], flux[near])
    is_free = tmag[near] <= free_limit
    is_free &= _margin(region, FREE_MARGIN, row[near], column[near])
    is_free |= np.isin(tic_id[near], targets.stars["tic_id"].iloc[members])
    return _factored(
        prf, region, members, targets, (row, column, flux, tmag, tic_id), near, is_free, wings,
        np.hypot(noise, MODEL_CHANGE * error), design, places,
    )  # fmt: skip


def _factored(
    prf: Prf,
    region: Window,
    members: list[int],
    targets: StarList,
    known: tuple[NDArray, ...],
    near: NDArray,
    is_free: NDArray,
    wings: NDArray | float,
    sigma: NDArray,
    design: Design,
    places: PsfSettings | None,
) -> _Group:
    """Factor the fit of single images."""
    row, column, flux, tmag, tic_id = known
    fixed_stars = near[~is_free]
    fixed = scene_derivatives(
        prf, region, row[fixed_stars], column[fixed_stars], flux[fixed_stars], with_wings=False
    )
    fixed[0] += wings
    free = near[is_free]
    free_design = Design(tuple(matrix[:, np.flatnonzero(is_free)] for matrix in design.matrices))
    moving = None if places is None else np.flatnonzero(tmag[free] <= places.image_limit)
    fit = prepare_fit(
        free_design, flux[free], fixed.reshape(len(fixed), -1), sigma.ravel(), moving=moving
    )
    order = np.argsort(tic_id[free])
    wanted = targets.stars["tic_id"].iloc[members].to_numpy()
    index = order[np.searchsorted(tic_id[free], wanted, sorter=order)]
    return _Group(region, members, index, row[free], column[free], fit)


def _read_together(
    cube: PixelCube, groups: list[_Group], tile: Window | None
) -> list[tuple[Window, list[_Group]]]:
    """Regions that are read at once: the tile for all groups inside it, the others alone."""
    whole = None if cube.patches is not None else tile_region(tile, cube.window)
    inside = [
        group
        for group in groups
        if whole is not None and whole.intersect(group.region) == group.region
    ]
    together = [(whole, inside)] if inside else []
    taken = {id(group) for group in inside}
    return together + [(group.region, [group]) for group in groups if id(group) not in taken]


def _fit_block(
    cube: PixelCube,
    group: _Group,
    whole: Window,
    light: NDArray,
    flux_err: NDArray,
    cadences: slice,
    result: StarFluxes,
) -> None:
    """Fit some images of a group, and keep what concerns its targets."""
    rows, columns = group.region.slices_in(whole)
    cut = (slice(None), rows, columns)
    pixels, errors = (cube_part[cut].reshape(len(light), -1).T for cube_part in (light, flux_err))
    motion = cube.motion[cadences] - mean_motion(cube)
    d_row, d_column = (one.T for one in displacement(motion, group.row, group.column))
    middle = [
        np.array([0.5 * (first + last - 1)])
        for first, last in (
            (group.region.row0, group.region.row1),
            (group.region.column0, group.region.column1),
        )
    ]
    common = tuple(one[:, 0] for one in displacement(motion, *middle))
    flux, error, moved_row, moved_column = fit_images(
        group.fit, pixels, errors.astype(float) ** 2, d_row, d_column, common
    )
    d_row, d_column = d_row.copy(), d_column.copy()
    d_row[group.fit.moving] += moved_row
    d_column[group.fit.moving] += moved_column
    members, free = group.members, group.free
    sky_error = cube_grid(cube).error_at(
        cube.background_error[cadences], group.row[free], group.column[free]
    )
    spread = group.fit.gain[free].sum(axis=1)
    result.flux[members, cadences] = flux[free]
    result.flux_err[members, cadences] = np.hypot(error[free], spread[:, None] * sky_error.T)
    result.centroid_row[members, cadences] = group.row[free, None] + d_row[free]
    result.centroid_column[members, cadences] = group.column[free, None] + d_column[free]


def _margin(region: Window, margin: float, row: NDArray, column: NDArray) -> NDArray:
    """Tell which places lie in a region or so many pixels beside it."""
    return (
        (row >= region.row0 - margin)
        & (row <= region.row1 - 1 + margin)
        & (column >= region.column0 - margin)
        & (column <= region.column1 - 1 + margin)
    )


def _box(targets: StarList, index: int, window: Window) -> Aperture:
    """The 5 x 5 pixels around a star, as far as there are any."""
    star = targets.stars.iloc[index]
    row, column = round(float(star["row"])), round(float(star["column"]))
    row = min(max(row, window.row0), window.row1 - 1)
    column = min(max(column, window.column0), window.column1 - 1)
    stamp = Window(
        max(row - BOX_HALF, window.row0),
        min(row + BOX_HALF + 1, window.row1),
        max(column - BOX_HALF, window.column0),
        min(column + BOX_HALF + 1, window.column1),
    )
    return Aperture(stamp, np.ones(stamp.shape, dtype=bool), is_minimum=False)


def _notes(targets: StarList, index: int, group: _Group, free: int) -> StarNotes:
    """What is to be said of one star; failure where no pixel shows it."""
    power = group.fit.design.matrices[0][:, [free]].power(2).T @ group.fit.weights
    if not power.sum() > 0:
        raise MeasurementError("No usable pixel of the CCD shows the star.")
    light = targets.apertures[index].light
    shared = float(group.fit.pulled_share[free])
    is_full = targets.stars["tmag"].iloc[index] < SATURATION_TMAG
    share = 1 - light.crowdsap
    return StarNotes(
        header={
            "PSF_CONT": share,
            "PSF_MEAN": float(group.fit.mean_flux[free]),
            "PSF_PULL": shared,
            "PSF_ROW": float(group.row[free]),
            "PSF_COL": float(group.column[free]),
        },
        diagnostics={
            "contamination": share,
            "crowdsap": light.crowdsap,
            "flfrcsap": light.flfrcsap,
        },
        remark=HARD_TO_TELL if shared > SHARED_LIMIT else SATURATED if is_full else None,
    )
