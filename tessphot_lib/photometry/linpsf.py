"""Method ``linpsf``: PRF fits of all stars of a small region together; also used by ``psf``.

Regions lie on a fixed grid over the CCD, with a margin: the flux of a star
depends neither on the tile nor on who else is to be measured. All stars that
the catalog knows are fitted to the average image; in single images those
brighter than ``photometry.linpsf.free_limit`` are, and the others stay as they
are in the average. In crowds only the brightest are fitted, as many as pixels
can tell apart, and the others are taken off by their magnitudes.
``psf`` also fits the positions of stars down to ``photometry.psf.position_limit``,
in the average image, and of those down to ``photometry.psf.image_limit`` in
each image.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.aperture.crowding import light_moved
from tessphot_lib.aperture.sums import ApertureMatrix, sum_apertures
from tessphot_lib.core.affine import displacement
from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.constants import FILLS_PIXEL_TMAG, SATURATION_TMAG
from tessphot_lib.core.errors import NoPixelsError
from tessphot_lib.core.flags import PixelFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.identifiers import TRANSIENT, is_kind
from tessphot_lib.core.lightcurve import Cards, StarFluxes, StarNotes
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.settings import (
    LinpsfSettings,
    PhotometrySettings,
    PsfSettings,
    free_limit_of,
)
from tessphot_lib.core.star_warnings import (
    BLENDED_FIT,
    FAINT_FIT,
    NO_FIT,
    NO_PIXELS,
    SATURATED_FIT,
    UNDER_CHARGE,
)
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.lightcurves.motion_error import with_motion_within_scatter
from tessphot_lib.photometry.aperture import measure_instead
from tessphot_lib.photometry.average_positions import (
    believed_light,
    mean_motion,
    motion_against_average,
)
from tessphot_lib.photometry.failures import notes_of
from tessphot_lib.photometry.fit_groups import (
    AROUND_FULL,
    CELL,
    Group,
    is_full_pixel,
    prepare_group,
)
from tessphot_lib.photometry.method import Method
from tessphot_lib.photometry.regions import cadence_slices, regions
from tessphot_lib.photometry.targets import StarList
from tessphot_lib.prf.linear_fit import fit_crowding, fit_images

NOT_OF_STARS = PixelFlag.BACKGROUND_ANOMALY | PixelFlag.MANUAL_EXCLUDE
BOX_HALF = 2  # [pixels] 5 x 5 pixels whose flags and background are a star's
SHARED_LIMIT = 0.1  # of a star's flux that is not its own measurement, from which it is reported
FAINT_SHARE = 0.2  # of the flux by the catalog, below which it is reported
MIN_SHOWN = 0.2  # of a star's light on used pixels; in a corner of the CCD there is a quarter
MIN_CROWDING = 0.01  # own fraction of the light under a PRF, below which neighbors decide


def measure_linpsf(
    cube: PixelCube, targets: StarList, tile: Window | None, settings: PhotometrySettings
) -> StarFluxes:
    """Fit the fluxes of stars at their positions; see `tessphot_lib.photometry.method`.

    Stars for which the rules chose this method, but which stand beside the charge of another
    one, are measured by their apertures if these have none of it, with a warning.
    """
    result = measure_fits(cube, targets, tile, free_limit_of(settings.linpsf), None)
    notes = list(result.notes)
    for index, aperture in enumerate(targets.apertures):
        if notes[index].has_pixels or not _is_without_charge(cube, aperture):
            continue
        found = measure_instead(cube, targets.take([index]), tile, settings, NO_FIT)
        for name in StarFluxes.array_names():
            getattr(result, name)[index] = getattr(found, name)[0]
        notes[index] = found.notes[0]
    return replace(result, notes=tuple(notes))


def _is_without_charge(cube: PixelCube, aperture: Aperture) -> bool:
    """Whether an aperture was chosen by the rules' method and has pixels, none of them full."""
    light = cube.average_image(aperture.window)[aperture.mask]
    return aperture.is_automatic and light.size > 0 and not is_full_pixel(light).any()


def linpsf_cards(settings: PhotometrySettings) -> Cards:
    """Header cards of the settings."""
    limit = free_limit_of(settings.linpsf)
    return {"PSF_FREE": (limit, "[mag] fainter stars keep their mean flux")}


METHOD = Method("linpsf", LinpsfSettings, measure_linpsf, linpsf_cards)


def measure_fits(
    cube: PixelCube,
    targets: StarList,
    tile: Window | None,
    free_limit: float,
    psf: PsfSettings | None,
) -> StarFluxes:
    """Fit all groups that hold targets, block by block; with ``psf`` positions are fitted, too."""
    result = StarFluxes.unknown(len(targets), cube.n_cadences)
    notes: list[StarNotes] = [StarNotes()] * len(targets)
    positions = (targets.stars[name].to_numpy(dtype=float) for name in ("row", "column"))
    groups = [
        prepare_group(cube, targets, cell, members.tolist(), free_limit, psf)
        for cell, members in cube.grid.cells_at(*positions, CELL)
    ]
    for whole, numbers in regions(cube, [group.region for group in groups], tile):
        inside = [groups[number] for number in numbers]
        boxes = [index for group in inside for index in group.members]
        matrix = ApertureMatrix.over(
            whole, [_pixels_around(cube, _box(targets, index, cube.window)) for index in boxes]
        )
        for cadences in cadence_slices(cube, whole):
            flux, flux_err = cube.read_with_errors(whole, cadences)
            flags = cube.read("pixel_flags", whole, cadences)
            sky = cube.background_in(whole, cadences)
            sums = sum_apertures(flux, flux_err, sky, flags, matrix)
            result.background[boxes, cadences] = sums.background
            result.pixel_flags[boxes, cadences] = sums.pixel_flags
            light = flux - sky
            for group in inside:
                _fit_block(cube, group, whole, light, flux_err, flags, cadences, result)
    _correct_for_motion(cube, targets, groups, result)
    good = cube.is_good()
    for group in groups:
        for index, free in zip(group.members, group.free, strict=True):
            tic_id = int(targets.stars["tic_id"].iloc[index])
            notes[index] = notes_of(
                tic_id,
                lambda group=group, index=index, free=free: _notes(
                    cube, targets, index, group, free, result.flux[index, good]
                ),
            )
    arrays = {name: getattr(result, name) for name in StarFluxes.array_names()}
    return StarFluxes(**arrays, notes=tuple(notes))


def _correct_for_motion(
    cube: PixelCube, targets: StarList, groups: list[Group], result: StarFluxes
) -> None:
    """Take off what moving light still does to the fluxes, as each of them shows; add errors.

    Slopes of light that no star explains are rough: they come from differences of pixels.
    """
    every, unexplained = np.zeros((2, len(targets), 2))
    for group in groups:
        every[group.members] = group.slopes
        unexplained[group.members] = group.unexplained_slopes
    moved = [one.T for one in motion_against_average(cube, targets.stars)]
    left, error = believed_light(cube, result.flux, moved, unexplained, is_corrected=True)
    result.flux[...] -= light_moved(np.pad(left, ((0, 0), (0, 3))), *moved)
    if cube.noise is not None:
        unseen, seen = cube.noise.motion * (every + left), cube.noise.motion_seen * error
        size = np.sqrt((unseen**2 + seen**2).sum(axis=1, keepdims=True))
        result.flux_err[...] = with_motion_within_scatter(
            cube.time, result.flux, result.flux_err, size, cube.is_good()
        )


def _fit_block(
    cube: PixelCube,
    group: Group,
    whole: Window,
    light: NDArray,
    flux_err: NDArray,
    flags: NDArray,
    cadences: slice,
    result: StarFluxes,
) -> None:
    """Fit some images of a group, and keep what concerns its targets."""
    cut = (slice(None), *group.region.slices_in(whole))
    given = light, flux_err, flags & int(NOT_OF_STARS)
    pixels, errors, foreign = (cube_part[cut].reshape(len(light), -1).T for cube_part in given)
    motion = cube.motion[cadences] - mean_motion(cube)
    d_row, d_column = (one.T for one in displacement(motion, group.row, group.column))
    middle = np.array(group.region.middle).reshape(2, 1)
    common = tuple(one[:, 0] for one in displacement(motion, *middle))
    flux, error, moved_row, moved_column = fit_images(
        group.fit, pixels, errors.astype(float) ** 2, d_row, d_column, common, foreign != 0
    )
    d_row, d_column = d_row.copy(), d_column.copy()
    d_row[group.fit.moving] += moved_row
    d_column[group.fit.moving] += moved_column
    members, free = group.members, group.free
    sky_error = cube.grid.error_at(
        cube.background_error[cadences], group.row[free], group.column[free]
    )
    spread = group.fit.gain.sum(axis=1)
    result.flux[members, cadences] = flux[free]
    result.flux_err[members, cadences] = np.sqrt(
        error[free] ** 2 + (spread[:, None] * sky_error.T) ** 2
    )
    known = np.where(np.isfinite(flux[free]), 1.0, np.nan)
    result.centroid_row[members, cadences] = known * (group.row[free, None] + d_row[free])
    result.centroid_column[members, cadences] = known * (group.column[free, None] + d_column[free])


def _box(targets: StarList, index: int, window: Window) -> Window:
    """The 5 x 5 pixels around a star, as far as there are any."""
    star = targets.stars.iloc[index]
    row, column = round(float(star["row"])), round(float(star["column"]))
    row = min(max(row, window.row0), window.row1 - 1)
    column = min(max(column, window.column0), window.column1 - 1)
    return Window.around(row, column, BOX_HALF, window)


def _pixels_around(cube: PixelCube, box: Window) -> Aperture:
    """Those of the pixels of a box that there are: it may reach beyond a patch."""
    there = np.isfinite(cube.average_image(box))
    return Aperture(box, there) if there.any() else Aperture.whole(box)


def _notes(
    cube: PixelCube, targets: StarList, index: int, group: Group, free: int, good_flux: NDArray
) -> StarNotes:
    """What is to be said of one star; failure where hardly a pixel shows it."""
    fit = group.fit
    own = fit.design.matrices[0][:, [free]].toarray().ravel()
    shown = float(own[fit.weights > 0].sum())
    tmag = float(targets.stars["tmag"].iloc[index])
    # A star that fills pixels is known by its wings only; in those of another there is none.
    if not shown > (0.0 if tmag < FILLS_PIXEL_TMAG else MIN_SHOWN):
        reach = max(AROUND_FULL.shape) // 2  # of charge that takes pixels from the fit
        around = cube.average_image(_box(targets, index, cube.window).widened(reach, cube.window))
        raise NoPixelsError(UNDER_CHARGE if is_full_pixel(around).any() else NO_PIXELS)
    light = targets.apertures[index].light
    shared, crowding = float(fit.prior_fraction[free]), fit_crowding(fit, free)
    is_transient = is_kind(int(targets.stars["tic_id"].iloc[index]), TRANSIENT)
    is_saturated = tmag < SATURATION_TMAG or shown < MIN_SHOWN
    faintest = FAINT_SHARE * flux_of(tmag, targets.prf.zeropoint)
    known = good_flux[np.isfinite(good_flux)]
    found = {
        BLENDED_FIT: shared > SHARED_LIMIT or crowding < MIN_CROWDING,
        SATURATED_FIT: is_saturated,
        FAINT_FIT: not is_transient and known.size > 0 and np.median(known) < faintest,
    }
    contamination = 1 - light.crowdsap
    row, column = float(group.row[free]), float(group.column[free])
    return StarNotes(
        header={
            "PSF_CONT": (contamination, "contamination that an aperture would have"),
            "PSF_MEAN": (float(fit.mean_flux[free]), "[e-/s] flux in the average image"),
            "CROWDSAP": (1.0, "light of neighbors is fitted, none is left"),
            "FLFRCSAP": (1.0, "the fit gives the whole flux"),
            "PSF_CROW": (crowding, "own fraction of the light under the PRF"),
            "PSF_FRAC": (shown, "fraction of its light on the fitted pixels"),
            "PSF_PULL": (shared, "fraction of flux not of its own measurement"),
            "PSF_ROW": (row, "[pixels] fitted row, zero-based, science"),
            "PSF_COL": (column, "[pixels] fitted column, zero-based, science"),
        },
        # What an aperture would hold; crowdsap and flfrcsap of it are not those of this flux.
        diagnostics={"contamination": contamination},
        warning=" ".join(text for text, applies in found.items() if applies) or None,
    )
