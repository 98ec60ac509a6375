"""Directions on the sphere."""

import numpy as np
from numpy.typing import NDArray


def unit_vector(ra: NDArray, dec: NDArray) -> NDArray:
    """Directions as vectors: (..., 3) from right ascension and declination [deg]."""
    ra, dec = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)


def tangent_axes(ra: NDArray, dec: NDArray) -> tuple[NDArray, NDArray]:
    """Unit vectors to the east and to the north at directions [deg], (..., 3) each."""
    ra, dec = np.radians(ra), np.radians(dec)
    east = np.stack([-np.sin(ra), np.cos(ra), np.zeros_like(ra)], axis=-1)
    north = [-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)]
    return east, np.stack(north, axis=-1)


def separation(ra1: NDArray, dec1: NDArray, ra2: NDArray, dec2: NDArray) -> NDArray:
    """Return the angle between directions [deg]; exact for small and for large ones."""
    first, second = _vectors(ra1, dec1), _vectors(ra2, dec2)
    half_chord = 0.5 * np.sqrt(sum((a - b) ** 2 for a, b in zip(first, second, strict=True)))
    return np.rad2deg(2.0 * np.arcsin(np.minimum(half_chord, 1.0)))


def _vectors(ra: NDArray, dec: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    ra, dec = np.deg2rad(ra), np.deg2rad(dec)
    return np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)
