"""Method ``linpsf``: PRF fits of all stars of a small region together; also used by ``psf``.

Regions lie on a fixed grid over the CCD, with a margin: the flux of a star
depends neither on the tile nor on who else is to be measured. All stars that
the catalog knows are fitted to the average image; in single images those
brighter than ``photometry.linpsf.free_limit`` are, and the others stay as they
are in the average. In crowds only the brightest are fitted, as many as pixels
can tell apart, and the others are taken off by their magnitudes.
``psf`` also fits the places of stars down to ``photometry.psf.position_limit``,
in the average image, and of those down to ``photometry.psf.image_limit`` in
each image.
"""

import logging
from dataclasses import dataclass, replace

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.aperture.crowding import light_moved
from tessphot_lib.aperture.sums import ApertureMatrix, sum_apertures
from tessphot_lib.catalog.saturation import FULL_WELL_RATE
from tessphot_lib.core.affine import displacement
from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.constants import FILLS_PIXEL_TMAG, SATURATION_TMAG
from tessphot_lib.core.errors import NoPixelsError
from tessphot_lib.core.flags import OWN_BAD_CADENCE, PixelFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.identifiers import TRANSIENT, is_kind
from tessphot_lib.core.lightcurve import Cards, StarFluxes, StarNotes
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.core.settings import (
    LinpsfSettings,
    PhotometrySettings,
    PsfSettings,
    free_limit_of,
)
from tessphot_lib.core.slopes import image_slopes
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
from tessphot_lib.photometry.known_stars import KnownStars, brightest
from tessphot_lib.photometry.method import Method
from tessphot_lib.photometry.regions import cadence_slices, regions
from tessphot_lib.photometry.targets import StarList
from tessphot_lib.photometry.typical_noise import typical_noise
from tessphot_lib.prf.linear_fit import (
    Design,
    GroupFit,
    fit_average_image,
    fit_crowding,
    fit_images,
    pixel_change,
    prepare_fit,
)
from tessphot_lib.prf.scene import model_error, scene_derivatives, wing_image

log = logging.getLogger(__name__)

NOT_OF_STARS = PixelFlag.BACKGROUND_ANOMALY | PixelFlag.MANUAL_EXCLUDE
CELL = 64  # [pixels] side of the regions that are fitted together
MARGIN = 10  # [pixels] around them that is fitted, too
FREE_MARGIN = 4  # [pixels] beyond, where stars are free, too
# Stars per pixel that are fitted at most, the brightest: to the average image, to single ones.
MAX_FITTED, MAX_FREE = 0.4, 0.25
CORE_MARGIN = 10  # [pixels] beyond, where stars still give light from their cores
DISTURBING = (1.2, 4.0)  # [pixels] from a star, where faint neighbors are free, too ...
DISTURBING_SHARE, DISTURBED_TMAG = 0.01, 1.0  # ... with so much of its flux; it is so much brighter
BOX_HALF = 2  # [pixels] 5 x 5 pixels whose flags and background are a star's
FULL_SHARE = 0.8  # of a full well in the average image: fuller pixels are not used
AROUND_FULL = np.ones((7, 3), dtype=bool)  # pixels beside them may hold their charge
OFFSET_ERRORS = 0.25  # the background may be wrong by so many times its error from image to image
CONFUSION = 0.2  # [e-/s] error of the average image from stars that nobody knows
N_PLACE_ROUNDS = 3
SHARED_LIMIT = 0.1  # of a star's flux that is not its own measurement, from which it is told
FAINT_SHARE = 0.2  # of the flux by the catalog, below which it is told
MIN_SHOWN = 0.2  # of a star's light on used pixels; in a corner of the CCD there is a quarter
MIN_CROWDING = 0.01  # own fraction of the light under a PRF, below which neighbors decide


@dataclass(frozen=True)
class _Group:
    """A region that is fitted together, and the targets in its cell.

    ``members`` are indices of targets, ``free`` their indices among the stars
    that are free; ``row`` and ``column`` the places of these in the average image,
    ``slopes`` and ``unexplained_slopes`` (n_members, 2) as of `_slopes`.
    """

    region: Window
    members: list[int]
    free: NDArray
    row: NDArray
    column: NDArray
    fit: GroupFit
    slopes: NDArray
    unexplained_slopes: NDArray


def measure_linpsf(
    cube: PixelCube, targets: StarList, tile: Window | None, settings: PhotometrySettings
) -> StarFluxes:
    """Fit the fluxes of stars at their places; see `tessphot_lib.photometry.method`.

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
    return aperture.is_automatic and light.size > 0 and not _is_full(light).any()


def _is_full(light: NDArray) -> NDArray:
    """Whether pixels of the average image are full, so that their charge is elsewhere, bool."""
    with np.errstate(invalid="ignore"):
        return np.asarray(light > FULL_SHARE * FULL_WELL_RATE)


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
    places: PsfSettings | None,
) -> StarFluxes:
    """Fit all groups that hold targets, block by block; with ``places`` these are fitted, too."""
    result = StarFluxes.unknown(len(targets), cube.n_cadences)
    notes: list[StarNotes] = [StarNotes()] * len(targets)
    positions = (targets.stars[name].to_numpy(dtype=float) for name in ("row", "column"))
    groups = [
        _prepare(cube, targets, cell, members.tolist(), free_limit, places)
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


def _prepare(
    cube: PixelCube,
    targets: StarList,
    cell: Window,
    members: list[int],
    free_limit: float,
    places: PsfSettings | None,
) -> _Group:
    """Fit the average image of a cell and its margin, and factor the fit of single images."""
    prf, region = targets.prf, cell.widened(MARGIN).intersect(cube.window)
    stars = KnownStars.around(cube, targets, region)
    near = stars.near(region, CORE_MARGIN)
    everybody = np.arange(len(stars.row))
    wings = wing_image(prf, region, *stars.at(everybody)) if len(prf.wing_share) else 0.0
    noise = _usable_noise(cube, region, cell)
    error = model_error(prf, region, *stars.at(near))
    wanted = np.isin(stars.tic_id[near], targets.stars["tic_id"].iloc[members])
    every = np.ones(len(near), dtype=bool)
    fitted = brightest(stars.flux[near], every, _at_most(MAX_FITTED, region, CORE_MARGIN)) | wanted
    design = _fit_average(cube, prf, region, stars, near, fitted, wings, noise, error, places)
    free = np.isin(near, stars.near(region, FREE_MARGIN)) & (stars.tmag[near] <= free_limit)
    free |= wanted
    free |= np.isin(near, _disturbing(stars, free_limit)) & np.isin(near, stars.near(region, 0))
    free = brightest(stars.flux[near], free, _at_most(MAX_FREE, region, FREE_MARGIN)) | wanted
    fixed = scene_derivatives(prf, region, *stars.at(near[~free]), with_wings=False)
    fixed[0] += wings
    unexplained = _unexplained(cube, region, design, stars.flux[near], wings)
    fixed[0] += unexplained
    fixed[1:3] -= image_slopes(unexplained)
    columns = np.flatnonzero(free)
    free = near[free]
    index = stars.index_of(targets.stars["tic_id"].iloc[members].to_numpy(), free)
    fit = prepare_fit(
        Design(tuple(matrix[:, columns] for matrix in design.matrices)),
        stars.flux[free],
        fixed.reshape(len(fixed), -1),
        np.hypot(noise, pixel_change(prf) * _bright(cube, region)).ravel(),
        offset_prior_sigma=_offset_prior_sigma(cube, cell.intersect(cube.window)),
        moving=None if places is None else np.flatnonzero(stars.tmag[free] <= places.image_limit),
        measured=index,
    )
    at = stars.row[free], stars.column[free]
    return _Group(region, members, index, *at, fit, *_slopes(fit, unexplained))


def _at_most(per_pixel: float, region: Window, margin: int) -> int:
    """How many stars in and around a region are fitted at most."""
    n_rows, n_columns = (size + 2 * margin for size in region.shape)
    return int(per_pixel * n_rows * n_columns)


def _slopes(fit: GroupFit, unexplained: NDArray) -> tuple[NDArray, NDArray]:
    """How the fluxes of measured stars would change with motion that is not accounted for.

    By all light, and by that which the stars do not explain; (n_measured, 2) each [e-/s/pixel].
    """
    gain, design = fit.gain, fit.design.matrices
    every = [gain @ (design[axis] @ fit.mean_flux + fit.fixed[axis]) for axis in (1, 2)]
    unknown = [gain @ -slope.ravel() for slope in image_slopes(unexplained)]
    return np.stack(every, axis=1), np.stack(unknown, axis=1)


def _correct_for_motion(
    cube: PixelCube, targets: StarList, groups: list[_Group], result: StarFluxes
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


def _disturbing(stars: KnownStars, free_limit: float) -> NDArray:
    """Indices of faint stars whose variations would be taken for those of a star close by.

    Free, they cost that star at most some 4 % of its noise; closer ones much more.
    """
    at = np.column_stack([stars.row, stars.column])
    faint = np.flatnonzero(stars.tmag > free_limit)
    bright = np.flatnonzero(stars.tmag <= free_limit - DISTURBED_TMAG)
    if not faint.size or not bright.size:
        return faint[:0]
    pairs = scipy.spatial.cKDTree(at[faint]).sparse_distance_matrix(
        scipy.spatial.cKDTree(at[bright]), DISTURBING[1], output_type="ndarray"
    )
    share = stars.flux[faint[pairs["i"]]] / stars.flux[bright[pairs["j"]]]
    matters = (pairs["v"] > DISTURBING[0]) & (share > DISTURBING_SHARE)
    return np.unique(faint[pairs["i"][matters]])


def _usable_noise(cube: PixelCube, region: Window, cell: Window) -> NDArray:
    """Error of the pixels in a typical image; NaN where they are not to be used.

    Beside full ones, whose charge is elsewhere, and beside a patch, since each
    patch has a background of its own.
    """
    noise, is_full = typical_noise(cube, region), _is_full(cube.average_image(region))
    noise[scipy.ndimage.binary_dilation(is_full, AROUND_FULL)] = np.nan
    if not cube.grid.is_continuous:
        beside = np.ones(region.shape, dtype=bool)
        beside[cell.slices_in(region)] = False
        noise[beside] = np.nan
    return noise


def _fit_average(
    cube: PixelCube,
    prf: Prf,
    region: Window,
    stars: KnownStars,
    near: NDArray,
    fitted: NDArray,
    wings: NDArray | float,
    noise: NDArray,
    error: NDArray,
    places: PsfSettings | None,
) -> Design:
    """Fit fluxes, and places if asked for, to the average image; both are set in ``stars``.

    Those of the stars ``near`` that are ``fitted``.
    """
    light = (cube.average_image(region).astype(float) - wings).ravel()
    n_good = max(1, int(((cube.quality & int(OWN_BAD_CADENCE)) == 0).sum()))
    sigma = np.sqrt(noise**2 / n_good + error**2 + CONFUSION**2).ravel()
    refined = None if places is None else (stars.tmag[near] <= places.position_limit) & fitted
    for _ in range(1 if refined is None else N_PLACE_ROUNDS):
        design = Design.of(prf, region, *stars.at(near))
        stars.flux[near], d_row, d_column = fit_average_image(
            light, sigma, design, stars.flux[near], with_positions=refined, fitted=fitted
        )
        stars.row[near] += d_row
        stars.column[near] += d_column
    return design if refined is None else Design.of(prf, region, *stars.at(near))


def _bright(cube: PixelCube, region: Window) -> NDArray:
    """Light of the average image, (n_rows, n_columns) [e-/s]; 0 where there is none."""
    return np.maximum(np.nan_to_num(cube.average_image(region)).astype(float), 0.0)


def _unexplained(
    cube: PixelCube, region: Window, design: Design, flux: NDArray, wings: NDArray | float
) -> NDArray:
    """What the average image has more than its fit, (n_rows, n_columns) [e-/s]; 0 where unknown.

    Stars that no catalog knows, and what the PRF is wrong by, are in each image,
    too: with them taken off only changes are fitted there, and no star gets a
    share of them that depends on the weights of single images.
    """
    model = (design.matrices[0] @ flux).reshape(region.shape) + wings
    return np.nan_to_num(cube.average_image(region).astype(float) - model)


def _offset_prior_sigma(cube: PixelCube, cell: Window) -> float:
    """How wrong the background of a cell may be in an image [e-/s per pixel]."""
    error = cube.grid.error_at(cube.background_error, *np.array(cell.middle).reshape(2, 1))
    known = error[np.isfinite(error)]
    return OFFSET_ERRORS * float(np.median(known)) if known.size else 1.0


def _fit_block(
    cube: PixelCube,
    group: _Group,
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
    cube: PixelCube, targets: StarList, index: int, group: _Group, free: int, good_flux: NDArray
) -> StarNotes:
    """What is to be said of one star; failure where hardly a pixel shows it."""
    fit = group.fit
    own = fit.design.matrices[0][:, [free]].toarray().ravel()
    shown = float(own[fit.weights > 0].sum())
    tmag = float(targets.stars["tmag"].iloc[index])
    # A star that fills pixels is known by its wings only; in those of another there is none.
    if not shown > (0.0 if tmag < FILLS_PIXEL_TMAG else MIN_SHOWN):
        around = cube.average_image(_box(targets, index, cube.window))
        raise NoPixelsError(UNDER_CHARGE if _is_full(around).any() else NO_PIXELS)
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
    share = 1 - light.crowdsap
    row, column = float(group.row[free]), float(group.column[free])
    return StarNotes(
        header={
            "PSF_CONT": (share, "contamination that an aperture would have"),
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
        diagnostics={"contamination": share},
        warning=" ".join(text for text, applies in found.items() if applies) or None,
    )
