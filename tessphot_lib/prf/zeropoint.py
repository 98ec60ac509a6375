"""The zero point of a CCD: Tmag of a star whose whole light is 1 e-/s, from its stars.

The PRF is fitted to isolated stars of the average image, each with its flux, a small offset
from its position and the level around it; a star of Tmag m and flux F gives ``m + 2.5 log10 F``.
Stars that the catalog lacks make single stars too bright: the median counts, and stars far from
it don't. A few stars say little: the mission's zero point counts, too, as good to 0.1 mag.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import ROUNDED_MAD_TO_SIGMA, TMAG_ZEROPOINT, ZEROPOINT_ERROR
from tessphot_lib.core.isolation import is_isolated
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.prf.evaluate import prf_derivatives
from tessphot_lib.prf.stars import HALF, StarField, corners, draw_stars, stamps_of

ISOLATION = 4.0  # [pixels] in which no neighbor may be brighter than so many magnitudes less
ISOLATION_TMAG = 1.0
BRIGHT_TMAG, ENOUGH_STARS, MAX_STARS = 12.0, 12, 300
REACH = 3  # [pixels] 7 x 7 are fitted
MIN_PIXELS = 20
MODEL_ERROR = 0.02  # of a pixel's light
MAX_OFFSET = 0.5  # [pixels]
N_ROUNDS = 3
CLIP = 3.0  # [sigma] of the stars
MIN_SCATTER, FEW_SCATTER, FEW = 0.03, 0.15, 5  # [mag] of stars; of fewer than FEW, who can't tell
MEDIAN_ERROR = 1.2533  # of a median, in units of that of the mean
# [mag] by which light beyond the fitted pixels, as the PRF has it, may be wrong.
SHAPE_ERROR = {"generic": 0.03, "spoc": 0.02, "data": 0.003}
PRIOR_ERROR = 0.1  # [mag] the mission's zero point counts as a measurement that good


@dataclass(frozen=True)
class ZeroPoint:
    """A zero point and how it is known.

    Attributes
    ----------
    value, error : float
        [mag]
    n_stars : int
        That it is measured from; 0: assumed.
    """

    value: float
    error: float
    n_stars: int


def choose_zeropoint_stars(field: StarField, *, bright_limit: float, faint_limit: float) -> NDArray:
    """Choose stars whose core is there, and that outshine their neighbors.

    Those fainter than `BRIGHT_TMAG`, to which unknown neighbors matter, are chosen until
    there are `ENOUGH_STARS`.

    Returns
    -------
    (n_chosen,) int array
        Indices into the catalog, the brightest first.
    """
    row, column, tmag = field.row, field.column, field.tmag
    with np.errstate(invalid="ignore"):
        usable = (tmag >= bright_limit) & (tmag <= faint_limit)
        usable &= field.window.contains(row, column)
    chosen = np.flatnonzero(usable)
    if not chosen.size:
        return chosen
    limits = {"radius": ISOLATION, "tmag_difference": ISOLATION_TMAG}
    chosen = chosen[is_isolated(row, column, tmag, chosen, **limits)]
    core = slice(HALF - 1, HALF + 2)
    there = np.isfinite(stamps_of(field.image, field, chosen)[:, core, core]).all(axis=(1, 2))
    chosen = chosen[there][np.argsort(tmag[chosen[there]], kind="stable")]
    n_bright = int((tmag[chosen] <= BRIGHT_TMAG).sum())
    return chosen[: min(max(n_bright, ENOUGH_STARS), MAX_STARS)]


def with_zeropoint(prf: Prf, field: StarField, stars: NDArray) -> Prf:
    """Give a PRF the zero point that stars show, with its error.

    Parameters
    ----------
    prf : Prf
        If it was fitted to the stars, its own zero point is kept.
    field : StarField
    stars : (n_chosen,) int array
        From `choose_zeropoint_stars`.
    """
    kind = prf.source.split(":")[0]
    found = measure_zeropoint(prf, field, stars, shape_error=SHAPE_ERROR.get(kind, 0.03))
    if kind == "data":
        found = replace(found, value=prf.zeropoint)
    return replace(
        prf,
        zeropoint=found.value,
        zeropoint_error=found.error,
        zeropoint_stars=found.n_stars,
    )


def measure_zeropoint(
    prf: Prf, field: StarField, stars: NDArray, *, shape_error: float
) -> ZeroPoint:
    """Measure the zero point from isolated stars.

    Parameters
    ----------
    prf : Prf
    field : StarField
    stars : (n_chosen,) int array
        Indices of isolated stars.
    shape_error : float
        [mag] by which the PRF may be wrong.

    Returns
    -------
    ZeroPoint
        The mission's, assumed, where no star tells.
    """
    assumed = ZeroPoint(TMAG_ZEROPOINT, ZEROPOINT_ERROR, 0)
    if not len(stars):
        return assumed
    scene = draw_stars(prf, field, flux_of(field.tmag, prf.zeropoint))
    flux = _fluxes(prf, field, stars, scene)
    with np.errstate(invalid="ignore", divide="ignore"):
        single = field.tmag[stars] + 2.5 * np.log10(flux)
    single = single[np.isfinite(single)]
    if not single.size:
        return assumed
    for _ in range(N_ROUNDS):
        middle = np.median(single)
        scatter = max(ROUNDED_MAD_TO_SIGMA * np.median(np.abs(single - middle)), MIN_SCATTER)
        single = single[np.abs(single - middle) <= CLIP * scatter]
    if len(single) < FEW:
        scatter = max(scatter, FEW_SCATTER)
    error = float(np.hypot(MEDIAN_ERROR * scatter / np.sqrt(len(single)), shape_error))
    return _with_prior(float(np.median(single)), error, len(single))


def _with_prior(value: float, error: float, n_stars: int) -> ZeroPoint:
    """Weigh what the stars say with the mission's zero point."""
    weights = np.array([error, PRIOR_ERROR]) ** -2.0
    mean = float(np.average([value, TMAG_ZEROPOINT], weights=weights))
    return ZeroPoint(mean, float(weights.sum() ** -0.5), n_stars)


def _fluxes(prf: Prf, field: StarField, stars: NDArray, scene: NDArray) -> NDArray:
    """Flux of each star by a fit to its middle [e-/s]; NaN where it fails."""
    middle = slice(HALF - REACH, HALF + REACH + 1)
    cut = (slice(None), middle, middle)
    first_row, first_column = (one + HALF - REACH for one in corners(field, stars))
    side = 2 * REACH + 1
    expected = flux_of(field.tmag[stars], prf.zeropoint)
    row, column = field.row[stars].copy(), field.column[stars].copy()
    first = prf_derivatives(
        prf, row, column, first_row, first_column, (side, side), orders=((0, 0),)
    )[0]
    neighbors = stamps_of(scene, field, stars)[cut] - expected[:, None, None] * first
    light = stamps_of(field.image, field, stars)[cut] - neighbors
    noise = stamps_of(field.noise, field, stars)[cut]
    flux = expected
    for _ in range(N_ROUNDS):
        orders = ((0, 0), (1, 0), (0, 1))
        shape, by_row, by_column = prf_derivatives(
            prf, row, column, first_row, first_column, (side, side), orders=orders
        )
        sigma = np.hypot(noise, MODEL_ERROR * flux[:, None, None] * shape)
        flux, d_row, d_column = _fit(light, sigma, shape, by_row, by_column, flux)
        row += np.clip(np.nan_to_num(d_row), -MAX_OFFSET / 2, MAX_OFFSET / 2)
        column += np.clip(np.nan_to_num(d_column), -MAX_OFFSET / 2, MAX_OFFSET / 2)
        flux = np.where(flux > 0, flux, expected)
    offset = np.hypot(row - field.row[stars], column - field.column[stars])
    enough = (np.isfinite(light) & np.isfinite(noise)).sum(axis=(1, 2)) >= MIN_PIXELS
    return np.where(enough & (offset <= MAX_OFFSET), flux, np.nan)


def _fit(
    light: NDArray,
    sigma: NDArray,
    shape: NDArray,
    by_row: NDArray,
    by_column: NDArray,
    flux: NDArray,
) -> tuple[NDArray, NDArray, NDArray]:
    """Flux, offset, and a level of each stamp by weighted least squares."""
    n_stars = len(light)
    scale = flux[:, None, None]
    parts = [shape, scale * by_row, scale * by_column, np.ones_like(shape)]
    design = np.stack([one.reshape(n_stars, -1) for one in parts], axis=-1)
    usable = np.isfinite(light) & np.isfinite(sigma) & (sigma > 0)
    weight = np.where(usable, 1 / np.where(usable, sigma, 1.0) ** 2, 0.0).reshape(n_stars, -1)
    values = np.where(usable, light, 0.0).reshape(n_stars, -1)
    normal = np.einsum("npi,np,npj->nij", design, weight, design)
    diagonal = np.einsum("nii->ni", normal)
    normal += np.eye(4) * (1e-9 * diagonal + 1e-30)[:, None, :]
    right = np.einsum("npi,np->ni", design, weight * values)
    solution = np.linalg.solve(normal, right[..., None])[..., 0]
    return solution[:, 0], solution[:, 1], solution[:, 2]
