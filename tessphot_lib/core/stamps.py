"""Pixels of an image at, and around, the positions of stars."""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.geometry import Window


def nearest_pixel(position: NDArray) -> NDArray:
    """Pixel that finite positions fall on, int; half-way between two the higher one."""
    return np.floor(np.asarray(position) + 0.5).astype(int)


def values_at(
    image: NDArray, window: Window, row: NDArray, column: NDArray, *, outside: object
) -> NDArray:
    """Values of the pixels that positions fall on.

    Parameters
    ----------
    image : (n_rows, n_columns) array
    window : Window
        The pixels that it covers.
    row, column : (n,) arrays
        [science pixels]
    outside : scalar
        Value of positions off the window, or NaN.

    Returns
    -------
    (n,) array of the type of ``image``
    """
    with np.errstate(invalid="ignore"):
        inside = window.contains(row, column)
    result = np.full(np.shape(row), outside, dtype=image.dtype)
    # Half a pixel less the smallest step may be rounded to the next pixel.
    rows = np.minimum(nearest_pixel(row[inside]), window.row1 - 1) - window.row0
    columns = np.minimum(nearest_pixel(column[inside]), window.column1 - 1) - window.column0
    result[inside] = image[rows, columns]
    return result


def stamp_pixels(
    first_row: NDArray, first_column: NDArray, stamp: tuple[int, int], image: tuple[int, int]
) -> tuple[NDArray, NDArray]:
    """Where the pixels of stamps lie in an image.

    Parameters
    ----------
    first_row, first_column : (n,) int arrays
        First pixel of each stamp, counted from that of the image; may be off it.
    stamp : (n_rows, n_columns)
        Shape of all stamps.
    image : (int, int)
        Shape of the image.

    Returns
    -------
    flat : (n, n_rows, n_columns) int array
        Indices into the flattened image; meaningless where ``inside`` is False.
    inside : (n, n_rows, n_columns) bool array
        True on the image.
    """
    rows = np.asarray(first_row)[:, None] + np.arange(stamp[0])
    columns = np.asarray(first_column)[:, None] + np.arange(stamp[1])
    inside_row = (rows >= 0) & (rows < image[0])
    inside_column = (columns >= 0) & (columns < image[1])
    flat = rows[:, :, None] * image[1] + columns[:, None, :]
    return flat, inside_row[:, :, None] & inside_column[:, None, :]


def cut_stamps(
    image: NDArray,
    first_row: NDArray,
    first_column: NDArray,
    stamp: tuple[int, int],
    number: NDArray | int = 0,
) -> NDArray:
    """Cut stamps out of an image, (n, n_rows, n_columns) float64; NaN off the image.

    Parameters as those of `stamp_pixels`, but

    Parameters
    ----------
    image : (n_rows, n_columns) or (n_images, n_rows, n_columns) array
    number : (n,) int array, optional
        Of several images the one that each stamp is cut out of.
    """
    shape = image.shape[-2], image.shape[-1]
    flat, inside = stamp_pixels(first_row, first_column, stamp, shape)
    flat += np.reshape(number, (-1, 1, 1)) * (shape[0] * shape[1])
    values = image.ravel()[np.where(inside, flat, 0)].astype(np.float64)
    values[~inside] = np.nan
    return values


def add_stamps(image: NDArray, flat: NDArray, inside: NDArray, light: NDArray) -> None:
    """Add stamps to an image, in place, where they lie on it; pixels that overlap sum up.

    Parameters
    ----------
    image : (n_rows, n_columns) float array
        Changed.
    flat, inside : (n, stamp_rows, stamp_columns) arrays
        From `stamp_pixels`.
    light : (n, stamp_rows, stamp_columns) array
    """
    pixels = flat[inside]
    if not pixels.size:
        return
    # Only the rows that are reached, not the whole image again for each group of stars.
    n_columns = image.shape[1]
    first, last = int(pixels.min()) // n_columns, int(pixels.max()) // n_columns + 1
    size = (last - first) * n_columns
    total = np.bincount(pixels - first * n_columns, weights=light[inside], minlength=size)
    image[first:last] += total.reshape(-1, n_columns)
