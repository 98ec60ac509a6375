"""Where TESS was, from the barycentric corrections in the headers of its images.

A correction is the light travel time from the spacecraft to the barycentre
along one direction, the centre of a CCD: it gives one coordinate of the
spacecraft's position, those of several cameras all three. What they leave open is
taken from the laws of motion (`tessphot_lib.times.orbit`), or, where the images were
not taken by TESS on its orbit, from nothing but that it is near the Earth.

Positions and covariances are in light seconds, geocentric, ICRS axes; times
BTJD at the spacecraft.
"""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.constants import SECONDS_PER_DAY, SPEED_OF_LIGHT_KM_PER_S
from tessphot_lib.times.barycenter import earth_position
from tessphot_lib.times.orbit import LAST_FITTED, Bodies, predicted_state, propagate

# Errors of a correction: the direction of a CCD's centre is known to a few hundredths of a pixel
# (0.01 pixel: 0.5 ms), and is wrong alike in all its images.
CORRECTION_ERROR = 2e-3  # [s]
INDEPENDENT_IMAGES = 4  # per CCD; more do not make the mean better

# How well the reference orbit is known, per axis: as found from SPOC's corrections of stars in
# sectors 1 to 37, and from parts of JPL's path that it was not fitted to; it grows later on.
REFERENCE_ERROR = 1.5e-3  # [s]
ERROR_DOUBLES_AFTER = 730.0  # [d]
ORBITS = np.linspace(-13.7, 13.7, 81)  # [d] about the epoch: where that error is looked at
STATE_UNITS = np.repeat([1000.0, 1e-3], 3)  # [km], [km/s] of the elements in fits
WIDER = (1.0, 10.0, 30.0)  # times these errors are tried, one after the other
KNOWN_DIRECTION = 5e-6  # [rad] directions with smaller errors are taken as they are
LIGHT_TIME_TO_SUN = 499.0  # [s]

MAX_RESIDUAL = 10e-3  # [s] rms, above which images were not taken from this orbit
MAX_CHI_SQUARED = 25.0  # of the 6 elements' departure from the reference
FREE_ERROR = 0.6  # [s] per axis, of the Earth instead of the spacecraft: 60 Earth radii at most
KNOT_STEP = 0.25  # [d] of the free path
CORRELATION_TIME = 2.0  # [d] over which it may bend: a quarter of the orbit, less at perigee
FLOOR = EPHEMERIS_ERROR = 1e-3  # [s] per axis: scatter of SPOC's corrections about the best path


@dataclass(frozen=True)
class Path:
    """Positions of the spacecraft.

    Attributes
    ----------
    position : (n, 3) array
        [light seconds], geocentric.
    covariance : (3, 3) array
        Of a position, averaged over time [light seconds squared].
    residual : float
        rms of the corrections about this path [s]; NaN without corrections.
    """

    position: NDArray
    covariance: NDArray
    residual: float


@dataclass(frozen=True)
class Projections:
    """Measured coordinates of the spacecraft, (n,) or (n, 3) each.

    Attributes
    ----------
    time : array
        At the spacecraft [BTJD].
    distance : array
        Coordinate along ``direction`` [light seconds], geocentric.
    direction : (n, 3) array
        Unit vectors.
    source : integer array
        Number of the CCD; errors are common to a source.
    direction_error : array, optional
        1-sigma error of the direction per axis, common to a source [rad]; none if left out.
    """

    time: NDArray
    distance: NDArray
    direction: NDArray
    source: NDArray
    direction_error: NDArray | None = None

    @property
    def error(self) -> NDArray:
        """1-sigma errors [s], such that many images of one CCD count as a few."""
        _, index, count = np.unique(self.source, return_inverse=True, return_counts=True)
        return CORRECTION_ERROR * np.sqrt(np.maximum(count / INDEPENDENT_IMAGES, 1.0))[index]

    @property
    def error_with_direction(self) -> NDArray:
        """The same with what the error of the direction makes of the distance to the Sun [s]."""
        if self.direction_error is None:
            return self.error
        return np.hypot(self.error, LIGHT_TIME_TO_SUN * self.direction_error)

    def tangents(self) -> tuple[NDArray, NDArray]:
        """Where directions are uncertain: their sources, and two axes across each, (n, 2, 3)."""
        if self.direction_error is None:
            return np.zeros(0, dtype=self.source.dtype), np.zeros((0, 2, 3))
        first = np.unique(self.source, return_index=True)[1]
        first = first[self.direction_error[first] > KNOWN_DIRECTION]
        axes = [np.linalg.svd(self.direction[[index]])[2][1:] for index in first]
        return self.source[first], np.array(axes).reshape(-1, 2, 3)


def fit_orbit(projections: Projections, time: NDArray) -> Path | None:
    """Find TESS's path by its laws of motion: six numbers, near those of the reference.

    Parameters
    ----------
    projections : Projections
        May be empty: the path is then the reference's.
    time : (n,) array
        Where the path is wanted.

    Returns
    -------
    Path or None
        None where no such path agrees with the projections.
    """
    moments = np.concatenate([projections.time, time])
    epoch = 0.5 * (moments.min() + moments.max())
    around = epoch + ORBITS
    bodies = Bodies.between(min(moments.min(), around[0]), max(moments.max(), around[-1]))
    reference = predicted_state(epoch)
    beyond = max(epoch - LAST_FITTED, 0.0)
    spread = 1.0 + (beyond / ERROR_DOUBLES_AFTER) ** 2
    for wider in WIDER:
        error = REFERENCE_ERROR * spread * wider
        path = _fit_state(projections, time, epoch, reference, error, bodies)
        if path is not None:
            return path
    return None


def fit_free_path(projections: Projections, time: NDArray) -> Path:
    """Find the path without any law of motion: smooth, and near the Earth.

    What the projections do not tell stays at the Earth, with the error of that.
    See `fit_orbit` for the parameters.
    """
    knots, n_knots = _knots(np.concatenate([projections.time, time]))
    basis = scipy.interpolate.BSpline.design_matrix(projections.time, knots, 3).toarray()
    weight = 1.0 / projections.error_with_direction
    design = basis[:, :, np.newaxis] * projections.direction[:, np.newaxis, :]
    design = design.reshape(len(basis), 3 * n_knots)
    normal = (design * weight[:, np.newaxis] ** 2).T @ design
    covariance = np.linalg.inv(normal + np.kron(_smooth_precision(n_knots), np.eye(3)))
    coefficients = covariance @ (design.T @ (weight**2 * projections.distance))
    wanted = scipy.interpolate.BSpline.design_matrix(time, knots, 3).toarray()
    blocks = covariance.reshape(n_knots, 3, n_knots, 3)
    mean = np.einsum("kaib,ki->ab", blocks, wanted.T @ wanted) / len(time)
    residual = projections.distance - design @ coefficients
    return Path(
        wanted @ coefficients.reshape(n_knots, 3), mean + FLOOR**2 * np.eye(3), _rms(residual)
    )


def error_along(covariance: NDArray, directions: NDArray) -> float:
    """Largest 1-sigma error of the light travel time in some directions, (n, 3) [s]."""
    return float(np.sqrt(np.einsum("na,ab,nb->n", directions, covariance, directions).max()))


def _fit_state(
    projections: Projections,
    time: NDArray,
    epoch: float,
    reference: NDArray,
    error: float,
    bodies: Bodies,
) -> Path | None:
    """Least squares for the state at ``epoch``; paths off the reference by ``error`` [s] are usual.

    Directions that are uncertain are fitted, too: two angles for each of their CCDs.
    """
    moments = np.concatenate([projections.time, time])
    n_measured = len(projections.time)
    earth = earth_position(projections.time) * SECONDS_PER_DAY
    direction = projections.direction
    measured = projections.distance + np.einsum("na,na->n", earth, direction)
    sources, axes = projections.tangents()
    weight = 1.0 / projections.error**2
    change = np.zeros(6 + 2 * len(sources))  # in `STATE_UNITS`, and errors of directions
    prior = np.eye(len(change))
    _, partials = _positions(reference, epoch, epoch + ORBITS, STATE_UNITS, bodies)
    # Six elements share the variance of three axes, averaged over the orbit.
    prior[:6, :6] = np.einsum("nak,nal->kl", partials, partials) * 2 / (len(ORBITS) * error**2)
    for _ in range(4):
        state = reference + change[:6] * STATE_UNITS
        positions, partials = _positions(state, epoch, moments, STATE_UNITS, bodies)
        whole = earth + positions[:n_measured]
        residual = measured - np.einsum("na,na->n", whole, direction)
        design = np.hstack(
            [
                np.einsum("na,nak->nk", direction, partials[:n_measured]),
                *_turned(projections, sources, axes, whole),
            ]
        )
        covariance = np.linalg.inv(design.T @ (design * weight[:, np.newaxis]) + prior)
        step = covariance @ (design.T @ (weight * residual) - prior @ change)
        change = change + step
        direction = _directions(projections, sources, axes, change[6:])
        if np.abs(step).max() < 1e-3:
            break
    positions = positions + partials @ step[:6]
    residual = measured - np.einsum("na,na->n", earth + positions[:n_measured], direction)
    departure = change[:6] @ prior[:6, :6] @ change[:6]
    if n_measured and (_rms(residual) > MAX_RESIDUAL or departure > MAX_CHI_SQUARED):
        return None
    wanted = partials[n_measured:]
    mean = np.einsum("nak,kl,nbl->ab", wanted, covariance[:6, :6], wanted) / len(time)
    return Path(positions[n_measured:], mean + FLOOR**2 * np.eye(3), _rms(residual))


def _turned(
    projections: Projections, sources: NDArray, axes: NDArray, whole: NDArray
) -> list[NDArray]:
    """Derivatives (n, 2) of the corrections by the angles of each uncertain direction."""
    columns = []
    for source, across in zip(sources, axes, strict=True):
        is_of = projections.source == source
        error = projections.direction_error[is_of][0]
        columns.append(np.where(is_of[:, np.newaxis], error * whole @ across.T, 0.0))
    return columns


def _directions(
    projections: Projections, sources: NDArray, axes: NDArray, angles: NDArray
) -> NDArray:
    """Unit vectors (n, 3) after turning uncertain ones, angles in units of their errors."""
    direction = projections.direction.copy()
    for index, (source, across) in enumerate(zip(sources, axes, strict=True)):
        is_of = projections.source == source
        error = projections.direction_error[is_of][0]
        direction[is_of] += error * angles[2 * index : 2 * index + 2] @ across
        direction[is_of] /= np.linalg.norm(direction[is_of], axis=1, keepdims=True)
    return direction


def _positions(
    state: NDArray, epoch: float, time: NDArray, scale: NDArray, bodies: Bodies
) -> tuple[NDArray, NDArray]:
    """Positions (n, 3) and their derivatives (n, 3, 6) by the state in units of ``scale``."""
    small = 1e-2
    at = propagate(state, epoch, time, bodies)[:, :3]
    moved = [
        propagate(state + small * scale * axis, epoch, time, bodies)[:, :3] for axis in np.eye(6)
    ]
    partials = np.stack([(one - at) / small for one in moved], axis=-1)
    return at / SPEED_OF_LIGHT_KM_PER_S, partials / SPEED_OF_LIGHT_KM_PER_S


def _knots(time: NDArray) -> tuple[NDArray, int]:
    """Knots of a cubic spline over all of ``time``, and how many coefficients it has."""
    n_steps = max(int(np.ceil((time.max() - time.min()) / KNOT_STEP)), 1)
    inner = time.min() + KNOT_STEP * np.arange(-3, n_steps + 4)
    return inner, len(inner) - 4


def _smooth_precision(n_knots: int) -> NDArray:
    """Inverse covariance of the coefficients: Matern 5/2 in time."""
    steps = np.abs(np.subtract.outer(np.arange(n_knots), np.arange(n_knots)))
    apart = np.sqrt(5.0) * KNOT_STEP / CORRELATION_TIME * steps
    covariance = FREE_ERROR**2 * (1.0 + apart + apart**2 / 3.0) * np.exp(-apart)
    return np.linalg.inv(covariance + 1e-8 * np.eye(n_knots))


def _rms(values: NDArray) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else float("nan")
