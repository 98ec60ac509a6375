"""The motion of images as the files of some stars state it: POS_CORR of target pixel files.

Which motion is better, that or the one measured from the stars, is told by the stars
themselves: around the better one their positions scatter less.
"""

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.affine import affine_design, displacement
from tessphot_lib.core.constants import MAD_TO_SIGMA
from tessphot_lib.core.medians import medians_of_known

SMALLEST_GRADIENT = 0.01  # prior of gradients: few files, or close ones, give a translation only
CLEARLY = 0.99  # of the scatter around the other motion: nothing is exchanged for nothing
MIN_IMAGES = 20  # that both motions must have


class StatedMotion:
    """Affine motion of each image, from what files state of the stars that they are of.

    Only sums are kept, so that memory does not grow with the number of files.

    Parameters
    ----------
    n_images : int
    """

    def __init__(self, n_images: int) -> None:
        self._normal = np.zeros((n_images, 3, 3))
        self._right = np.zeros((n_images, 3, 2))

    def add(
        self, row: float, column: float, images: NDArray | slice, d_row: NDArray, d_column: NDArray
    ) -> None:
        """Add what a file states of its star.

        Parameters
        ----------
        row, column : float
            Where the star is [science pixels].
        images : (n,) int array, or slice
            Numbers of the images, none of them twice.
        d_row, d_column : (n,) arrays
            Displacement in these images [pixels]; NaN where it is not known.
        """
        known = np.isfinite(d_row) & np.isfinite(d_column)
        terms = affine_design(np.array([row]), np.array([column]))[0]
        if not known.all():
            images = np.arange(len(self._normal))[images][known]
        both = np.column_stack([d_row[known], d_column[known]])
        self._normal[images] += np.outer(terms, terms)
        self._right[images] += terms[:, None] * both[:, None, :]

    def motion(self) -> NDArray:
        """Return the motion of each image, (n_images, 6); NaN where no file states any.

        Gradients are as small as the files allow: one file gives a translation.
        """
        known = self._normal[:, 0, 0] > 0
        motion = np.full((len(known), 6), np.nan)
        prior = SMALLEST_GRADIENT * np.diag([0.0, 1.0, 1.0])
        solved = np.linalg.solve(self._normal[known] + prior, self._right[known])
        motion[known] = solved.transpose(0, 2, 1).reshape(-1, 6)
        return motion


def scatter_around(
    measured_row: NDArray,
    measured_column: NDArray,
    row: NDArray,
    column: NDArray,
    motion: NDArray,
    own: tuple[NDArray, NDArray] | None = None,
) -> NDArray:
    """Scatter of the positions of stars around a motion.

    Parameters
    ----------
    measured_row, measured_column : (n_images, n_stars) arrays
        Against any fixed position of each star [pixels]; NaN where it was not found.
    row, column : (n_stars,) arrays
        [science pixels]
    motion : (n_images, 6) array
    own : (d_row, d_column), optional
        What each star contributes to the motion by itself, see
        `tessphot_lib.motion.own_influence`: without it, a motion that is measured from the
        stars would be closer to them than it is to the truth.

    Returns
    -------
    (n_stars,) float64 array
        Robust, of both axes together [pixels]; NaN for stars that are never found.
    """
    off = []
    moved = displacement(motion, row, column)
    for axis, measured in enumerate((measured_row, measured_column)):
        rest = measured - moved[axis] + (0.0 if own is None else own[axis])
        off.append(rest - medians_of_known(rest))
    return MAD_TO_SIGMA * np.hypot(*(medians_of_known(np.abs(one)) for one in off))


def is_better(scatter: NDArray, other: NDArray) -> bool:
    """Return whether stars scatter clearly less around a motion than around another one.

    Parameters
    ----------
    scatter, other : (n_stars,) arrays
        From `scatter_around`; stars without both do not count.

    Returns
    -------
    bool
        False without stars.
    """
    known = np.isfinite(scatter) & np.isfinite(other) & (other > 0)
    return bool(known.any() and np.median(scatter[known] / other[known]) < CLEARLY)
