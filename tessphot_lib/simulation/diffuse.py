"""The diffuse light of the simulated images: all that no star gives."""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import SCIENCE_COLUMNS
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.simulation.motion import CENTER, HALF
from tessphot_lib.simulation.pointing import camera_center
from tessphot_lib.simulation.schedule import generator, image_kind, scattered_strength

GLOW_START = 2350.0  # [pixels] from the camera's centre, where the glow begins
GLOW_LENGTH = 620.0  # [pixels] from there to the corner
FWHM_PER_SIGMA = 2.354820045
DISC_HEIGHT = 0.35  # of a disc inside its bright edge
SHADOW_WIDTH = 1.5  # [pixels] scale of the edge of scattered light
SHADOW_WAY = 400.0  # [pixels] that it moves over in the time between two episodes
CLOUD_RMS, N_WAVES = 0.4, 24
STRAP_DISTANCE, STRAP_WIDTH = (20, 50), (2, 7)  # [columns] from start to start; drawn from these


def diffuse_light(
    ccd_id: CcdId,
    index: int,
    elapsed: float,
    row: NDArray,
    column: NDArray,
    settings: SimulationSettings,
    moved: tuple[float, float] = (0.0, 0.0),
) -> NDArray:
    """Return zodiacal light, glow, scattered light, reflection, and extended light of one image.

    Parameters
    ----------
    ccd_id, index, elapsed
        The image, its number from 0, the time since the first [d].
    row, column : (n_rows,), (n_columns,) arrays
        Science pixels.
    moved : (float, float)
        Motion of the image, which extended light follows [pixels].

    Returns
    -------
    (n_rows, n_columns) float64 array
        [e-/s per pixel]
    """
    down, along = ((row - CENTER) / HALF)[:, None], ((column - CENTER) / HALF)[None, :]
    light = _zodiacal(ccd_id, elapsed, down, along, settings)
    _add_glow(light, ccd_id, row, column, settings)
    strength = scattered_level(ccd_id, index, settings)
    if strength > 0:
        shape = _scattered_shape(ccd_id, elapsed, down, along, settings)
        light += strength * shape * _shadow(ccd_id, index, row, column, settings)
    _add_reflection(light, ccd_id, elapsed, row, column, settings)
    light += extended_light(ccd_id, row - moved[0], column - moved[1], settings)
    if settings.strap_level:
        light *= 1.0 + strap_response(ccd_id, settings)[column]
    return light


def strap_response(ccd_id: CcdId, settings: SimulationSettings) -> NDArray:
    """Return how much more of the light each science column sees, as a fraction, (2048,)."""
    rng = generator(settings, ccd_id, "straps", per_ccd=True)
    response = np.zeros(SCIENCE_COLUMNS)
    starts = np.cumsum(rng.integers(*STRAP_DISTANCE, size=SCIENCE_COLUMNS // STRAP_DISTANCE[0]))
    for start, width in zip(starts, rng.integers(*STRAP_WIDTH, size=len(starts)), strict=True):
        response[start : start + width] = settings.strap_level * rng.uniform(0.5, 1.5)
    return response


def scattered_level(ccd_id: CcdId, index: int, settings: SimulationSettings) -> float:
    """Return the scattered light of an image at its brightest position [e-/s per pixel]."""
    strength = scattered_strength(ccd_id, index, settings)
    if strength == 0 or image_kind(ccd_id, index, settings) in ("zero", "nan"):
        return 0.0
    episode = index // settings.scattered_every
    rng = generator(settings, ccd_id, "episode", episode)
    # Every other episode reaches the full level.
    peak = 1.0 if episode % 2 == 0 else rng.uniform(0.1, 1.0)
    return strength * peak * settings.scattered_factor * settings.sky_level


def reflection_position(
    ccd_id: CcdId, elapsed: float, settings: SimulationSettings
) -> tuple[float, float]:
    """Return (row, column) of the centre of the ring."""
    rng = generator(settings, ccd_id, "reflection", per_ccd=True)
    drawn = rng.uniform(500.0, 1550.0, 2)
    start = drawn if settings.reflection_center is None else settings.reflection_center
    angle = rng.uniform(0, 2 * np.pi)
    way = settings.reflection_speed * 24.0 * elapsed
    return float(start[0] + way * np.cos(angle)), float(start[1] + way * np.sin(angle))


def sky_level(ccd_id: CcdId, elapsed: float, settings: SimulationSettings) -> float:
    """Return the zodiacal light in the middle of the CCD [e-/s per pixel]."""
    phase = generator(settings, ccd_id, "zodiacal").uniform(0, 2 * np.pi)
    change = settings.sky_variation * np.sin(2 * np.pi * elapsed / 13.7 + phase)
    return float(settings.sky_level * (1 + change))


def _zodiacal(
    ccd_id: CcdId, elapsed: float, down: NDArray, along: NDArray, settings: SimulationSettings
) -> NDArray:
    angle = generator(settings, ccd_id, "gradient", per_ccd=True).uniform(0, 2 * np.pi)
    # At most 1 in the corners, -1 opposite; slightly curved.
    steep = np.array([np.cos(angle), np.sin(angle)]) / np.abs([np.cos(angle), np.sin(angle)]).sum()
    slope = steep[0] * down + steep[1] * along
    shape = slope + 0.15 * (slope**2 - 1)
    return sky_level(ccd_id, elapsed, settings) + settings.sky_gradient * shape


def _add_glow(
    light: NDArray, ccd_id: CcdId, row: NDArray, column: NDArray, settings: SimulationSettings
) -> None:
    center_row, center_column = camera_center(ccd_id.ccd)
    far_rows = np.flatnonzero(
        np.hypot(row - center_row, np.abs(column - center_column).max()) > GLOW_START
    )
    if settings.glow_level == 0 or not far_rows.size:
        return
    rows = slice(far_rows[0], far_rows[-1] + 1)
    radius = np.hypot((row[rows] - center_row)[:, None], (column - center_column)[None, :])
    light[rows] += settings.glow_level * np.maximum((radius - GLOW_START) / GLOW_LENGTH, 0.0) ** 2


def _scattered_shape(
    ccd_id: CcdId, elapsed: float, down: NDArray, along: NDArray, settings: SimulationSettings
) -> NDArray:
    """Brightest (1) at an edge, falling over the CCD, with a patch that moves."""
    rng = generator(settings, ccd_id, "scattered shape", per_ccd=True)
    angle = rng.uniform(0, 2 * np.pi) + 0.6 * elapsed
    steep = 0.9 * np.array([np.cos(angle), np.sin(angle)])
    edge = np.exp(steep[0] * down - abs(steep[0])) * np.exp(steep[1] * along - abs(steep[1]))
    patch_row, patch_column = rng.uniform(-0.7, 0.7, 2)
    patch_column += 0.5 * np.sin(2 * elapsed)
    patch = np.exp(-0.5 * ((down - patch_row) / 0.4) ** 2) * np.exp(
        -0.5 * ((along - patch_column) / 0.3) ** 2
    )
    return 0.75 * edge + 0.25 * patch


def _add_reflection(
    light: NDArray,
    ccd_id: CcdId,
    elapsed: float,
    row: NDArray,
    column: NDArray,
    settings: SimulationSettings,
) -> None:
    center_row, center_column = reflection_position(ccd_id, elapsed, settings)
    sigma = settings.reflection_width / FWHM_PER_SIGMA
    reach = settings.reflection_radius + 6 * sigma
    near_rows = np.abs(row - center_row) <= reach
    near_columns = np.abs(column - center_column) <= reach
    if settings.reflection_level == 0 or sigma == 0 or not (near_rows.any() and near_columns.any()):
        return
    d_row = (row[near_rows] - center_row)[:, None]
    d_column = (column[near_columns] - center_column)[None, :]
    radius = np.hypot(d_row, d_column)
    from_edge = radius - settings.reflection_radius
    shape = np.exp(-0.5 * (from_edge / sigma) ** 2)
    if settings.reflection_shape == "disc":
        inside = DISC_HEIGHT * (1 - 0.5 * (radius / settings.reflection_radius) ** 2)
        shape = np.where(from_edge < 0, np.maximum(shape, inside), shape)
    elif settings.reflection_shape == "arc":
        shape = shape * (np.abs(np.arctan2(d_column, d_row)) < np.pi / 3)
    elif settings.reflection_shape == "plate":
        shape = (from_edge < 0).astype(float)
    light[np.ix_(near_rows, near_columns)] += settings.reflection_level * shape


def _shadow(
    ccd_id: CcdId, index: int, row: NDArray, column: NDArray, settings: SimulationSettings
) -> NDArray | float:
    """Fraction of the scattered light that passes an edge, which crosses the CCD in an episode."""
    if settings.scattered_edge == 0:
        return 1.0
    rng = generator(settings, ccd_id, "shadow", per_ccd=True)
    angle = rng.uniform(0, 2 * np.pi)
    done = (index % settings.scattered_every) / settings.scattered_every
    at = settings.extended_center or (CENTER, CENTER)
    distance = np.cos(angle) * (row - at[0])[:, None] + np.sin(angle) * (column - at[1])[None, :]
    distance = distance - SHADOW_WAY * (done - 0.5)
    return 1 - settings.scattered_edge / (1 + np.exp(-distance / SHADOW_WIDTH))


def extended_light(
    ccd_id: CcdId, row: NDArray, column: NDArray, settings: SimulationSettings
) -> NDArray:
    """Return galaxies, nebulae and unresolved clusters, which never change.

    Parameters
    ----------
    row, column : (n_rows,), (n_columns,) arrays
        Science pixels.

    Returns
    -------
    (n_rows, n_columns) float64 array
        [e-/s per pixel]
    """
    light = np.zeros((len(row), len(column)))
    kind, level, scale = settings.extended_light, settings.extended_level, settings.extended_scale
    if kind == "none" or level == 0:
        return light
    at = settings.extended_center or (CENTER, CENTER)
    d_row, d_column = (row - at[0])[:, None] / scale, (column - at[1])[None, :] / scale
    if kind == "galaxy":
        along, across = 0.8 * d_row + 0.6 * d_column, (0.8 * d_column - 0.6 * d_row) / 0.6
        return level * np.exp(-np.hypot(along, across))
    if kind == "cluster":
        return level / (1 + d_row**2 + d_column**2)
    clouds = _clouds(ccd_id, d_row, d_column, settings)
    if kind == "nebula":
        return level * np.maximum(1 + CLOUD_RMS * clouds, 0.0)
    core = 1 / (1 + (d_row**2 + d_column**2) / 4)
    return level * core * np.exp(1.5 * CLOUD_RMS * clouds)


def _clouds(
    ccd_id: CcdId, d_row: NDArray, d_column: NDArray, settings: SimulationSettings
) -> NDArray:
    """Field of plane waves with wavelengths of 1 to 8 scales, of unit scatter."""
    rng = generator(settings, ccd_id, "clouds", per_ccd=True)
    field = np.zeros(np.broadcast_shapes(d_row.shape, d_column.shape))
    power = 0.0
    for length in np.geomspace(1.0, 8.0, N_WAVES):
        angle, phase = rng.uniform(0, 2 * np.pi, 2)
        wave = 2 * np.pi / length
        field += length * np.cos(wave * (np.cos(angle) * d_row + np.sin(angle) * d_column) + phase)
        power += 0.5 * length**2
    return field / np.sqrt(power)
