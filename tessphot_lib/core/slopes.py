"""How steep and how curved the light in an image is, from its pixels."""

import numpy as np
from numpy.typing import NDArray

SLOPE_REACH = 2  # [pixels] on each side of one that its slopes are from


def image_slopes(image: NDArray) -> NDArray:
    """Derivatives of an image by row and column.

    Parameters
    ----------
    image : (n_rows, n_columns) array

    Returns
    -------
    (2, n_rows, n_columns) float64 array
        In units of the image per pixel: of fourth order where two pixels on each side are
        known (of the narrow images of stars those of second order miss a sixth), else of
        second, at edges of first; 0 where there is nothing to compare with.
    """
    slopes = np.zeros((2, *image.shape))
    for axis in (0, 1):
        values = np.moveaxis(image.astype(float), axis, 0)
        if len(values) < 2:
            continue
        result = np.moveaxis(slopes[axis], axis, 0)
        steps = values[1:] - values[:-1]
        _fill(result[:-1], steps)  # one-sided, from either side
        _fill(result[1:], steps)
        _fill(result[1:-1], (steps[1:] + steps[:-1]) / 2)
        if len(values) > 4:
            near, far = values[3:-1] - values[1:-3], values[4:] - values[:-4]
            _fill(result[2:-2], (8 * near - far) / 12)
    return slopes


def image_curvatures(image: NDArray) -> NDArray:
    """What a slightly wider image has more than an image, by row, both, and column.

    Parameters
    ----------
    image : (n_rows, n_columns) array

    Returns
    -------
    (3, n_rows, n_columns) float64 array
        Half the second derivative by row, the mixed one, and half that by column [in units of
        the image per pixel**2]: times variances and covariance of a blur they are what it
        changes. Of fourth order where two pixels on each side are known, else of second, the
        mixed one also from one side by column; 0 beside pixels that are not known.
    """
    curvatures = np.zeros((3, *image.shape))
    for axis in (0, 1):
        values = np.moveaxis(image.astype(float), axis, 0)
        if len(values) < 3:
            continue
        result = np.moveaxis(curvatures[2 * axis], axis, 0)
        near = values[2:] - 2 * values[1:-1] + values[:-2]
        _fill(result[1:-1], near / 2)
        if len(values) > 4:
            far = values[4:] - 2 * values[2:-2] + values[:-4]
            _fill(result[2:-2], (16 * near[1:-1] - far) / 24)
    # Slopes from one side, or of 0 for want of pixels, differ from those beside them by much.
    known = np.isfinite(image)
    by_row = np.full(image.shape, np.nan)
    by_row[1:-1] = np.where(known[2:] & known[:-2], image_slopes(image)[0, 1:-1], np.nan)
    curvatures[1] = np.where(np.isfinite(by_row), image_slopes(by_row)[1], 0.0)
    return curvatures


def _fill(result: NDArray, better: NDArray) -> None:
    """Put in what is known, in place."""
    np.copyto(result, better, where=np.isfinite(better))
