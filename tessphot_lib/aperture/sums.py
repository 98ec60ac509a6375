"""Aperture photometry of many stars at once: sums of pixels as sparse matrix products.

A matrix of shape (n_stars, n_pixels) has a one where a pixel is in a star's
aperture (or any weight); its product with the pixels of some images is their flux. Every sum
runs over a star's pixels in the order of the CCD, row by row, whatever else is
measured with it, so that the result does not depend on the tile.
"""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.flags import PixelFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.lightcurve import StarFluxes


@dataclass(frozen=True)
class ApertureMatrix:
    """Which pixels of a region are summed for which star.

    Attributes
    ----------
    region : Window
    used : (n_used,) int array
        Flat indices of the region's pixels that are in any aperture.
    row, column : (n_used,) float arrays
        Their positions [science pixels].
    weights : (n_stars, n_used) sparse float64 matrix
    """

    region: Window
    used: NDArray
    row: NDArray
    column: NDArray
    weights: "scipy.sparse.csr_array"

    @classmethod
    def over(cls, region: Window, apertures: list[Aperture]) -> "ApertureMatrix":
        """Build the matrix of apertures that all lie in ``region``.

        Raises
        ------
        ValueError
            If an aperture leaves the region.
        """
        masks = [aperture.mask.astype(np.float64) for aperture in apertures]
        return cls.weighted(region, [aperture.window for aperture in apertures], masks)

    @classmethod
    def weighted(
        cls, region: Window, windows: list[Window], weights: list[NDArray]
    ) -> "ApertureMatrix":
        """Build the matrix of sums of pixels with any weights.

        Parameters
        ----------
        region : Window
        windows : list of Window
            The pixels that each array of ``weights`` is of.
        weights : list of (n_rows, n_columns) arrays
            Pixels with a weight of 0 are not used.

        Raises
        ------
        ValueError
            If a pixel that is used lies outside the region.
        """
        n_columns = region.shape[1]
        indices, values = [], []
        for window, one in zip(windows, weights, strict=True):
            row, column = np.nonzero(one)
            values.append(one[row, column])
            row, column = row + window.row0, column + window.column0
            if row.size and not region.contains(row, column).all():
                raise ValueError(f"an aperture leaves the region {region.as_list()}")
            indices.append((row - region.row0) * n_columns + column - region.column0)
        lengths = np.array([len(index) for index in indices], dtype=np.int64)
        flat = np.concatenate(indices) if indices else np.zeros(0, dtype=np.int64)
        used, position = np.unique(flat, return_inverse=True)
        pointers = np.concatenate([[0], np.cumsum(lengths)])
        values_of_all = np.concatenate(values) if values else np.zeros(0)
        matrix = scipy.sparse.csr_array(
            (values_of_all, position, pointers), shape=(len(windows), len(used))
        )
        row, column = np.divmod(used, n_columns)
        return cls(region, used, row + float(region.row0), column + float(region.column0), matrix)


def sum_apertures(
    flux: NDArray,
    flux_err: NDArray,
    background: NDArray,
    pixel_flags: NDArray,
    matrix: ApertureMatrix,
) -> StarFluxes:
    """Measure all stars of a region in some images.

    Parameters
    ----------
    flux, flux_err : (n_cadences, n_rows, n_columns) arrays
        Pixels of the region, sky included, and their errors [e-/s].
    background : (n_cadences, n_rows, n_columns) array
        What is to be subtracted [e-/s per pixel].
    pixel_flags : (n_cadences, n_rows, n_columns) uint8 array
    matrix : ApertureMatrix

    Returns
    -------
    StarFluxes
        The errors are the pixels' own. NaN where a pixel of the aperture is missing, centroids
        (first moments) also where the flux is not positive. A star without pixels has zero
        flux and error and NaN centroids.
    """
    cubes = flux, flux_err, background, pixel_flags
    return sum_pixels(*(one.reshape(len(one), -1).T[matrix.used] for one in cubes), matrix)


def sum_pixels(
    flux: NDArray,
    flux_err: NDArray,
    background: NDArray,
    pixel_flags: NDArray,
    matrix: ApertureMatrix,
) -> StarFluxes:
    """As `sum_apertures`, of the used pixels alone: (n_used, n_cadences) arrays.

    The images of a pixel lie beside each other: many images of a few pixels fit the cache.
    """
    weights = matrix.weights
    light = flux - background.astype(np.float64, copy=False)
    variance = np.square(flux_err, dtype=np.float64)
    total = weights @ light
    with np.errstate(invalid="ignore", divide="ignore"):
        positive = np.where(total > 0, total, np.nan)
        centroid_row, centroid_column = (
            (_scaled(weights, at) @ light) / positive for at in (matrix.row, matrix.column)
        )
    return StarFluxes(
        flux=total,
        flux_err=np.sqrt(weights.power(2) @ variance),
        background=weights @ background,
        centroid_row=centroid_row,
        centroid_column=centroid_column,
        pixel_flags=_any_flags(pixel_flags, matrix),
    )


def _scaled(weights: "scipy.sparse.csr_array", factor: NDArray) -> "scipy.sparse.csr_array":
    """Multiply the columns of a matrix by factors (n_used,)."""
    values = weights.data * factor[weights.indices]
    return scipy.sparse.csr_array((values, weights.indices, weights.indptr), shape=weights.shape)


def _any_flags(pixel_flags: NDArray, matrix: ApertureMatrix) -> NDArray:
    """Bits that any pixel of each aperture has, (n_stars, n_cadences) uint8."""
    result = np.zeros((matrix.weights.shape[0], pixel_flags.shape[1]), dtype=np.uint8)
    if not pixel_flags.any():
        return result
    for flag in PixelFlag:
        has_bit = (pixel_flags & int(flag)) != 0
        if has_bit.any():
            hit = (matrix.weights @ has_bit.astype(np.float64)) > 0
            result[hit] |= np.uint8(flag)
    return result
