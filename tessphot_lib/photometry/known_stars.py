"""Known stars around a region, with the light that they are expected to give."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.photometry.average_positions import average_places
from tessphot_lib.photometry.targets import StarList
from tessphot_lib.prf.evaluate import REACH


@dataclass
class KnownStars:
    """Stars around a region, sorted by number; positions as in the average image, (n,) each.

    Attributes
    ----------
    tic_id, tmag : arrays
    row, column : arrays
        [science pixels]
    flux : array
        By the zero point of the PRF [e-/s].
    """

    tic_id: NDArray
    row: NDArray
    column: NDArray
    tmag: NDArray
    flux: NDArray

    @classmethod
    def around(cls, cube: PixelCube, targets: StarList, region: Window) -> Self:
        """Take those from the catalog whose light, wings included, may reach the region."""
        known = targets.neighbors.sort_values("tic_id")
        numbers = known[["row", "column", "tmag"]].to_numpy(dtype=float)
        known = known[np.isfinite(numbers).all(axis=1)]
        known = known[region.contains(known["row"], known["column"], margin=REACH)]
        row, column = average_places(cube, known)
        tmag = known["tmag"].to_numpy(dtype=float)
        flux = flux_of(tmag, targets.prf.zeropoint)
        return cls(known["tic_id"].to_numpy(), row, column, tmag, flux)

    def at(self, index: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Rows, columns and fluxes of some of them."""
        return self.row[index], self.column[index], self.flux[index]

    def index_of(self, tic_id: NDArray, among: NDArray | None = None) -> NDArray:
        """Find stars by their numbers.

        Parameters
        ----------
        tic_id : (n,) int array
        among : (n_chosen,) int array, optional
            Ascending indices of the stars to look at; all of them if left out.

        Returns
        -------
        (n,) int array
            Indices, in ``among`` if that is given.

        Raises
        ------
        InputDataError
            If one of them is not there: without a position, or far from the region.
        """
        numbers = self.tic_id if among is None else self.tic_id[among]
        index = np.searchsorted(numbers, tic_id)
        missing = ~np.isin(tic_id, numbers)
        if missing.any():
            raise InputDataError(
                f"TIC {tic_id[missing][0]}: no such star in the catalog, or none with a position"
            )
        return index

    def near(self, region: Window, margin: float) -> NDArray:
        """Indices of those in a region or at most ``margin`` pixels beside it."""
        return np.flatnonzero(
            (self.row >= region.row0 - margin)
            & (self.row <= region.row1 - 1 + margin)
            & (self.column >= region.column0 - margin)
            & (self.column <= region.column1 - 1 + margin)
        )


def brightest(flux: NDArray, among: NDArray, n_most: int) -> NDArray:
    """Choose the brightest of some stars, ``n_most`` of them at most.

    Parameters
    ----------
    flux : (n_stars,) array
        Finite [e-/s].
    among : (n_stars,) bool array
        Those that may be chosen.
    n_most : int

    Returns
    -------
    (n_stars,) bool array
    """
    chosen = np.flatnonzero(among)
    chosen = chosen[np.argsort(-flux[chosen], kind="stable")[:n_most]]
    return np.isin(np.arange(len(flux)), chosen)
