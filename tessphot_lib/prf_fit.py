"""The effective PRF of a CCD, from its own stars.

Stars fall on all phases of the pixels, so that many of them together show the
PRF better sampled than any image does (Anderson & King 2000, PASP 112, 1360).
The mean image of a sector is fitted: the light of known neighbors is taken
off, each star's flux and offset from its place in the catalog are fitted, and
then the spline coefficients of the PRF, polynomials of the place on the CCD,
to the pixels of all stars at once. This is repeated until it stands.

photutils' EPSFBuilder gives one PRF for a whole image, of stars that stand alone
in theirs; here it changes over the CCD, and neighbors are taken off.

Positions are those of the catalog: what the WCS is off everywhere becomes a
part of the PRF, as it should for fits at catalog positions.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from tessphot_lib.constants import TMAG_ZEROPOINT
from tessphot_lib.model import Prf, Window
from tessphot_lib.prf import (
    DERIVATIVES,
    evenly_normalized,
    field_weights,
    prf_stamps,
    spline_matrix,
    total_light,
)
from tessphot_lib.scene import scene_derivatives, scene_image, wing_image
from tessphot_lib.star_field import HALF, SEEN_HALF, StarField, corners, stamps_of
from tessphot_lib.wings import USUAL_WINGS, WING_RADIUS, fit_wings

SPACING = 0.5  # [pixels] of the splines
N_SPLINES = 33  # the core reaches 9 pixels
CORE_HALF = 2  # [pixels] 5 x 5 pixels give a star's flux and offset
MIN_STARS = 10  # with fewer nothing is fitted
STARS_FOR_ORDER = (0, 120, 500, 2000)  # that polynomials of order 0, 1, 2, 3 take
N_ROUNDS = 5
FIRST_ROUNDS = 3  # before the wings are fitted anew
CORE_ERROR = 0.03  # of the light of cores, that they are taken off with
N_POOR_ROUNDS = 2
MAX_ZEROPOINT_ERROR = 0.3  # [mag] of the catalog; fits that give more have gone astray
N_STEPS = 12  # of the conjugate gradients in each round
MODEL_ERROR = 0.005  # of a pixel's light, that the fit may be wrong for reasons of its own
FLUX_ERROR = 5e-5  # of a star's light in any pixel: no single bright star decides
NEIGHBOR_ERROR = 0.1  # of the neighbors' light
CLIP = 4.0  # [sigma] pixels off by more show an unknown star
MAX_MISFIT, POOR_MISFIT = 3.0, 10.0  # of the median star's, from which a star is left out
MAX_FLUX_OFF = 0.3  # [ln] of a star's flux from the catalog's, as others are
N_HARMONICS = 2  # of the place within a pixel, that offsets may not depend on
MAX_OFFSET = 0.3  # [pixels] from the catalog's position
RIDGE = 1e-3  # keeps what no pixel shows at its last value
FEW_STARS, FEW_STARS_RADIUS = 10, 4.0  # [pixels] so many stars show the PRF as far as this
N_NODES = 5  # per axis, that polynomials of the place are tabulated on
# Round Gaussians, integrated over the pixels, with the average PRF's share of the light in 4, 9
# and 16 pixels (TESS_FACTS: 60, 81 and 95 %; the mission's PRFs: 57-67, 79-82, 89-90 %).
GENERIC_SHARE = np.array([0.74, 0.21, 0.05])
GENERIC_WIDTH = np.array([0.64, 1.25, 3.3])  # [pixels]
GENERIC_ERROR = 0.02  # of the star's light in each pixel


def generic_prf() -> Prf:
    """A round PRF like the average of all cameras', for fields that show none of their own."""
    offset = (np.arange(4 * N_SPLINES + 1) - 2 * N_SPLINES) * SPACING / 4
    edges = [(offset[:, None] + side) / (GENERIC_WIDTH * np.sqrt(2)) for side in (-0.5, 0.5)]
    profiles = 0.5 * (erf(edges[1]) - erf(edges[0]))
    wanted = np.einsum("k,rk,ck->rc", GENERIC_SHARE, profiles, profiles)
    design = spline_matrix(offset, N_SPLINES, SPACING)
    inside = np.abs(offset) <= (N_SPLINES // 2 - 1) * SPACING
    inverse = np.linalg.pinv(design[inside])
    coefficients = inverse @ wanted[np.ix_(inside, inside)] @ inverse.T
    side = 2 * HALF + 1
    prf = Prf(
        node_row=np.zeros(1),
        node_column=np.zeros(1),
        coefficients=coefficients[None, None],
        spacing=SPACING,
        interpolation="cubic",
        wing_radius=np.zeros(0),
        wing_share=np.zeros(0),
        error=np.full((side, side), GENERIC_ERROR),
        zeropoint=TMAG_ZEROPOINT,
        source="generic",
    )
    return evenly_normalized(prf)


@dataclass(frozen=True)
class FieldFit:
    """What all stars of a field make: their PRF, their light, and the sky between them.

    Attributes
    ----------
    prf : Prf
    scene : (n_rows, n_columns) array
        Light of all stars of the catalog [e-/s].
    sky : float
        Level of the image without them [e-/s].
    """

    prf: Prf
    scene: NDArray
    sky: float


def fit_field(field: StarField, stars: NDArray, *, n_passes: int = 2) -> FieldFit:
    """Fit the PRF to some stars of a field, and its wings and the sky to all pixels, in turn.

    In a crowd stars stand in the wings of others, and wings can only be told from cores
    once these are known.

    Parameters
    ----------
    field : StarField
    stars : (n_chosen,) int array
        From `choose_prf_stars`; with fewer than `MIN_STARS` the PRF is the generic one,
        and the sky 0.
    n_passes : int
        How often.
    """
    prf, sky = generic_prf(), 0.0
    cores = _draw_cores(prf, field)
    if len(stars) < MIN_STARS:
        return FieldFit(prf, cores, sky)
    places = field.row, field.column
    share = USUAL_WINGS
    for _ in range(n_passes):
        prf = _with_wings(prf, WING_RADIUS, share)
        scene = cores + wing_image(prf, field.window, *places, _fluxes(prf, field))
        level = replace(field, image=field.image - sky)
        prf = fit_prf(level, stars, start=prf, scene=scene, n_rounds=FIRST_ROUNDS)
        cores = _draw_cores(prf, field)
        sigma = np.hypot(field.noise, CORE_ERROR * cores)
        flux = 10 ** (0.4 * (TMAG_ZEROPOINT - field.tmag))
        share, sky = fit_wings(field.image - cores, sigma, field.window, *places, flux)
    prf = _with_wings(prf, WING_RADIUS, share)
    scene = cores + wing_image(prf, field.window, *places, _fluxes(prf, field))
    return FieldFit(prf, scene, sky)


def _draw_cores(prf: Prf, field: StarField) -> NDArray:
    """Light of the cores of all catalog stars [e-/s]."""
    stars = field.row, field.column, _fluxes(prf, field)
    orders = DERIVATIVES[:1]
    return scene_derivatives(prf, field.window, *stars, orders=orders, with_wings=False)[0]


def _fluxes(prf: Prf, field: StarField) -> NDArray:
    """Fluxes of the catalog stars by the zero point of the PRF [e-/s]."""
    return 10 ** (0.4 * (prf.zeropoint - field.tmag))


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
        ``start`` itself where there are fewer than `MIN_STARS` stars, or where the fit
        goes astray: the zero point tells, if stars stand in light that no catalog knows.
    """
    prf = start or generic_prf()
    if len(stars) < MIN_STARS:
        return prf
    order = int(np.flatnonzero(len(stars) >= np.array(STARS_FOR_ORDER))[-1])
    terms = _Terms.over(field.window, order)
    if scene is None:
        scene = scene_image(prf, field.window, field.row, field.column, _fluxes(prf, field))
    drawn, zeropoint = _light_of_others(scene, prf, field, stars), prf.zeropoint
    wing_share = prf.wing_share * 10 ** (0.4 * (prf.zeropoint - TMAG_ZEROPOINT))
    prf = _on_nodes(prf, terms)
    all_flux = 10 ** (0.4 * (TMAG_ZEROPOINT - field.tmag))
    fit = _StarFits(flux=all_flux[stars], d_row=np.zeros(len(stars)), d_column=np.zeros(len(stars)))
    unknowns = _coefficients_of_terms(prf, terms)
    for number in range(n_rounds):
        own = _own_light(prf, field, stars, fit)
        others = drawn * 10 ** (0.4 * (prf.zeropoint - zeropoint))
        light = stamps_of(field.image, field, stars) - others
        noise = stamps_of(field.noise, field, stars)
        sigma = np.sqrt(
            noise**2
            + (MODEL_ERROR * own) ** 2
            + (FLUX_ERROR * fit.flux[:, None, None]) ** 2
            + (NEIGHBOR_ERROR * np.maximum(others, 0)) ** 2
        )
        # A poor PRF is no reason to leave out pixels.
        is_poor = number < N_POOR_ROUNDS
        limit = np.inf if is_poor else CLIP * sigma
        usable = np.isfinite(light) & np.isfinite(sigma)
        with np.errstate(invalid="ignore"):
            usable &= np.abs(light - own) < limit
        weight = np.where(usable, 1 / np.where(usable, sigma, 1.0) ** 2, 0.0)
        light = np.where(usable, light, own)
        misfit = POOR_MISFIT if is_poor else MAX_MISFIT
        like = _are_like_others(light - own, sigma, fit.flux / all_flux[stars], misfit)
        weight[~like] = 0.0
        fit = _fit_stars(prf, field, stars, fit, light, weight, terms)
        unknowns = _fit_coefficients(unknowns, prf, terms, field, stars, fit, light, weight)
        prf = replace(prf, coefficients=terms.to_nodes(unknowns))
        prf, fit = _normalized(prf, fit, all_flux[stars], wing_share)
        unknowns = _coefficients_of_terms(prf, terms)
    if abs(prf.zeropoint - TMAG_ZEROPOINT) > MAX_ZEROPOINT_ERROR:
        return start or generic_prf()
    residual = (light - _own_light(prf, field, stars, fit)) / fit.flux[:, None, None]
    seen = np.where(usable, np.abs(residual), np.nan)
    seen[0][np.isnan(seen).all(axis=0)] = GENERIC_ERROR
    error = 1.4826 * np.nanmedian(seen, axis=0)
    return replace(prf, error=error, source=f"data: {len(stars)} stars, order {order}")


def _light_of_others(scene: NDArray, prf: Prf, field: StarField, stars: NDArray) -> NDArray:
    """Take some stars' own light off the scene in their stamps."""
    own = _StarFits(_fluxes(prf, field)[stars], np.zeros(len(stars)), np.zeros(len(stars)))
    return stamps_of(scene, field, stars) - _own_light(prf, field, stars, own)


@dataclass(frozen=True)
class _StarFits:
    """Flux [e-/s] and offset from the catalog [pixels] of the stars, (n,) each."""

    flux: NDArray
    d_row: NDArray
    d_column: NDArray


@dataclass(frozen=True)
class _Terms:
    """Polynomials of the place on the CCD, and the nodes that they are tabulated on."""

    window: Window
    order: int
    node_row: NDArray
    node_column: NDArray

    @classmethod
    def over(cls, window: Window, order: int) -> "_Terms":
        n_nodes = N_NODES if order else 1
        return cls(
            window,
            order,
            _spread(window.row0, window.row1, n_nodes),
            _spread(window.column0, window.column1, n_nodes),
        )

    def at(self, row: NDArray, column: NDArray) -> NDArray:
        """Legendre polynomials up to the total order, (n, n_terms)."""
        window = self.window
        down = 2 * (row - window.row0) / max(window.shape[0] - 1, 1) - 1
        along = 2 * (column - window.column0) / max(window.shape[1] - 1, 1) - 1
        by_row = np.polynomial.legendre.legvander(down, self.order)
        by_column = np.polynomial.legendre.legvander(along, self.order)
        pairs = [(i, j) for i in range(self.order + 1) for j in range(self.order + 1 - i)]
        return np.column_stack([by_row[:, i] * by_column[:, j] for i, j in pairs])

    def to_nodes(self, unknowns: NDArray) -> NDArray:
        """Coefficients of the terms (n_terms, n, n) -> at the nodes (rows, columns, n, n)."""
        row, column = np.meshgrid(self.node_row, self.node_column, indexing="ij")
        values = np.tensordot(self.at(row.ravel(), column.ravel()), unknowns, axes=1)
        return values.reshape(*row.shape, *unknowns.shape[1:])


def _spread(first: int, last: int, n_nodes: int) -> NDArray:
    """Nodes over the pixels first to last - 1; the middle for one node."""
    if n_nodes == 1:
        return np.array([0.5 * (first + last - 1)])
    return np.linspace(first, last - 1, n_nodes)


def _on_nodes(prf: Prf, terms: _Terms) -> Prf:
    """The same PRF, given on the nodes of the terms."""
    by_row = field_weights(prf.node_row, terms.node_row, prf.interpolation)
    by_column = field_weights(prf.node_column, terms.node_column, prf.interpolation)
    values = np.einsum("ap,bq,pqij->abij", by_row, by_column, prf.coefficients)
    return replace(
        prf,
        node_row=terms.node_row,
        node_column=terms.node_column,
        coefficients=values,
        interpolation="cubic",
    )


def _coefficients_of_terms(prf: Prf, terms: _Terms) -> NDArray:
    """What `_Terms.to_nodes` gives these coefficients for, (n_terms, n, n)."""
    row, column = np.meshgrid(terms.node_row, terms.node_column, indexing="ij")
    design = terms.at(row.ravel(), column.ravel())
    size = prf.coefficients.shape[2]
    flat = prf.coefficients.reshape(-1, size * size)
    return np.linalg.lstsq(design, flat, rcond=None)[0].reshape(-1, size, size)


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


def _own_light(prf: Prf, field: StarField, stars: NDArray, fit: _StarFits) -> NDArray:
    """Light of each star itself in its stamp."""
    return fit.flux[:, None, None] * _shapes(prf, field, stars, fit)


def _are_like_others(
    residual: NDArray, sigma: NDArray, ratio: NDArray, max_misfit: float
) -> NDArray:
    """Tell which stars fit about as well, and are about as bright by the catalog, as most do.

    The others stand beside stars that the catalog lacks or has wrong.
    """
    middle = slice(HALF - SEEN_HALF, HALF + SEEN_HALF + 1)
    pull = (residual / sigma)[:, middle, middle] ** 2
    misfit = np.nanmean(pull, axis=(1, 2))
    off = np.abs(np.log(ratio / np.median(ratio)))
    return (misfit <= max_misfit * np.median(misfit)) & (off < MAX_FLUX_OFF)


def _fit_stars(
    prf: Prf,
    field: StarField,
    stars: NDArray,
    fit: _StarFits,
    light: NDArray,
    weight: NDArray,
    terms: _Terms,
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
    # The offset may be the star's own, not that of the field, nor of a place within pixels:
    # these belong to the PRF.
    smooth = np.column_stack(
        [
            terms.at(field.row[stars], field.column[stars]),
            _phases(field.row[stars]),
            _phases(field.column[stars]),
        ]
    )
    offsets = []
    for old, step in ((fit.d_row, solution[:, 1]), (fit.d_column, solution[:, 2])):
        new = np.clip(old + step, -MAX_OFFSET, MAX_OFFSET)
        trend = smooth @ np.linalg.lstsq(smooth, new, rcond=None)[0]
        offsets.append(np.clip(new - trend, -MAX_OFFSET, MAX_OFFSET))
    flux = fit.flux * np.where(solution[:, 0] > 0, solution[:, 0], 1.0)
    return _StarFits(flux, *offsets)


def _phases(position: NDArray) -> NDArray:
    """What changes with the place within a pixel, and is on average zero, (n, 2 N_HARMONICS)."""
    angle = 2 * np.pi * position[:, None] * np.arange(1, N_HARMONICS + 1)
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)


def _fit_coefficients(
    unknowns: NDArray,
    prf: Prf,
    terms: _Terms,
    field: StarField,
    stars: NDArray,
    fit: _StarFits,
    light: NDArray,
    weight: NDArray,
) -> NDArray:
    """Improve the coefficients of all terms by some steps of conjugate gradients."""
    first_row, first_column = corners(field, stars)
    offsets = np.arange(2 * HALF + 1)
    row, column = field.row[stars] + fit.d_row, field.column[stars] + fit.d_column
    n_splines = unknowns.shape[1]
    left = spline_matrix(first_row[:, None] + offsets - row[:, None], n_splines, prf.spacing)
    right = spline_matrix(first_column[:, None] + offsets - column[:, None], n_splines, prf.spacing)
    polynomials = terms.at(field.row[stars], field.column[stars]) * fit.flux[:, None]

    def forward(values: NDArray) -> NDArray:
        surface = np.tensordot(polynomials, values, axes=1)
        return left @ surface @ right.swapaxes(1, 2)

    def backward(pixels: NDArray) -> NDArray:
        surface = left.swapaxes(1, 2) @ pixels @ right
        return np.tensordot(polynomials.T, surface, axes=1)

    own = _own_light(prf, field, stars, fit)
    remaining = backward(weight * (light - own))
    # Cores and wings differ in weight a thousandfold: each coefficient in units of its own error.
    squares = (left**2).swapaxes(1, 2) @ weight @ (right**2)
    diagonal = np.tensordot((polynomials**2).T, squares, axes=1)
    ridge = RIDGE * (diagonal + RIDGE * diagonal.max()) + _few_stars(len(stars)) * diagonal
    diagonal = diagonal + ridge
    change, direction = np.zeros_like(unknowns), remaining / diagonal
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
    return unknowns + change


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

    ``wing_share`` is in shares of the catalog's flux; so the core is brought to
    this scale first, and then both are divided by the sum of all light, which
    is what the zero point of the catalog is off.
    """
    scale = float(np.median(fit.flux / catalog_flux))
    core = replace(prf, coefficients=prf.coefficients * scale, zeropoint=TMAG_ZEROPOINT)
    result = _with_wings(core, prf.wing_radius, wing_share)
    mean = 10 ** (0.4 * (result.zeropoint - TMAG_ZEROPOINT))
    return result, replace(fit, flux=fit.flux / scale * mean)


def _with_wings(prf: Prf, wing_radius: NDArray, wing_share: NDArray) -> Prf:
    """The PRF with other wings, given as shares of the catalog's fluxes; cores keep their light."""
    mean = 10 ** (0.4 * (prf.zeropoint - TMAG_ZEROPOINT))
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
