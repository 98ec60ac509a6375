"""Whose light is in an aperture, and how motion changes it, from the PRFs of all known stars."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.aperture import ApertureLight
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.core.slopes import image_slopes
from tessphot_lib.prf.evaluate import DERIVATIVES, prf_stamps
from tessphot_lib.prf.scene import scene_derivatives

UNEXPLAINED_ERROR = 0.4  # relative, of slopes of unknown light: by those measured in 21 real stars


@dataclass(frozen=True)
class KnownLight:
    """Light of the known stars of a region.

    Attributes
    ----------
    images : (6, n_rows, n_columns) array
        Light of all stars [e-/s] and its derivatives by their position, in the
        order of `tessphot_lib.prf.evaluate.DERIVATIVES`.
    target_prf : list of (stamp_rows, stamp_columns) arrays
        Fraction of each target's light, one per target, in the pixels of its stamp.
    flux : (n_targets,) array
        Expected fluxes of the targets [e-/s].
    """

    images: NDArray
    target_prf: list[NDArray]
    flux: NDArray

    @classmethod
    def expected(
        cls,
        prf: Prf,
        window: Window,
        row: NDArray,
        column: NDArray,
        tmag: NDArray,
        *,
        targets: NDArray,
        stamps: list[Window],
        drawn: Window | None = None,
    ) -> "KnownLight":
        """Compute it from the catalog.

        Parameters
        ----------
        prf : Prf
        window : Window
            The region.
        row, column, tmag : (n_stars,) arrays
            Known stars in and around it, where they stand in the average image.
        targets : (n_targets,) int array
            Indices of the stars whose own light is wanted.
        stamps : list of Window
            Their stamps.
        drawn : Window, optional
            Part of the region that has pixels, all of it by default: ``images`` are 0 elsewhere.
        """
        flux, drawn = flux_of(tmag, prf.zeropoint), drawn or window
        images = np.zeros((len(DERIVATIVES), *window.shape))
        light = scene_derivatives(prf, drawn, row, column, flux)
        images[(slice(None), *drawn.slices_in(window))] = light
        target_prf: list[NDArray] = [np.zeros((0, 0))] * len(targets)
        shapes = np.array([stamp.shape for stamp in stamps]).reshape(-1, 2)
        for shape in np.unique(shapes, axis=0):
            same = np.flatnonzero((shapes == shape).all(axis=1))
            corner = (
                np.array([stamps[index].row0 for index in same]),
                np.array([stamps[index].column0 for index in same]),
            )
            stars = targets[same]
            fractions = prf_stamps(prf, row[stars], column[stars], *corner, tuple(shape.tolist()))
            for index, fraction in zip(same, fractions, strict=True):
                target_prf[index] = fraction
        return cls(images, target_prf, flux[targets])


def aperture_light(
    mask: NDArray,
    target_prf: NDArray,
    flux: float,
    images: NDArray,
    *,
    held: float = np.inf,
    is_saturated: bool = False,
) -> ApertureLight:
    """Compute what is known of the light in an aperture.

    Parameters
    ----------
    mask : (n_rows, n_columns) bool array
        True for the pixels that are summed.
    target_prf : (n_rows, n_columns) array
        PRF of the target there; its sum over the plane is 1.
    flux : float
        Flux of the target [e-/s].
    images : (6, n_rows, n_columns) array
        Light of all stars there, the target's among it, and its derivatives.
    held : float
        Light that the average image has in the aperture [e-/s], see `held_fraction`.
    is_saturated : bool
        The charge of a saturated star does not follow the PRF when the image
        moves: the derivatives are zero.

    Raises
    ------
    ValueError
        If the arrays do not have the shape of the mask.
    """
    if target_prf.shape != mask.shape or images.shape[1:] != mask.shape:
        raise ValueError(
            f"mask is {mask.shape}, the PRF {target_prf.shape}, the images are {images.shape[1:]}"
        )
    captured, sums = float(target_prf[mask].sum()), images[:, mask].sum(axis=1)
    return light_of_sums(captured, flux, sums, held=held, is_saturated=is_saturated)


def light_of_sums(
    captured: float, flux: float, sums: NDArray, *, held: float, is_saturated: bool
) -> ApertureLight:
    """Compute what is known of the light in an aperture from sums over its pixels.

    Parameters
    ----------
    captured : float
        Sum of the target's PRF.
    flux, held, is_saturated
        As of `aperture_light`.
    sums : (6,) array
        Of its ``images``.
    """
    total = max(float(sums[0]), flux * captured)
    crowdsap = flux * captured / total if total > 0 else np.nan
    there = held_fraction(held, float(sums[0]))
    motion = np.zeros(5) if is_saturated else there * sums[1:].astype(np.float64)
    return ApertureLight(crowdsap, min(max(captured, 0.0), 1.0), motion)


def held_fraction(held: float, expected: float) -> float:
    """Fraction of the light expected in an aperture that the average image holds, 0 to 1.

    Only as much moves with the image: magnitudes that are too bright add no noise.

    Parameters
    ----------
    held, expected : float
        By the average image (NaN, unknown, gives 1), and by the catalog [e-/s].
    """
    if np.isnan(held) or not expected > 0:
        return 1.0
    return float(np.clip(held / expected, 0.0, 1.0))


def light_moved(motion: NDArray, d_row: NDArray, d_column: NDArray) -> NDArray:
    """Change of the light in apertures when the image moves, to second order.

    Parameters
    ----------
    motion : (n_stars, 5) array
        See `ApertureLight`.
    d_row, d_column : (n_stars, n_cadences) arrays
        Displacement from where the apertures' light was computed [pixels]; NaN
        (unknown) gives no change.

    Returns
    -------
    (n_stars, n_cadences) array
        [e-/s]
    """
    result = np.empty(np.shape(d_row))
    # Star by star: what is worked on at once fits the cache.
    for star, (down, along) in enumerate(zip(d_row, d_column, strict=True)):
        first_row, first_column, row_row, row_column, column_column = motion[star].tolist()
        result[star] = down * (first_row + 0.5 * row_row * down + row_column * along)
        result[star] += along * (first_column + 0.5 * column_column * along)
    result[np.isnan(d_row) | np.isnan(d_column)] = 0.0
    return result


def with_unexplained(
    motion: NDArray, unexplained: NDArray, error: NDArray
) -> tuple[NDArray, NDArray]:
    """Add the light that no known star gives to what is corrected for.

    Parameters
    ----------
    motion, unexplained : (n_stars, 5), (n_stars, 2) arrays
        See `ApertureLight`. Stars whose ``motion`` is 0 are not corrected for motion.
    error : (n_stars, 2) array
        Of ``unexplained``.

    Returns
    -------
    motion, uncertain : (n_stars, 5), (n_stars, 2) arrays
        For `light_moved`, and for `moved_light_error`.
    """
    is_corrected = motion.any(axis=1, keepdims=True)
    whole = motion.copy()
    whole[:, :2] += np.where(is_corrected, unexplained, 0.0)
    return whole, np.where(is_corrected, error, unexplained)


def unexplained_slopes(average: NDArray, known: NDArray, weights: NDArray) -> NDArray:
    """How light that no known star gives changes in an aperture when the image moves.

    Parameters
    ----------
    average, known : (n_rows, n_columns) arrays
        Average image, and light of the known stars, or of those that the correction for motion
        takes into account [e-/s]; better with two pixels around the aperture.
    weights : (n_rows, n_columns) array
        The aperture: a mask, or the weight of each pixel.

    Returns
    -------
    (2,) float64 array
        Change of the sum [e-/s/pixel] when the image moves towards higher rows or columns.
    """
    # Both by differences of pixels, whose own error then cancels.
    used = weights > 0
    return -(image_slopes(average - known)[:, used] * weights[used]).sum(axis=1)


def moved_light_error(
    motion: NDArray,
    unexplained: NDArray,
    motion_error: NDArray,
    *,
    unseen_rms: float = 0.0,
    seen_rms: float = 0.0,
) -> NDArray:
    """Error of `light_moved`.

    By the error of the motion, by motion that nobody measured, and by light that the known
    stars do not explain.

    Parameters
    ----------
    motion : (n_stars, 5) array
        That `light_moved` corrects for.
    unexplained : (n_stars, 2) array
        By what its first two may be off, or what is not corrected for [e-/s/pixel].
    motion_error : (n_cadences,) array
        Of the measured motion, per axis [pixels]; an unknown error counts as none.
    unseen_rms, seen_rms : float
        From image to image, per axis: motion that was not measured, and that was [pixels].

    Returns
    -------
    (n_stars, n_cadences) array
        [e-/s]
    """
    first = motion[:, :2]
    constant = np.hypot(
        unseen_rms * np.hypot(*(first + unexplained).T), seen_rms * np.hypot(*unexplained.T)
    )
    steepest = np.hypot(*first.T)
    return np.hypot(steepest[:, None] * np.nan_to_num(motion_error), constant[:, None])
