"""What the average image says of the list of stars: their light, their positions, and who lacks.

The light of all listed stars is fitted together with the positions of those that are bright
enough; what then stands out of the residual (`tessphot_lib.prf.sources`) is a source that the
list lacks, and is fitted, too.

The PRF errs by a fraction of each star's light: this error adds to that of the pixels, and
hides what is faint beside what is bright.
"""

from dataclasses import dataclass, fields

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.core.stamps import nearest_pixel, values_at
from tessphot_lib.prf.census_light import (
    CONFUSION,
    Matrix,
    StarLight,
    largest_shared,
    light_of_stars,
    side_by_side,
    solve,
)
from tessphot_lib.prf.evaluate import DERIVATIVES, prf_stamps
from tessphot_lib.prf.scene import wing_image
from tessphot_lib.prf.sources import find_sources

FLUX_PRIOR = 0.5  # of a star's flux: 1-sigma error that the list is trusted to
POSITION_PRIOR = 0.3  # [pixels]
SKY_PRIOR = 10.0  # [e-/s per pixel] that the level of a window may be off
FIXED = 1e-3  # [e-/s per pixel] of a level that is known
DARK = 0.25  # of the pixels without the stars are as dark as a level above that
MAX_STEP, MAX_OFFSET = 0.4, 0.65  # [pixels] of a star in one round, and from the list's position
POSITION_SNR = 10.0  # signal to noise of stars whose positions are fitted
N_ROUNDS = 3  # of fluxes and positions, before and after each search
N_SEARCHES = 2
MIN_SNR = 7.0  # of a source in the residual, and in the fit with all stars
MIN_DISTANCE = 0.8  # [pixels] from a star to a source: nearer ones are the star itself ...
OTHER_OFFSET = 0.4  # [pixels] ... unless they are both as far
OTHER_RATIO = 2.5  # and this many times brighter
AT_EDGE = 10.0  # times the light that is seen may be that of a star beside missing pixels
PRF_CORRELATION = 2.0  # errors of the PRF in neighboring pixels are alike, and add up

# A listed star may stand so far from its entry [pixels], if it is about as bright [mag].
RELOCATION, RELOCATION_TMAG = 3.0, 0.75
LOST_FRACTION, LOST_SNR = 0.3, 10.0  # of a star's expected flux, that its position shows at most

N_ARRAYS = 15  # of a `Census`, one entry for each star


@dataclass
class Census:
    """Stars of a list, then the sources that it lacks; (n_stars,) arrays.

    Attributes
    ----------
    given_row, given_column, given_flux
        Of the list: positions in the average image [science pixels], expected flux [e-/s]; those
        of the search for sources.
    start_row, start_column
        Where the position is looked for: as given, or where a star stands that has no entry.
    row, column, flux
        Fitted; the position as given where there is too little light for it.
    flux_err
        Error of the flux, that of the PRF and what stars close to each other share included.
    seen_err, alone_err
        The same without what the PRF errs by in the star's own light, which says nothing about
        whether there is one; the second also without what it shares.
    moves
        Whether the position is fitted, bool.
    is_other
        Whether light close by is another, brighter star's, bool.
    most
        Flux if all that the pixels about the position show over those around were the star's;
        much more where not all of the 3 x 3 pixels are there, infinite where the middle is not.
    is_whole
        Whether all of the 5 x 5 pixels about the position are there, bool.
    n_listed
        How many of the stars are of the list.
    level
        Of the image without stars [e-/s per pixel].
    """

    given_row: NDArray
    given_column: NDArray
    given_flux: NDArray
    start_row: NDArray
    start_column: NDArray
    row: NDArray
    column: NDArray
    flux: NDArray
    flux_err: NDArray
    seen_err: NDArray
    alone_err: NDArray
    moves: NDArray
    is_other: NDArray
    most: NDArray
    is_whole: NDArray
    n_listed: int = 0
    level: float = 0.0

    @classmethod
    def of(cls, row: NDArray, column: NDArray, flux: NDArray) -> "Census":
        """Begin with positions and fluxes as they are given."""
        given = [np.array(values, dtype=float) for values in (row, column, flux)]
        start = [values.copy() for values in (*given[:2], *given)]
        flags = [np.zeros(len(row), dtype=bool) for _ in range(3)]
        errors = [np.full(len(row), np.inf) for _ in range(4)]
        return cls(*given, *start, *errors[:3], *flags[:2], errors[3], flags[2], len(row))

    @property
    def offset(self) -> NDArray:
        """Distance from where the position is looked for [pixels]."""
        return np.hypot(self.row - self.start_row, self.column - self.start_column)

    def with_sources(self, row: NDArray, column: NDArray, flux: NDArray) -> "Census":
        """Add sources that the list lacks."""
        new = Census.of(row, column, flux)
        joined = [
            np.concatenate([getattr(self, one.name), getattr(new, one.name)])
            for one in fields(self)[:N_ARRAYS]
        ]
        return Census(*joined, self.n_listed, self.level)

    def take(self, which: NDArray) -> "Census":
        """Keep some of the stars, all of the list among them."""
        kept = [getattr(self, one.name)[which] for one in fields(self)[:N_ARRAYS]]
        return Census(*kept, self.n_listed, self.level)


def take_census(
    prf: Prf,
    window: Window,
    image: NDArray,
    noise: NDArray,
    row: NDArray,
    column: NDArray,
    flux: NDArray,
) -> Census:
    """Compare a list of stars with the average image.

    Parameters
    ----------
    prf : Prf
    window : Window
    image, noise : (n_rows, n_columns) arrays
        Average image and its error [e-/s]; NaN where there is no pixel or it is full.
    row, column, flux : (n_stars,) arrays
        Listed stars in and around the window: positions in the average image
        [science pixels] and expected fluxes [e-/s]; all finite.

    Returns
    -------
    Census
        Of the listed stars in their order, then of sources that the list lacks.
    """
    usable = np.isfinite(image) & np.isfinite(noise)
    image = np.where(usable, image, np.nan)
    noise = np.hypot(np.where(usable, noise, np.nan), CONFUSION)
    stars = Census.of(row, column, flux)
    _look_at_pixels(prf, window, image, noise, stars)
    # No star can give more light than its pixels have: a magnitude may be far too bright.
    stars.flux = np.minimum(stars.flux, stars.most + 1e-6)
    left = _fit(prf, window, image, noise, stars)
    if _set_others(stars):
        left = _fit(prf, window, image, noise, stars)
    if _relocate(prf, window, image, noise, stars):
        left = _fit(prf, window, image, noise, stars)
    for _ in range(N_SEARCHES):
        found = _new_sources(prf, window, left, noise, stars)
        if not len(found[0]):
            break
        stars = stars.with_sources(*found)
        left = _fit(prf, window, image, noise, stars)
        is_clear = stars.flux > MIN_SNR * stars.seen_err
        is_clear[: stars.n_listed] = True
        if not is_clear.all():
            stars = stars.take(is_clear)
            left = _fit(prf, window, image, noise, stars)
    return stars


def _look_at_pixels(
    prf: Prf, window: Window, image: NDArray, noise: NDArray, stars: Census
) -> None:
    """Set the most light that each star can have, and whether its pixels are there."""
    highest = scipy.ndimage.maximum_filter(np.nan_to_num(image + 3 * noise, nan=-np.inf), 3)
    lowest = scipy.ndimage.minimum_filter(np.nan_to_num(image, nan=np.inf), 7)
    is_whole = scipy.ndimage.minimum_filter(np.isfinite(image).astype(int), 5, mode="constant") == 1
    at = window, stars.row, stars.column
    stars.is_whole = values_at(is_whole, *at, outside=False)
    is_there = scipy.ndimage.minimum_filter(np.isfinite(image).astype(int), 3, mode="constant") == 1
    contrast = np.maximum(values_at(highest - lowest, *at, outside=np.inf), 0.0)
    corner = nearest_pixel(stars.row) - 1, nearest_pixel(stars.column) - 1
    peak = prf_stamps(prf, stars.row, stars.column, *corner, (3, 3)).max(axis=(1, 2))
    # Beside missing pixels the brightest one may be among these: only nonsense is limited.
    there = values_at(is_there, *at, outside=False)
    beside = np.isfinite(values_at(image, *at, outside=np.nan))
    most = contrast / peak
    stars.most = np.where(there, most, np.where(beside, AT_EDGE * most, np.inf))


def _set_others(stars: Census) -> bool:
    """Give light that is too far from a star, or too bright and far, back: it is another's."""
    ratio = stars.flux / stars.given_flux
    other = stars.offset > 0.99 * MAX_OFFSET
    other |= (stars.offset > OTHER_OFFSET) & (ratio > OTHER_RATIO)
    stars.is_other |= other
    for name in ("row", "column"):
        getattr(stars, name)[other] = getattr(stars, f"start_{name}")[other]
    stars.flux[other] = stars.given_flux[other]
    stars.flux[other] = np.minimum(stars.flux, stars.most)[other]
    return bool(other.any())


def _relocate(prf: Prf, window: Window, image: NDArray, noise: NDArray, stars: Census) -> bool:
    """Look for stars whose light is not at their position, or is too far from it.

    Without them the image shows sources: one that is as bright, near one entry only, and alone
    near it, is the star. Whether there are any.
    """
    expected = stars.given_flux > LOST_SNR * stars.alone_err
    lost = expected & _is_inside(window, stars)
    lost &= stars.is_other | (stars.flux < LOST_FRACTION * stars.given_flux)
    if not lost.any():
        return False
    rest = stars.take(~lost)
    left = _fit(prf, window, image, noise, rest)
    row, column, flux = _new_sources(prf, window, left, noise, rest)
    numbers = np.flatnonzero(lost)
    distance = np.hypot(
        row - stars.given_row[lost][:, None], column - stars.given_column[lost][:, None]
    )
    off = np.abs(2.5 * np.log10(flux / stars.given_flux[lost][:, None]))
    near = distance < RELOCATION
    pairs = near & (near.sum(axis=0) == 1) & (near.sum(axis=1) == 1)[:, None]
    found, source = np.nonzero(pairs & (off < RELOCATION_TMAG))
    moved = numbers[found]
    for name, values in (("row", row), ("column", column)):
        getattr(stars, f"start_{name}")[moved] = getattr(stars, name)[moved] = values[source]
    stars.flux[moved] = flux[source]
    stars.is_other[moved] = False
    return bool(len(moved))


def _fit(
    prf: Prf, window: Window, image: NDArray, noise: NDArray, stars: Census
) -> tuple[NDArray, NDArray]:
    """Fit fluxes and positions of all stars, which are changed.

    Returns what is left, and how wrong the light of all stars may be, (n_rows, n_columns) each.
    """
    usable = np.isfinite(image)
    for _ in range(N_ROUNDS):
        light, left = _left(prf, window, image, stars, DERIVATIVES[:3])
        variance = np.where(usable, noise, 1.0) ** 2 + light.error**2
        weights = np.where(usable, 1 / variance, 0.0).ravel()
        snr = stars.flux * np.sqrt((light.matrices[0] ** 2).T @ weights)
        stars.moves = (snr > POSITION_SNR) & ~stars.is_other & _is_inside(window, stars)
        dark = (left + noise.ravel())[usable.ravel()]
        highest = stars.level + float(np.quantile(dark, DARK)) if dark.size else np.inf
        highest = max(highest, SKY_PRIOR)
        _improve(light.matrices, weights, np.nan_to_num(left), stars, highest)
    light, left = _left(prf, window, image, stars, DERIVATIVES[:1])
    _set_errors(light, noise, stars)
    return left.reshape(window.shape), light.error


def _left(
    prf: Prf, window: Window, image: NDArray, stars: Census, orders: tuple
) -> tuple[StarLight, NDArray]:
    """Light of the stars as they are, and what they leave of the image, (n_pixels,)."""
    at = stars.row, stars.column, stars.flux
    light = light_of_stars(prf, window, *at, orders)
    wings = wing_image(prf, window, *at) if len(prf.wing_share) else 0.0
    return light, (image - wings - stars.level).ravel() - light.matrices[0] @ stars.flux


def _is_inside(window: Window, stars: Census) -> NDArray:
    """Stars all of whose 3 x 3 pixels are in the window; positions of others are not fitted."""
    inside = (stars.row >= window.row0 + 1) & (stars.row <= window.row1 - 2)
    return inside & (stars.column >= window.column0 + 1) & (stars.column <= window.column1 - 2)


def _improve(
    matrices: tuple[Matrix, ...], weights: NDArray, left: NDArray, stars: Census, highest: float
) -> None:
    """One step of all fluxes together, of the positions of some stars, and of the level.

    The level is ``highest`` at most: light of stars that the list lacks is no sky.
    """
    n_stars, moving = len(stars.flux), np.flatnonzero(stars.moves)
    columns = [matrices[0]]
    columns += [matrices[k][:, moving] * stars.flux[moving] for k in (1, 2)]
    full = side_by_side([*columns, np.ones((len(left), 1))])
    weighted = full.T * weights
    sigma = FLUX_PRIOR * np.clip(stars.given_flux, 1.0, 10 * np.maximum(stars.flux, 1.0))
    positions = np.full(2 * len(moving), POSITION_PRIOR)
    prior = 1 / np.concatenate([sigma, positions, [SKY_PRIOR]]) ** 2
    from_prior = np.concatenate(
        [
            np.where(stars.is_other, stars.flux - stars.given_flux, 0.0),
            (stars.row - stars.start_row)[moving],
            (stars.column - stars.start_column)[moving],
            [stars.level],
        ]
    )
    normal, right = weighted @ full, weighted @ left
    change = solve(normal, prior, right - prior * from_prior)
    if stars.level + change[-1] > highest:
        prior[-1], from_prior[-1] = 1 / FIXED**2, stars.level - highest
        change = solve(normal, prior, right - prior * from_prior)
    stars.flux = np.maximum(stars.flux + change[:n_stars], 1e-6)
    stars.level += float(change[-1])
    for name, step in zip(("row", "column"), np.split(change[n_stars:-1], 2), strict=True):
        values, given = getattr(stars, name), getattr(stars, f"start_{name}")[moving]
        moved = values[moving] + np.clip(step, -MAX_STEP, MAX_STEP)
        values[moving] = np.clip(moved, given - MAX_OFFSET, given + MAX_OFFSET)


def _set_errors(light: StarLight, noise: NDArray, stars: Census) -> None:
    """Errors of the fluxes: of the pixels, of the PRF, and what neighbors share."""
    matrix = light.matrices[0]
    weighted = matrix.T * np.nan_to_num(1 / noise**2).ravel()
    normal = weighted @ matrix
    diagonal = np.maximum(normal.diagonal(), 1e-30)
    free = np.maximum(1 - largest_shared(normal, diagonal), 1e-4)
    squares = weighted**2
    of_prf = PRF_CORRELATION**2 * (squares @ light.error.ravel() ** 2) / diagonal**2
    own = np.asarray((squares * light.own_error.T**2).sum(axis=1)).ravel()
    own = PRF_CORRELATION**2 * own / diagonal**2
    alone = 1 / diagonal + np.maximum(of_prf - own, 0.0)
    stars.flux_err = np.sqrt((1 / diagonal + of_prf) / free)
    stars.seen_err, stars.alone_err = np.sqrt(alone / free), np.sqrt(alone)


def _new_sources(
    prf: Prf,
    window: Window,
    left: tuple[NDArray, NDArray],
    noise: NDArray,
    stars: Census,
) -> tuple[NDArray, NDArray, NDArray]:
    """Rows, columns and fluxes of sources that are none of the stars, in what `_fit` left."""
    residual, of_prf = left
    error = np.hypot(noise, PRF_CORRELATION * of_prf)
    row, column, flux = find_sources(prf, window, residual, error, min_snr=MIN_SNR)
    distance = np.hypot(row[:, None] - stars.row, column[:, None] - stars.column)
    allowed = np.where(stars.is_other, OTHER_OFFSET, MIN_DISTANCE)
    new = (distance > allowed).all(axis=1)
    return row[new], column[new], flux[new]
