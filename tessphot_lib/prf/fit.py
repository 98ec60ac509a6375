"""The effective PRF of a CCD, from its own stars.

Stars fall on all phases of the pixels, so that many of them together show the
PRF better sampled than any image does (Anderson & King 2000, PASP 112, 1360).
The mean image of a sector is fitted: the light of known neighbors is taken
off, each star's flux and offset from its position in the catalog are fitted, and
then the spline coefficients of the PRF, polynomials of the position on the CCD,
to the pixels of all stars at once. This is repeated until it stands.

photutils' EPSFBuilder gives one PRF for a whole image, of stars that stand alone
in theirs; here it changes over the CCD, and neighbors are taken off.

Positions are those of the catalog: what the WCS is off everywhere becomes a
part of the PRF, as it should for fits at catalog positions.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import ROUNDED_MAD_TO_SIGMA, TMAG_ZEROPOINT
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.prf.evaluate import (
    evenly_normalized,
    prf_stamps,
    spline_matrix,
    total_light,
)
from tessphot_lib.prf.field_terms import Terms, coefficients_of_terms, on_nodes
from tessphot_lib.prf.generic import GENERIC_ERROR, N_SPLINES, SPACING, generic_prf
from tessphot_lib.prf.scene import wing_image
from tessphot_lib.prf.stars import (
    HALF,
    SEEN_HALF,
    StarField,
    corners,
    draw_cores,
    draw_stars,
    stamps_of,
)
from tessphot_lib.prf.unseen import coefficients_seen, with_unseen
from tessphot_lib.prf.wings import USUAL_WINGS, WING_RADIUS, RingLight, fit_wings

CORE_HALF = 2  # [pixels] 5 x 5 pixels give a star's flux and offset
MIN_STARS = 10  # with fewer nothing is fitted
STARS_FOR_ORDER = (0, 120, 500, 2000)  # that polynomials of order 0, 1, 2, 3 take
N_ROUNDS = 5
FIRST_ROUNDS = 3  # before the wings are fitted again
CORE_ERROR = 0.03  # of the light of cores, that they are taken off with
N_POOR_ROUNDS = 2
MAX_ZEROPOINT_ERROR = 0.2  # [mag] of the catalog; fits that give more have gone astray
N_STEPS = 12  # of the conjugate gradients in each round
MODEL_ERROR = 0.005  # of a pixel's light, that the fit may be wrong for reasons of its own
FLUX_ERROR = 5e-5  # of a star's light in any pixel: no single bright star decides
NEIGHBOR_ERROR = 0.1  # of the neighbors' light
CLIP = 4.0  # [sigma] pixels off by more show an unknown star
MAX_MISFIT, POOR_MISFIT = 3.0, 10.0  # of the median star's, from which a star is left out
MAX_FLUX_OFF = 0.3  # [ln] of a star's flux from the catalog's, as others are
MAX_OFFSET = 0.3  # [pixels] from the catalog's position
SKY_ERROR = 0.3  # [e-/s] of the level between the stars
RIDGE = 1e-3  # keeps what no pixel shows at its last value
FEW_STARS, FEW_STARS_RADIUS = 10, 4.0  # [pixels] so many stars show the PRF as far as this


@dataclass(frozen=True)
class FieldFit:
    """What all stars of a field make: their PRF, their light, and the sky between them.

    Attributes
    ----------
    prf : Prf
    scene, cores : (n_rows, n_columns) arrays
        Light of all stars of the catalog, and that of their cores alone [e-/s], where the field
        has pixels.
    sky : float
        Level of the image without them [e-/s].
    """

    prf: Prf
    scene: NDArray
    cores: NDArray
    sky: float


def fit_field(
    field: StarField, stars: NDArray, *, start: FieldFit | None = None, n_passes: int = 2
) -> FieldFit:
    """Fit the PRF to some stars of a field, and its wings and the sky to all pixels, in turn.

    In a crowd stars stand in the wings of others, and wings can only be told from cores
    once these are known.

    Parameters
    ----------
    field : StarField
    stars : (n_chosen,) int array
        From `choose_prf_stars`; with fewer than `MIN_STARS` the fit is ``start``.
    start : FieldFit, optional
        To begin with, of the same stars; by default the generic PRF, and a sky of 0.
    n_passes : int
        How often PRF, and wings and sky, are fitted in turn.
    """
    if start is None:
        cores = draw_cores(generic_prf(), field, _fluxes(generic_prf(), field))
        start = FieldFit(generic_prf(), cores, cores, 0.0)
    if len(stars) < MIN_STARS:
        return start
    positions = field.row, field.column
    prf, cores, sky = start.prf, start.cores, start.sky
    fraction = _wings_of(prf) if len(prf.wing_share) else USUAL_WINGS
    there = np.isfinite(field.image) & np.isfinite(field.noise)
    rings = RingLight.of(field.window, there, *positions, flux_of(field.tmag))
    for _ in range(n_passes):
        prf = _with_wings(prf, WING_RADIUS, fraction)
        scene = cores + wing_image(prf, field.window, *positions, _fluxes(prf, field))
        level = replace(field, image=field.image - sky)
        prf = fit_prf(level, stars, start=prf, scene=scene, n_rounds=FIRST_ROUNDS)
        cores = draw_cores(prf, field, _fluxes(prf, field))
        sigma = np.hypot(field.noise, CORE_ERROR * cores)
        fraction, sky = fit_wings(field.image - cores, sigma, rings)
    prf = _with_wings(prf, WING_RADIUS, fraction)
    scene = cores + wing_image(prf, field.window, *positions, _fluxes(prf, field))
    return FieldFit(prf, scene, cores, sky)


def _fluxes(prf: Prf, field: StarField) -> NDArray:
    """Fluxes of the catalog stars by the zero point of the PRF [e-/s]."""
    return flux_of(field.tmag, prf.zeropoint)


def fit_prf(
    field: StarField,
    stars: NDArray,
    *,
    start: Prf | None = None,
    scene: NDArray | None = None,
    n_rounds: int = N_ROUNDS,
) -> Prf:
    """Fit the PRF to some stars of a field.

    Parameters
    ----------
    field : StarField
    stars : (n_chosen,) int array
        From `choose_prf_stars`.
    start : Prf, optional
        To begin with; `generic_prf` by default. Its wings are kept.
    scene : (n_rows, n_columns) array, optional
        Light of all stars of the catalog, as ``start`` has it; drawn if not given.
    n_rounds : int
        How often stars and PRF are fitted in turn.

    Returns
    -------
    Prf
        ``start`` itself where there are fewer than `MIN_STARS` stars that are alike, or where
        the fit goes astray: the zero point tells, if stars stand in light that no catalog knows.
    """
    prf = start or generic_prf()
    if len(stars) < MIN_STARS:
        return prf
    # The more stars there are, the finer the PRF may change over the CCD.
    order = int(np.flatnonzero(len(stars) >= np.array(STARS_FOR_ORDER))[-1])
    terms = Terms.over(field.window, order)
    if scene is None:
        scene = draw_stars(prf, field, _fluxes(prf, field))
    # The neighbors' light is drawn once, with the first PRF, and scaled when the zero point
    # changes; the wings are kept as fractions of the catalog's fluxes, which do not change.
    drawn, zeropoint = _light_of_neighbors(scene, prf, field, stars), prf.zeropoint
    wing_share = _wings_of(prf)
    prf = on_nodes(prf, terms)
    all_flux = flux_of(field.tmag)
    fit = _StarFits(flux=all_flux[stars], d_row=np.zeros(len(stars)), d_column=np.zeros(len(stars)))
    unknowns, level = coefficients_of_terms(prf, terms), 0.0
    seen = coefficients_seen(prf, field, stars)
    for number in range(n_rounds):
        # What the stamps show without the neighbors. Pixels with unknown stars do not count,
        # nor do stars that fit much worse than most.
        neighbors = drawn * flux_of(zeropoint, prf.zeropoint) + level
        model = _target_light(prf, field, stars, fit)
        is_poor = number < N_POOR_ROUNDS
        light, sigma, usable = _light_of_stars(field, stars, fit, model, neighbors, is_poor=is_poor)
        misfit = POOR_MISFIT if is_poor else MAX_MISFIT
        typical = _are_typical(light - model, sigma, fit.flux / all_flux[stars], misfit)
        weight = np.where(usable & typical[:, None, None], 1 / sigma**2, 0.0)
        # The stars with the PRF as it is, then the PRF with the stars as they are.
        fit = _fit_stars(prf, field, stars, fit, light, weight, terms)
        unknowns, change = _fit_coefficients(unknowns, prf, terms, field, stars, fit, light, weight)
        unknowns = with_unseen(unknowns, seen)
        level += change
        prf = replace(prf, coefficients=terms.to_nodes(unknowns))
        if typical.sum() < MIN_STARS or not (total_light(prf) > 0).all():
            return start or generic_prf()
        # Normalizing changes the PRF at its nodes: the polynomials follow.
        prf, fit = _normalized(prf, fit, all_flux[stars], wing_share)
        unknowns = coefficients_of_terms(prf, terms)
    if abs(prf.zeropoint - TMAG_ZEROPOINT) > MAX_ZEROPOINT_ERROR:
        return start or generic_prf()
    # The error of the PRF: by its position in the stamp, what a typical star differs from it.
    residual = (light - _target_light(prf, field, stars, fit)) / fit.flux[:, None, None]
    seen = np.where(usable, np.abs(residual), np.nan)
    seen[0][np.isnan(seen).all(axis=0)] = GENERIC_ERROR
    error = ROUNDED_MAD_TO_SIGMA * np.nanmedian(seen, axis=0)
    return replace(prf, error=error, source=f"data: {len(stars)} stars, order {order}")


def _light_of_stars(
    field: StarField,
    stars: NDArray,
    fit: "_StarFits",
    model: NDArray,
    neighbors: NDArray,
    *,
    is_poor: bool,
) -> tuple[NDArray, NDArray, NDArray]:
    """What is left of the stars' stamps without their neighbors; its error; which pixels count.

    Pixels that do not count have the light of the model, and an error of 1 e-/s.
    """
    light = stamps_of(field.image, field, stars) - neighbors
    noise = stamps_of(field.noise, field, stars)
    sigma = np.sqrt(
        noise**2
        + (MODEL_ERROR * model) ** 2
        + (FLUX_ERROR * fit.flux[:, None, None]) ** 2
        + (NEIGHBOR_ERROR * np.maximum(neighbors, 0)) ** 2
    )
    # A poor PRF is no reason to leave out pixels.
    limit = np.inf if is_poor else CLIP * sigma
    usable = np.isfinite(light) & np.isfinite(sigma)
    with np.errstate(invalid="ignore"):
        usable &= np.abs(light - model) < limit
    return np.where(usable, light, model), np.where(usable, sigma, 1.0), usable


def _light_of_neighbors(scene: NDArray, prf: Prf, field: StarField, stars: NDArray) -> NDArray:
    """Take the light of some stars off the scene in their stamps: that of their neighbors stays."""
    targets = _StarFits(_fluxes(prf, field)[stars], np.zeros(len(stars)), np.zeros(len(stars)))
    return stamps_of(scene, field, stars) - _target_light(prf, field, stars, targets)


@dataclass(frozen=True)
class _StarFits:
    """Flux [e-/s] and offset from the catalog [pixels] of the stars, (n,) each."""

    flux: NDArray
    d_row: NDArray
    d_column: NDArray


def _shapes(
    prf: Prf, field: StarField, stars: NDArray, fit: _StarFits, **derivative: int
) -> NDArray:
    """PRFs of the stars, or their derivatives, in their stamps."""
    side = 2 * HALF + 1
    return prf_stamps(
        prf,
        field.row[stars] + fit.d_row,
        field.column[stars] + fit.d_column,
        *corners(field, stars),
        (side, side),
        shape_row=field.row[stars],
        shape_column=field.column[stars],
        **derivative,
    )


def _target_light(prf: Prf, field: StarField, stars: NDArray, fit: _StarFits) -> NDArray:
    """Light of each star itself in its stamp."""
    return fit.flux[:, None, None] * _shapes(prf, field, stars, fit)


def _are_typical(residual: NDArray, sigma: NDArray, ratio: NDArray, max_misfit: float) -> NDArray:
    """Return which stars fit about as well, and are about as bright by the catalog, as most do.

    The others stand beside stars that the catalog lacks or has wrong.
    """
    middle = slice(HALF - SEEN_HALF, HALF + SEEN_HALF + 1)
    misfit = np.nanmean((residual / sigma)[:, middle, middle] ** 2, axis=(1, 2))
    off = np.abs(np.log(ratio / np.median(ratio)))
    return (misfit <= max_misfit * np.median(misfit)) & (off < MAX_FLUX_OFF)


def _fit_stars(
    prf: Prf,
    field: StarField,
    stars: NDArray,
    fit: _StarFits,
    light: NDArray,
    weight: NDArray,
    terms: Terms,
) -> _StarFits:
    """Flux and offset of each star with the PRF as it is."""
    core = slice(HALF - CORE_HALF, HALF + CORE_HALF + 1)
    cut = (slice(None), core, core)
    parts = [
        fit.flux[:, None, None] * _shapes(prf, field, stars, fit, **derivative)[cut]
        for derivative in ({}, {"d_row": 1}, {"d_column": 1})
    ]
    design = np.stack(parts, axis=-1).reshape(len(stars), -1, 3)
    values, w = light[cut].reshape(len(stars), -1), weight[cut].reshape(len(stars), -1)
    normal = np.einsum("npi,np,npj->nij", design, w, design)
    right = np.einsum("npi,np->ni", design, w * values)
    normal += np.eye(3) * (1e-9 * np.trace(normal, axis1=1, axis2=2) + 1e-30)[:, None, None]
    solution = np.linalg.solve(normal, right[..., None])[..., 0]
    # The offset may be the star's own, not that of the field: this belongs to the PRF.
    smooth = terms.at(field.row[stars], field.column[stars])
    offsets = []
    for old, step in ((fit.d_row, solution[:, 1]), (fit.d_column, solution[:, 2])):
        new = np.clip(old + step, -MAX_OFFSET, MAX_OFFSET)
        trend = smooth @ np.linalg.lstsq(smooth, new, rcond=None)[0]
        offsets.append(np.clip(new - trend, -MAX_OFFSET, MAX_OFFSET))
    flux = fit.flux * np.where(solution[:, 0] > 0, solution[:, 0], 1.0)
    return _StarFits(flux, *offsets)


def _fit_coefficients(
    unknowns: NDArray,
    prf: Prf,
    terms: Terms,
    field: StarField,
    stars: NDArray,
    fit: _StarFits,
    light: NDArray,
    weight: NDArray,
) -> tuple[NDArray, float]:
    """Improve the coefficients of all terms, and the sky, by some steps of conjugate gradients.

    The sky between the stars is hardly known better than to 0.1 e-/s per pixel, as much as what
    stars of Tmag 12 give the outermost pixels of their stamps: left in, it would become wings.
    """
    first_row, first_column = corners(field, stars)
    offsets = np.arange(2 * HALF + 1)
    row, column = field.row[stars] + fit.d_row, field.column[stars] + fit.d_column
    n_splines = unknowns.shape[1]
    left = spline_matrix(first_row[:, None] + offsets - row[:, None], n_splines, prf.spacing)
    right = spline_matrix(first_column[:, None] + offsets - column[:, None], n_splines, prf.spacing)
    polynomials = terms.at(field.row[stars], field.column[stars]) * fit.flux[:, None]

    shape = unknowns.shape

    # The sky is the last of the unknowns.
    def forward(values: NDArray) -> NDArray:
        surface = np.tensordot(polynomials, values[:-1].reshape(shape), axes=1)
        return left @ surface @ right.swapaxes(1, 2) + values[-1]

    def backward(pixels: NDArray) -> NDArray:
        surface = left.swapaxes(1, 2) @ pixels @ right
        return np.append(np.tensordot(polynomials.T, surface, axes=1), pixels.sum())

    remaining = backward(weight * (light - _target_light(prf, field, stars, fit)))
    # Cores and wings differ in weight a thousandfold: each coefficient in units of its own error.
    squares = (left**2).swapaxes(1, 2) @ weight @ (right**2)
    diagonal = np.tensordot((polynomials**2).T, squares, axes=1)
    ridge = RIDGE * (diagonal + RIDGE * diagonal.max()) + _few_stars(len(stars)) * diagonal
    ridge = np.append(ridge, SKY_ERROR**-2)
    diagonal = np.append(diagonal, weight.sum()) + ridge
    change, direction = np.zeros_like(diagonal), remaining / diagonal
    power = np.sum(remaining * direction)
    for _ in range(N_STEPS):
        if not power > 0:
            break
        image = backward(weight * forward(direction)) + ridge * direction
        step = power / np.sum(direction * image)
        change = change + step * direction
        remaining = remaining - step * image
        scaled = remaining / diagonal
        new_power = np.sum(remaining * scaled)
        direction = scaled + new_power / power * direction
        power = new_power
    return unknowns + change[:-1].reshape(shape), float(change[-1])


def _few_stars(n_stars: int) -> NDArray:
    """How much more a coefficient is held at its last value, by its distance from the star.

    A few stars show the core of the PRF, but not what is faint about it.
    """
    offset = SPACING * (np.arange(N_SPLINES) - N_SPLINES // 2)
    distance = np.hypot(offset[:, None], offset)
    return FEW_STARS / n_stars * (distance / FEW_STARS_RADIUS) ** 4


def _normalized(
    prf: Prf, fit: _StarFits, catalog_flux: NDArray, wing_share: NDArray
) -> tuple[Prf, _StarFits]:
    """Make all light sum to 1 everywhere.

    ``wing_share`` is in fractions of the catalog's flux; so the core is brought to
    this scale first, and then both are divided by the sum of all light, which
    is what the zero point of the catalog is off.
    """
    scale = float(np.median(fit.flux / catalog_flux))
    core = replace(prf, coefficients=prf.coefficients * scale, zeropoint=TMAG_ZEROPOINT)
    result = _with_wings(core, prf.wing_radius, wing_share)
    mean = flux_of(TMAG_ZEROPOINT, result.zeropoint)
    return result, replace(fit, flux=fit.flux / scale * mean)


def _wings_of(prf: Prf) -> NDArray:
    """The wings of a PRF as fractions of the catalog's fluxes, (n_radii,)."""
    return prf.wing_share * flux_of(TMAG_ZEROPOINT, prf.zeropoint)


def _with_wings(prf: Prf, wing_radius: NDArray, wing_share: NDArray) -> Prf:
    """The PRF with other wings, as fractions of the catalog's fluxes; cores keep light."""
    mean = flux_of(TMAG_ZEROPOINT, prf.zeropoint)
    core = prf.coefficients * mean
    whole = replace(prf, coefficients=core, wing_radius=wing_radius, wing_share=wing_share)
    mean = float(total_light(whole).mean())
    result = replace(
        whole,
        coefficients=core / mean,
        wing_share=wing_share / mean,
        zeropoint=TMAG_ZEROPOINT + 2.5 * np.log10(mean),
    )
    return evenly_normalized(result)
