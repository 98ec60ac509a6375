"""How the stars move on the CCD from image to image.

The motion of an image is a (2, 3) array of coefficients: a star that stands
at (row, column) in an unmoved image is found at (row + drow, column + dcolumn),

    drow    = m[0, 0] + m[0, 1] (row - 1023.5) + m[0, 2] (column - 1023.5)
    dcolumn = m[1, 0] + m[1, 1] (row - 1023.5) + m[1, 2] (column - 1023.5)
"""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.simulation.schedule import SECTOR_DAYS, days_in_orbit, generator, image_kind

CENTER = 1023.5  # [pixels] row and column of the middle of the CCD
HALF = 1024.0  # [pixels] from there to the edge
WHITE_SHARE = 0.4  # of the variance of the jitter is white, the rest wanders slowly
TRANSIENT_DAYS = 0.3  # [d] in which a transient falls to 1/e
WANDER_PERIODS = ((0.3, 0.6), (1.2, 3.0), (5.0, 10.0))  # [d] ranges


def image_motion(
    ccd_id: CcdId, index: int, elapsed: float, settings: SimulationSettings
) -> NDArray:
    """Return the coefficients of the motion of one image, (2, 3).

    ``elapsed`` [d] is the time since the first image.
    """
    motion = np.zeros((2, 3))
    motion[:, 0] = _wander(ccd_id, elapsed, settings)
    motion[:, 0] += _of_orbit(ccd_id, index, settings)
    rng = generator(settings, ccd_id, "jitter", index)
    motion[:, 0] += np.sqrt(WHITE_SHARE) * settings.motion_rms * rng.standard_normal(2)
    roll = settings.roll_rms / HALF * rng.standard_normal()
    motion[:, 1:] += roll * np.array([[0.0, -1.0], [1.0, 0.0]])
    motion[:, 1:] += _aberration(ccd_id, elapsed, settings)
    if image_kind(ccd_id, index, settings) in ("coarse", "dump"):
        size, angle = rng.uniform([0.4, 0.0], [1.0, 2 * np.pi])
        size *= settings.coarse_motion
        motion[:, 0] += size * np.array([np.cos(angle), np.sin(angle)])
    return motion


def displacement(motion: NDArray, row: NDArray, column: NDArray) -> tuple[NDArray, NDArray]:
    """Evaluate the motion: (drow, dcolumn) at positions.

    ``motion`` is (..., 2, 3), the positions (n,); each result (..., n).
    """
    terms = np.stack([np.ones_like(row), row - CENTER, column - CENTER]).astype(float)
    moved = motion @ terms
    return moved[..., 0, :], moved[..., 1, :]


def largest_displacement(motion: NDArray) -> float:
    """Return the largest displacement at the corners of the CCD [pixels]."""
    corners = np.array([[0, 0, 2047, 2047], [0, 2047, 0, 2047]], dtype=float)
    return float(np.hypot(*displacement(motion, *corners)).max())


def _wander(ccd_id: CcdId, elapsed: float, settings: SimulationSettings) -> NDArray:
    rng = generator(settings, ccd_id, "wander")
    amplitude = settings.motion_rms * np.sqrt(2 * (1 - WHITE_SHARE) / len(WANDER_PERIODS))
    total = np.zeros(2)
    for low, high in WANDER_PERIODS:
        period = rng.uniform(low, high, 2)
        phase = rng.uniform(0, 2 * np.pi, 2)
        total += amplitude * np.sin(2 * np.pi * elapsed / period + phase)
    return total


def _of_orbit(ccd_id: CcdId, index: int, settings: SimulationSettings) -> NDArray:
    """Drift and transient of an orbit, and the step of the pointing: (drow, dcolumn)."""
    angle = generator(settings, ccd_id, "orbit").uniform(0, 2 * np.pi, 3)
    days = days_in_orbit(index, settings)
    sizes = (
        settings.motion_drift * (days / (0.5 * SECTOR_DAYS) - 0.5),
        settings.motion_transient * np.exp(-days / TRANSIENT_DAYS),
        settings.pointing_step * (index >= settings.n_images // 2),
    )
    return np.stack([np.cos(angle), np.sin(angle)]) @ np.array(sizes)


def _aberration(ccd_id: CcdId, elapsed: float, settings: SimulationSettings) -> NDArray:
    """A slow affine change, nothing at mid-sector; a little faster towards the end."""
    matrix = generator(settings, ccd_id, "aberration", per_ccd=True).normal(size=(2, 2))
    matrix /= np.sqrt((matrix**2).sum(axis=0)).max()  # the ends of the CCD's axes move by 1
    phase = elapsed / SECTOR_DAYS - 0.5
    return settings.aberration / HALF * (phase + 0.15 * (phase**2 - 0.08)) * matrix
