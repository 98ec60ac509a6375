"""Regions whose stars are fitted together: their fit to the average image, ready for single ones.

Regions lie on a fixed grid over the CCD, with a margin: the flux of a star depends neither on the
tile nor on who else is to be measured.
"""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.catalog.saturation import FULL_WELL_RATE
from tessphot_lib.core.flags import OWN_BAD_CADENCE
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.core.settings import PsfSettings
from tessphot_lib.core.slopes import image_slopes
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.photometry.known_stars import KnownStars, brightest
from tessphot_lib.photometry.targets import StarList
from tessphot_lib.photometry.typical_noise import typical_noise
from tessphot_lib.prf.design import Design
from tessphot_lib.prf.linear_fit import GroupFit, fit_average_image, pixel_change, prepare_fit
from tessphot_lib.prf.scene import model_error, scene_derivatives, wing_image

CELL = 64  # [pixels] side of the regions that are fitted together
MARGIN = 10  # [pixels] around them that is fitted, too
FREE_MARGIN = 4  # [pixels] beyond, where stars are free, too
# Stars per pixel that are fitted at most, the brightest: to the average image, to single ones.
MAX_FITTED, MAX_FREE = 0.4, 0.25
CORE_MARGIN = 10  # [pixels] beyond, where stars still give light from their cores
DISTURBING = (1.2, 4.0)  # [pixels] from a star, where faint neighbors are free, too ...
DISTURBING_FRACTION = 0.01  # ... with this fraction of its flux at least,
DISTURBED_TMAG = 1.0  # [mag] if it is brighter than ``free_limit`` by as much
FULL_FRACTION = 0.8  # of a full well in the average image: fuller pixels are not used
AROUND_FULL = np.ones((7, 3), dtype=bool)  # pixels beside them may hold their charge
OFFSET_ERRORS = 0.25  # the background may be wrong by so many times its error from image to image
CONFUSION = 0.2  # [e-/s] error of the average image from stars that nobody knows
N_POSITION_ROUNDS = 3


@dataclass(frozen=True)
class Group:
    """A region that is fitted together, and the targets in its cell.

    Attributes
    ----------
    region : Window
        The cell with its margin.
    members : list of int
        Indices of the targets.
    free : (n_members,) int array
        Their indices among the stars that are free in single images.
    row, column : (n_free,) arrays
        Positions of these stars in the average image [science pixels].
    fit : GroupFit
    slopes, unexplained_slopes : (n_members, 2) arrays
        How the fluxes of the targets change with motion that is not accounted for, by all light
        and by what no star explains [e-/s/pixel].
    """

    region: Window
    members: list[int]
    free: NDArray
    row: NDArray
    column: NDArray
    fit: GroupFit
    slopes: NDArray
    unexplained_slopes: NDArray


def prepare_group(
    cube: PixelCube,
    targets: StarList,
    cell: Window,
    members: list[int],
    free_limit: float,
    psf: PsfSettings | None,
) -> Group:
    """Fit the average image of a cell and its margin, and factor the fit of single images.

    Parameters
    ----------
    cube : PixelCube
    targets : StarList
    cell : Window
        A cell of the grid, of `CELL` pixels a side.
    members : list of int
        Indices of the targets in it.
    free_limit : float
        [mag] fainter stars keep their mean flux in single images.
    psf : PsfSettings or None
        Limits of the stars whose positions are fitted, too; None: of none.
    """
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
    design = _fit_average(cube, prf, region, stars, near, fitted, wings, noise, error, psf)
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
        moving=None if psf is None else np.flatnonzero(stars.tmag[free] <= psf.image_limit),
        measured=index,
    )
    at = stars.row[free], stars.column[free]
    return Group(region, members, index, *at, fit, *_slopes(fit, unexplained))


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
    fraction = stars.flux[faint[pairs["i"]]] / stars.flux[bright[pairs["j"]]]
    matters = (pairs["v"] > DISTURBING[0]) & (fraction > DISTURBING_FRACTION)
    return np.unique(faint[pairs["i"][matters]])


def _usable_noise(cube: PixelCube, region: Window, cell: Window) -> NDArray:
    """Error of the pixels in a typical image; NaN where they are not to be used.

    Beside full ones, whose charge is elsewhere, and beside a patch, since each
    patch has a background of its own.
    """
    noise, is_full = typical_noise(cube, region), is_full_pixel(cube.average_image(region))
    noise[scipy.ndimage.binary_dilation(is_full, AROUND_FULL)] = np.nan
    if not cube.grid.is_continuous:
        beside = np.ones(region.shape, dtype=bool)
        beside[cell.slices_in(region)] = False
        noise[beside] = np.nan
    return noise


def is_full_pixel(light: NDArray) -> NDArray:
    """Whether pixels of the average image are full, so that their charge is elsewhere, bool."""
    with np.errstate(invalid="ignore"):
        return np.asarray(light > FULL_FRACTION * FULL_WELL_RATE)


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
    psf: PsfSettings | None,
) -> Design:
    """Fit fluxes, and positions if asked for, to the average image; both are set in ``stars``.

    Those of the stars ``near`` that are ``fitted``.
    """
    light = (cube.average_image(region).astype(float) - wings).ravel()
    n_good = max(1, int(((cube.quality & int(OWN_BAD_CADENCE)) == 0).sum()))
    sigma = np.sqrt(noise**2 / n_good + error**2 + CONFUSION**2).ravel()
    refined = None if psf is None else (stars.tmag[near] <= psf.position_limit) & fitted
    for _ in range(1 if refined is None else N_POSITION_ROUNDS):
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
    fraction of them that depends on the weights of single images.
    """
    model = (design.matrices[0] @ flux).reshape(region.shape) + wings
    return np.nan_to_num(cube.average_image(region).astype(float) - model)


def _offset_prior_sigma(cube: PixelCube, cell: Window) -> float:
    """How wrong the background of a cell may be in an image [e-/s per pixel]."""
    error = cube.grid.error_at(cube.background_error, *np.array(cell.middle).reshape(2, 1))
    known = error[np.isfinite(error)]
    return OFFSET_ERRORS * float(np.median(known)) if known.size else 1.0
