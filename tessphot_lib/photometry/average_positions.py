"""Where stars stand in the average image, and how far from there in others.

It is not quite where the reference image has them.
"""

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from tessphot_lib.aperture.crowding import (
    UNEXPLAINED_ERROR,
    light_moved,
    moved_light_error,
    with_unexplained,
)
from tessphot_lib.core.affine import displacement
from tessphot_lib.core.wcs import ffi_wcs, pixel_to_sky
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.lightcurves.motion_error import believed_slopes


def mean_motion(cube: PixelCube) -> NDArray:
    """Affine motion (6,) of the average image against the reference, see `motion`; 0 if unknown."""
    return cube.mean_motion


def motion_of_stars(cube: PixelCube, stars: pd.DataFrame) -> tuple[NDArray, NDArray]:
    """Motion of the images at stars, without what each of them contributes to it.

    A blend that varies shifts, and so does a motion that it is in: corrected by that, it
    would lose its own variation.

    Returns
    -------
    d_row, d_column : (n_cadences, n_stars) float64 arrays
        Against the reference image, in the pixels as they are read [pixels]; NaN in images whose
        motion is not known.
    """
    at = (stars[name].to_numpy(dtype=float) for name in ("row", "column"))
    d_row, d_column = displacement(cube.motion, *at)
    if cube.own_motion:
        ids = stars["tic_id"].to_numpy(), cube.own_motion["tic_id"]
        _, here, there = np.intersect1d(*ids, return_indices=True)
        d_row[:, here] -= cube.own_motion["d_row"][:, there]
        d_column[:, here] -= cube.own_motion["d_column"][:, there]
    return d_row, d_column


def motion_against_average(cube: PixelCube, stars: pd.DataFrame) -> tuple[NDArray, NDArray]:
    """As `motion_of_stars`, but against the average image."""
    row, column = (stars[name].to_numpy(dtype=float) for name in ("row", "column"))
    mean_row, mean_column = displacement(mean_motion(cube)[None], row, column)
    d_row, d_column = motion_of_stars(cube, stars)
    return d_row - mean_row, d_column - mean_column


def error_of_moved_light(cube: PixelCube, motion: NDArray, unexplained: NDArray) -> NDArray:
    """Error of the light that motion carries over the edges of apertures.

    Parameters, and what is returned, as of `tessphot_lib.aperture.crowding.moved_light_error`,
    with the errors of the motion of these images.
    """
    rms = {}
    if cube.noise is not None:
        rms = {"unseen_rms": cube.noise.motion, "seen_rms": cube.noise.motion_seen}
    return moved_light_error(motion, unexplained, cube.motion_error, **rms)


def correct_for_motion(
    cube: PixelCube,
    flux: NDArray,
    moved: list[NDArray],
    motion: NDArray,
    unexplained: NDArray,
    *,
    is_corrected: bool,
) -> tuple[NDArray, NDArray]:
    """Put back the light that moved out of apertures, and take off what moved in.

    Parameters
    ----------
    cube : PixelCube
    flux : (n_stars, n_cadences) array
        [e-/s]
    moved : pair of (n_stars, n_cadences) arrays
        As of `believed_light`; NaN, unknown, changes nothing.
    motion, unexplained : (n_stars, 5), (n_stars, 2) arrays
        See `tessphot_lib.core.aperture.ApertureLight`.
    is_corrected : bool
        False: only the error is computed.

    Returns
    -------
    flux, error : (n_stars, n_cadences) arrays
        [e-/s]
    """
    if not is_corrected:
        everything = unexplained + motion[:, :2]
        return flux, error_of_moved_light(cube, np.zeros_like(motion), everything)
    flux = flux - light_moved(motion, *moved)
    unexplained, error = believed_light(cube, flux, moved, unexplained)
    whole, uncertain = with_unexplained(motion, unexplained, error)
    flux = flux - light_moved(whole - motion, *moved)
    return flux, error_of_moved_light(cube, whole, uncertain)


def believed_light(
    cube: PixelCube,
    flux: NDArray,
    moved: list[NDArray],
    expected: NDArray,
    *,
    is_corrected: bool = False,
) -> tuple[NDArray, NDArray]:
    """Find how light of no known star goes with the motion, in the flux of each star.

    By the average image, whose slopes are rough, and by each light curve.

    Parameters
    ----------
    cube : PixelCube
    flux : (n_stars, n_cadences) array
        [e-/s]
    moved : pair of (n_stars, n_cadences) arrays
        Motion of the images at the stars, by row and column [pixels].
    expected : (n_stars, 2) array
        By the average image [e-/s/pixel].
    is_corrected : bool
        Whether ``flux`` is without what is expected. What the light curve shows beyond it is
        returned then.

    Returns
    -------
    slopes, error : (n_stars, 2) float64 arrays
        [e-/s/pixel]; see `tessphot_lib.lightcurves.motion_error.believed_slopes`.
    """
    good = cube.is_good()
    slopes, error = np.zeros(expected.shape), np.zeros(expected.shape)
    for index, one in enumerate(expected):
        slopes[index], error[index] = believed_slopes(
            cube.time,
            flux[index],
            good,
            *(axis[index] for axis in moved),
            expected=np.zeros(2) if is_corrected else one,
            sigma=UNEXPLAINED_ERROR * float(np.hypot(*one)),
        )
    return slopes, error


def average_places(cube: PixelCube, stars: pd.DataFrame) -> tuple[NDArray, NDArray]:
    """Rows and columns of catalog stars in the average image [science pixels]."""
    row, column = (stars[name].to_numpy(dtype=float) for name in ("row", "column"))
    d_row, d_column = displacement(mean_motion(cube)[None], row, column)
    return row + d_row[0], column + d_column[0]


def on_the_sky(
    cube: PixelCube, known: pd.DataFrame, row: NDArray, column: NDArray
) -> tuple[NDArray, NDArray]:
    """Positions on the sky as those of the nearest stars: cutouts have WCS of their own.

    Parameters
    ----------
    cube : PixelCube
    known : DataFrame
        The catalog: row, column, ra, dec.
    row, column : (n,) arrays
        By the reference image [science pixels].

    Returns
    -------
    ra, dec : (n,) float64 arrays
        [deg]
    """
    if not len(row):
        return np.zeros(0), np.zeros(0)
    wcs = ffi_wcs(str(cube.attributes["wcs"]))
    at = known["row"].to_numpy(dtype=float), known["column"].to_numpy(dtype=float)
    stars = np.flatnonzero(np.isfinite(at).all(axis=0))
    if not stars.size:
        return pixel_to_sky(wcs, row, column)
    _, nearest = scipy.spatial.cKDTree(np.column_stack(at)[stars]).query(
        np.column_stack([row, column])
    )
    star = stars[nearest]
    ra, dec = pixel_to_sky(wcs, row, column)
    star_ra, star_dec = pixel_to_sky(wcs, at[0][star], at[1][star])
    ra = ra - star_ra + known["ra"].to_numpy(dtype=float)[star]
    return ra % 360.0, dec - star_dec + known["dec"].to_numpy(dtype=float)[star]
