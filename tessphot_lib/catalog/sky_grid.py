"""A fixed grid of cells over the sky, in which large lists of stars are fetched.

The cells have nothing to do with any pointing: what was fetched for one sector
serves all others that see the same sky. They lie in bands of declination, are
about as wide as they are high, touch without gap or overlap, and can be cut
into quarters where stars are too many.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.sphere import separation

BAND_HEIGHT = 2.0  # [deg] some 40,000 stars down to Tmag 18 on average in a cell
N_BANDS = round(180.0 / BAND_HEIGHT)
EDGE_POINTS = 17  # points on each edge of a cell, to find how far it reaches
CONE_MARGIN = 0.01  # [deg]


@dataclass(frozen=True, order=True)
class SkyCell:
    """A piece of the sky between two declinations and two right ascensions [deg]."""

    dec_low: float
    dec_high: float
    ra_low: float
    ra_high: float

    def contains(self, ra: NDArray, dec: NDArray) -> NDArray:
        """Return which directions [deg] lie inside: lower limits belong to the cell, and poles."""
        ra = np.asarray(ra) % 360.0
        below = (dec < self.dec_high) | (self.dec_high >= 90.0)
        return (dec >= self.dec_low) & below & (ra >= self.ra_low) & (ra < self.ra_high)

    def cone(self) -> tuple[float, float, float]:
        """Return ra, dec and radius [deg] of a circle that holds the cell."""
        ra = 0.5 * (self.ra_low + self.ra_high)
        dec = 0.5 * (self.dec_low + self.dec_high)
        ra_steps = np.linspace(self.ra_low, self.ra_high, EDGE_POINTS)
        dec_steps = np.linspace(self.dec_low, self.dec_high, EDGE_POINTS)
        edge_ra, edge_dec = np.meshgrid(ra_steps, dec_steps)
        reach = separation(ra, dec, edge_ra, edge_dec).max()
        return ra, dec, float(reach) + CONE_MARGIN

    def quarters(self) -> list[Self]:
        """Cut into four."""
        ra = 0.5 * (self.ra_low + self.ra_high)
        dec = 0.5 * (self.dec_low + self.dec_high)
        return [
            type(self)(dec_low, dec_high, ra_low, ra_high)
            for dec_low, dec_high in ((self.dec_low, dec), (dec, self.dec_high))
            for ra_low, ra_high in ((self.ra_low, ra), (ra, self.ra_high))
        ]


def cells_at(ra: NDArray, dec: NDArray) -> list[SkyCell]:
    """List the cells of the grid that directions [deg] lie in, each once, from south to north."""
    bands = np.clip(np.floor((np.asarray(dec) + 90.0) / BAND_HEIGHT), 0, N_BANDS - 1).astype(int)
    counts = np.array([_cells_in_band(band) for band in range(N_BANDS)])[bands]
    numbers = np.floor(np.asarray(ra) % 360.0 * counts / 360.0).astype(int) % counts
    found = sorted(set(zip(bands.ravel().tolist(), numbers.ravel().tolist(), strict=True)))
    return [_cell(band, number) for band, number in found]


def all_cells() -> list[SkyCell]:
    """List all cells of the grid."""
    return [
        _cell(band, number) for band in range(N_BANDS) for number in range(_cells_in_band(band))
    ]


def _cells_in_band(band: int) -> int:
    """Number of cells that make a band of declination: no wider than high."""
    low, high = -90.0 + band * BAND_HEIGHT, -90.0 + (band + 1) * BAND_HEIGHT
    widest = 1.0 if low < 0.0 < high else max(np.cos(np.deg2rad(low)), np.cos(np.deg2rad(high)))
    return int(np.ceil(360.0 * widest / BAND_HEIGHT))


def _cell(band: int, number: int) -> SkyCell:
    count = _cells_in_band(band)
    return SkyCell(
        dec_low=-90.0 + band * BAND_HEIGHT,
        dec_high=-90.0 + (band + 1) * BAND_HEIGHT,
        ra_low=number * 360.0 / count,
        ra_high=(number + 1) * 360.0 / count,
    )
