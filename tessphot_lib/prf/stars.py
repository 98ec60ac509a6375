"""The mean image of a CCD with its catalog, and the stars that its PRF can be seen from."""

from dataclasses import dataclass, replace

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.catalog.possible_magnitudes import possible_magnitudes
from tessphot_lib.catalog.saturation import BLEED_SHARE, FULL_WELL_RATE, TRAIL_END
from tessphot_lib.catalog.sky_mask import sky_mask
from tessphot_lib.core.constants import TMAG_ZEROPOINT
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.isolation import is_isolated
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.core.sky_noise import sky_noise
from tessphot_lib.core.stamps import cut_stamps, nearest_pixel
from tessphot_lib.prf.evaluate import DERIVATIVES
from tessphot_lib.prf.scene import scene_derivatives, wing_image

HALF = 8  # [pixels] stamps of 17 x 17
SEEN_HALF = 3  # [pixels] 7 x 7 pixels of a star must be there
MAX_STARS = 3000
# Unknown stars disturb bright ones less: fainter ones are taken only where there are too few.
BRIGHT_TMAG, ENOUGH_STARS = 11.0, 300
ISOLATION = 5.0  # [pixels] in which no neighbor may be brighter than so many magnitudes less
ISOLATION_TMAG = 2.0
MAX_LIGHT_OFF = 1.0  # [mag] of the light in their middle from the catalog's


@dataclass(frozen=True)
class StarField:
    """The mean image of a CCD and what is known of its stars.

    Attributes
    ----------
    image, noise : (n_rows, n_columns) arrays
        Background-subtracted mean and its 1-sigma error, unknown stars included
        [e-/s]; NaN where there is no pixel, and in the trails of saturated stars.
    window : Window
    row, column, tmag : (n,) arrays
        The catalog; positions as in the mean image [science pixels].
    """

    image: NDArray
    noise: NDArray
    window: Window
    row: NDArray
    column: NDArray
    tmag: NDArray

    @classmethod
    def of_image(
        cls,
        image: NDArray,
        window: Window,
        row: NDArray,
        column: NDArray,
        tmag: NDArray,
        *,
        mask_radius_scale: float,
    ) -> "StarField":
        """Leave out what is full; take the noise from the scatter between the stars.

        Magnitudes that are impossible in this image are replaced.
        """
        tmag = possible_magnitudes(image, window, row, column, tmag)
        with np.errstate(invalid="ignore"):
            full = image > BLEED_SHARE * FULL_WELL_RATE
        image = np.where(scipy.ndimage.binary_dilation(full, structure=TRAIL_END), np.nan, image)
        mask = sky_mask(window, row, column, tmag, radius_scale=mask_radius_scale)
        _, noise = sky_noise(image, ~mask)
        return cls(image, noise, window, row, column, tmag)

    def stars_near_pixels(self, reach: int) -> NDArray:
        """Indices of stars with a pixel of the image at most so many pixels away, (n,) ints."""
        there = np.isfinite(self.image)
        if there.all():
            return np.arange(len(self.row))
        below = np.zeros((there.shape[0] + 1, there.shape[1] + 1), dtype=np.int32)
        np.cumsum(np.cumsum(there, axis=0, dtype=np.int32), axis=1, out=below[1:, 1:])
        known = np.flatnonzero(np.isfinite(self.row) & np.isfinite(self.column))
        low, high = (
            [
                np.clip(nearest_pixel(axis[known]) - first + step, 0, size)
                for axis, first, size in (
                    (self.row, self.window.row0, there.shape[0]),
                    (self.column, self.window.column0, there.shape[1]),
                )
            ]
            for step in (-reach, reach + 1)
        )
        count = below[high[0], high[1]] - below[low[0], high[1]]
        count += below[low[0], low[1]] - below[high[0], low[1]]
        return known[count > 0]

    def on_light_known_to(self, error: NDArray) -> "StarField":
        """Return the field with more noise where stars stand on light that is not known well.

        ``error`` (n_rows, n_columns) [e-/s], as of `background.static_light.static_light_error`.
        """
        return replace(self, noise=np.hypot(self.noise, error))


def choose_prf_stars(
    field: StarField, *, bright_limit: float, faint_limit: float, max_stars: int = MAX_STARS
) -> NDArray:
    """Choose isolated stars, the brightest first, with all pixels in their middle.

    Stars beside brighter ones that the catalog lacks show by the light in their middle.
    Those fainter than `BRIGHT_TMAG` are chosen until there are `ENOUGH_STARS`.

    Returns
    -------
    (n_chosen,) int array
        Indices into the catalog.
    """
    row, column, tmag, window = field.row, field.column, field.tmag, field.window
    with np.errstate(invalid="ignore"):
        candidates = (tmag >= bright_limit) & (tmag <= faint_limit)
        candidates &= (row >= window.row0 + SEEN_HALF) & (row <= window.row1 - 1 - SEEN_HALF)
        candidates &= column >= window.column0 + SEEN_HALF
        candidates &= column <= window.column1 - 1 - SEEN_HALF
    candidates = np.flatnonzero(candidates)
    if candidates.size == 0:
        return candidates
    limits = {"radius": ISOLATION, "tmag_difference": ISOLATION_TMAG}
    candidates = candidates[is_isolated(row, column, tmag, candidates, **limits)]
    candidates = candidates[np.argsort(tmag[candidates], kind="stable")]
    middle = slice(HALF - SEEN_HALF, HALF + SEEN_HALF + 1)
    light = stamps_of(field.image, field, candidates)[:, middle, middle].sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        off = tmag[candidates] - TMAG_ZEROPOINT + 2.5 * np.log10(light)
        chosen = candidates[np.abs(off) <= MAX_LIGHT_OFF]
    n_bright = int((tmag[chosen] <= BRIGHT_TMAG).sum())
    return chosen[: min(max(n_bright, ENOUGH_STARS), max_stars)]


def corners(field: StarField, stars: NDArray) -> tuple[NDArray, NDArray]:
    """Return the first row and column of the stamp of each star, (n,) ints [science pixels].

    ``stars`` are indices into the catalog, (n,); their positions must be finite.
    """
    return nearest_pixel(field.row[stars]) - HALF, nearest_pixel(field.column[stars]) - HALF


def stamps_of(image: NDArray, field: StarField, stars: NDArray) -> NDArray:
    """Cut the pixels around stars out of an image of the window, (n, 17, 17); NaN off it.

    ``stars`` are indices into the catalog, (n,); their positions must be finite.
    """
    first_row, first_column = corners(field, stars)
    first = first_row - field.window.row0, first_column - field.window.column0
    return cut_stamps(image, *first, (2 * HALF + 1, 2 * HALF + 1))


def draw_cores(prf: Prf, field: StarField, flux: NDArray) -> NDArray:
    """Light of the cores of all stars with fluxes (n,), (n_rows, n_columns) [e-/s].

    Where there are pixels: of a field that is known in patches only, few stars reach any.
    """
    seen = field.stars_near_pixels(int(np.ceil(prf.half_size)))
    stars = field.row[seen], field.column[seen], flux[seen]
    orders = DERIVATIVES[:1]
    return scene_derivatives(prf, field.window, *stars, orders=orders, with_wings=False)[0]


def draw_stars(prf: Prf, field: StarField, flux: NDArray) -> NDArray:
    """`draw_cores` and the wings of all stars."""
    wings = wing_image(prf, field.window, field.row, field.column, flux)
    return draw_cores(prf, field, flux) + wings
