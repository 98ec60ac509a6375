"""Fluxes of the stars of a small region, fitted together with their PRFs.

The light of the region is linear in the fluxes of its stars. The design hardly
changes from image to image, only by the motion, for which the derivatives of
the PRF are known: the normal equations are made and factored once, at the
positions in the average image, and each image is solved with them,

    flux <- flux + N^-1 A^T W (light - model(flux, motion)),

repeated until the moved model has no residual left along the PRFs. This is the
least-squares fit with weights ``W`` of a typical image; errors are propagated from
the pixels' errors in each image. Stars that overlap are fitted together, as in DAOPHOT
(Stetson 1987, PASP 99, 191), but with their positions known.

Stars that cannot be told apart would get nonsense. Hence each unknown has a Gaussian
prior, as one more measurement: the fluxes in the average image those by the catalog,
the fluxes in each image those in the average image. The priors are weak; the fraction
that they have in a star's flux is reported.
"""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.prf_model import Prf
from tessphot_lib.prf.design import Design, taylor_factors

N_ITERATIONS = 4
N_MASKED_ITERATIONS = 8  # where pixels do not count: half-covered stars are found step by step
CATALOG_PRIOR_SIGMA = 0.5  # of a star's flux: 1-sigma error that its catalog flux is trusted to
IMAGE_PRIOR_SIGMA = 1.0  # of its mean flux: how much a star is thought to change
POSITION_PRIOR_SIGMA = 0.1  # [pixels] how wrong the position of a star may be
MOTION_PRIOR_SIGMA = 0.02  # [pixels] and its motion in one image
MAX_MISSING = 0.02  # fraction of a star's weight that missing pixels may have
# Of the light in a pixel, that motion and a wrong PRF change it by from image to image, for a PRF
# that is wrong by so much of a star's light in a pixel; seen in real stars with the mission's.
PIXEL_CHANGE, PIXEL_CHANGE_ERROR = 0.0004, 0.003
CORE_HALF = 2  # [pixels] 5 x 5 pixels whose errors are a PRF's
MIN_FLUX_FRACTION = 0.01  # of its catalog flux that a star keeps in the average image


@dataclass(frozen=True)
class GroupFit:
    """The factored fit of a region's stars in single images; see `prepare_fit`.

    Attributes
    ----------
    design : Design
        Of the stars whose fluxes are free.
    mean_flux : (n_stars,) array
        Of these, in the average image [e-/s].
    fixed : (6, n_pixels) array
        Light of everything else, and its derivatives by the common motion.
    moving : (n_moving,) int array
        Stars whose positions are free in each image.
    weighted : (n_unknowns, n_pixels) sparse array
        What each unknown changes in the pixels, times their weights; unknowns are the flux of each
        star [e-/s], the background's error [e-/s per pixel], and rows and columns of the moving
        stars [pixels].
    measured : (n_measured,) int array
        Stars of which fluxes are wanted with their errors.
    gain : (n_measured, n_pixels) array
        From the residual of an image to the fluxes of these. Of all unknowns it would fill the
        memory in crowds.
    prior_sigma : (n_unknowns,) array
        Error to which each unknown is thought to be known before.
    covariance : (n_unknowns, n_unknowns) array
        Inverse of the normal equations.
    weights : (n_pixels,) array
        Zero for pixels that are not used.
    """

    design: Design
    mean_flux: NDArray
    fixed: NDArray
    moving: NDArray
    weighted: "scipy.sparse.csr_array"
    measured: NDArray
    gain: NDArray
    prior_sigma: NDArray
    covariance: NDArray
    weights: NDArray

    @property
    def prior_fraction(self) -> NDArray:
        """How much of each star's flux is what was known before, (n_stars,) 0 to 1."""
        n_stars = len(self.mean_flux)
        return np.diag(self.covariance)[:n_stars] / self.prior_sigma[:n_stars] ** 2


def fit_crowding(fit: GroupFit, star: int) -> float:
    """Fraction of the light under the PRF of a fitted star that is its own, 0 to 1.

    What CROWDSAP would be if the star were measured by summing pixels weighted by its PRF and
    their errors, without a fit of its neighbors: the smaller it is, the more the flux depends
    on how well these are known.

    Parameters
    ----------
    fit : GroupFit
    star : int
        Index among the stars whose fluxes are free.

    Returns
    -------
    float
        NaN where no used pixel shows the star.
    """
    matrix = fit.design.matrices[0]
    profile = matrix[:, [star]].toarray().ravel()
    everything = matrix @ fit.mean_flux + fit.fixed[0]
    own = profile * fit.mean_flux[star]
    weights = fit.weights * profile
    mine = float(weights @ own)
    total = mine + float(weights @ np.maximum(everything - own, 0.0))
    return mine / total if total > 0 else np.nan


def fit_average_image(
    image: NDArray,
    sigma: NDArray,
    design: Design,
    catalog_flux: NDArray,
    *,
    with_positions: NDArray | None = None,
    fitted: NDArray | None = None,
) -> tuple[NDArray, NDArray, NDArray]:
    """Fit the mean fluxes of all known stars of a region.

    Parameters
    ----------
    image, sigma : (n_pixels,) arrays
        Mean image without the wings of stars, and its error [e-/s]; pixels of
        which either is not finite do not count.
    design : Design
        Of all stars.
    catalog_flux : (n_stars,) array
        [e-/s]
    with_positions : (n_stars,) bool array, optional
        Stars whose positions are fitted, too.
    fitted : (n_stars,) bool array, optional
        The others, whose light is taken off, keep their catalog fluxes; all by default.

    Returns
    -------
    flux, d_row, d_column : (n_stars,) float64 arrays
        [e-/s], [pixels]; a fitted star keeps at least `MIN_FLUX_FRACTION` of its catalog flux.
    """
    n_stars = len(catalog_flux)
    matrix = design.matrices[0]
    usable = np.isfinite(image) & np.isfinite(sigma) & (sigma > 0)
    weights = np.where(usable, 1 / np.where(usable, sigma, 1.0) ** 2, 0.0)
    chosen = np.arange(n_stars) if fitted is None else np.flatnonzero(fitted)
    free = np.flatnonzero(with_positions) if with_positions is not None else np.zeros(0, dtype=int)
    columns = [matrix[:, chosen]]
    columns += [design.matrices[k][:, free] * catalog_flux[free] for k in (1, 2)]
    full = scipy.sparse.hstack(columns, format="csr")
    prior_sigma = np.concatenate(
        [CATALOG_PRIOR_SIGMA * catalog_flux[chosen], np.full(2 * len(free), POSITION_PRIOR_SIGMA)]
    )
    weighted = (full.T * weights).tocsr()
    normal = (weighted @ full).toarray()
    normal[np.diag_indices_from(normal)] += 1 / np.maximum(prior_sigma, 1e-12) ** 2
    residual = np.where(usable, image, 0.0) - matrix @ catalog_flux
    change = scipy.linalg.cho_solve(
        scipy.linalg.cho_factor(normal), weighted @ np.where(usable, residual, 0.0)
    )
    of_flux, of_row, of_column = np.split(change, [len(chosen), len(chosen) + len(free)])
    flux = np.array(catalog_flux, dtype=float)
    flux[chosen] = np.maximum(flux[chosen] + of_flux, MIN_FLUX_FRACTION * flux[chosen])
    d_row, d_column = np.zeros(n_stars), np.zeros(n_stars)
    # What was fitted is flux times displacement, in units of the catalog's flux.
    ratio = catalog_flux[free] / flux[free]
    d_row[free], d_column[free] = of_row * ratio, of_column * ratio
    return flux, d_row, d_column


def pixel_change(prf: Prf) -> float:
    """Fraction of the light in a pixel by which it errs from image to image, 0 to 0.0004.

    It makes bright pixels count for less, and those around them for more. A PRF that is known
    better needs less of it: pixels around bright ones are those of which it is known worst.
    """
    middle = prf.error.shape[0] // 2
    core = slice(max(middle - CORE_HALF, 0), middle + CORE_HALF + 1)
    error = float(np.sqrt(np.mean(prf.error[core, core] ** 2)))
    return PIXEL_CHANGE * min(error / PIXEL_CHANGE_ERROR, 1.0)


def prepare_fit(
    design: Design,
    mean_flux: NDArray,
    fixed: NDArray,
    sigma: NDArray,
    *,
    offset_prior_sigma: float = 1.0,
    moving: NDArray | None = None,
    measured: NDArray | None = None,
) -> GroupFit:
    """Make and factor the normal equations of single images.

    Parameters
    ----------
    design : Design
        Of the stars whose fluxes are free.
    mean_flux : (n_stars,) array
        Of these [e-/s].
    fixed : (6, n_pixels) array
        Light of all other stars, wings included, and its derivatives by motion.
    sigma : (n_pixels,) array
        Error of the pixels in a typical image [e-/s]; those of which it is not
        finite are not used.
    offset_prior_sigma : float
        How wrong the background may be, the same all over the region [e-/s per pixel].
    moving : (n_moving,) int array, optional
        Stars whose positions are free in each image.
    measured : (n_measured,) int array, optional
        Stars of which errors are wanted; all by default.
    """
    measured = np.arange(len(mean_flux)) if measured is None else np.asarray(measured)
    moving = np.zeros(0, dtype=int) if moving is None else np.asarray(moving)
    usable = np.isfinite(sigma) & (sigma > 0)
    weights = np.where(usable, 1 / np.where(usable, sigma, 1.0) ** 2, 0.0)
    n_pixels = design.matrices[0].shape[0]
    columns = [design.matrices[0], scipy.sparse.csr_array(np.ones((n_pixels, 1)))]
    columns += [design.matrices[k][:, moving] * mean_flux[moving] for k in (1, 2)]
    full = scipy.sparse.hstack(columns, format="csr")
    prior_sigma = np.concatenate(
        [
            IMAGE_PRIOR_SIGMA * mean_flux,
            [offset_prior_sigma],
            np.full(2 * len(moving), MOTION_PRIOR_SIGMA),
        ]
    )
    weighted = (full.T * weights).tocsr()
    normal = (weighted @ full).toarray()
    normal[np.diag_indices_from(normal)] += 1 / np.maximum(prior_sigma, 1e-12) ** 2
    factor = scipy.linalg.cho_factor(normal)
    covariance = scipy.linalg.cho_solve(factor, np.eye(len(normal)))
    gain = np.ascontiguousarray((weighted.T @ covariance[measured].T).T)
    return GroupFit(
        design,
        mean_flux,
        fixed,
        moving,
        weighted,
        measured,
        gain,
        prior_sigma,
        covariance,
        weights,
    )


def fit_images(
    fit: GroupFit,
    light: NDArray,
    variance: NDArray,
    d_row: NDArray,
    d_column: NDArray,
    common: tuple[NDArray, NDArray],
    foreign: NDArray | None = None,
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Fit the fluxes of the stars of a region in some images.

    Parameters
    ----------
    fit : GroupFit
    light : (n_pixels, n_images) array
        Background-subtracted [e-/s]; NaN where there is no pixel.
    variance : (n_pixels, n_images) array
        Square of its errors.
    d_row, d_column : (n_stars, n_images) arrays
        Displacement of each star from its position in the average image [pixels]; NaN as zero.
    common : pair of (n_images,) arrays
        The same in the middle of the region.
    foreign : (n_pixels, n_images) bool array, optional
        Pixels with light that is neither of stars nor of the sky. They do not count for stars
        beside them, which it would change through all that is fitted together; those under
        it are fitted with them.

    Returns
    -------
    flux, flux_err : (n_stars, n_images) float64 arrays
        [e-/s]; NaN where pixels are missing that matter for a star, and errors of stars that are
        not measured.
    moved_row, moved_column : (n_moving, n_images) float64 arrays
        Further displacement of the moving stars [pixels].
    """
    d_row, d_column = np.nan_to_num(d_row), np.nan_to_num(d_column)
    moved = d_row, d_column, *(np.nan_to_num(one) for one in common)
    missing = ~(np.isfinite(light) & np.isfinite(variance))
    unknowns = _solve(fit, light, missing, moved, N_ITERATIONS)
    touched = np.flatnonzero(foreign.any(axis=0)) if foreign is not None else np.zeros(0, dtype=int)
    if foreign is not None and touched.size:
        some = missing[:, touched] | foreign[:, touched]
        parts = tuple(one[..., touched] for one in moved)
        masked = _solve(fit, light[:, touched], some, parts, N_MASKED_ITERATIONS)
        under = _lost(fit, foreign[:, touched]) > MAX_MISSING
        # In the order of the unknowns: a star's flux and its positions go together.
        kept = np.concatenate([under, np.zeros((1, len(touched)), bool), *[under[fit.moving]] * 2])
        unknowns[:, touched] = np.where(kept, unknowns[:, touched], masked)
    n_stars, n_moving = len(fit.mean_flux), len(fit.moving)
    flux = fit.mean_flux[:, None] + unknowns[:n_stars]
    error = np.full(flux.shape, np.nan)
    error[fit.measured] = np.sqrt(fit.gain**2 @ np.where(missing, 0.0, variance))
    bad = _lost(fit, missing) > MAX_MISSING
    flux[bad], error[bad] = np.nan, np.nan
    moved_row, moved_column = np.split(unknowns[n_stars + 1 :], [n_moving])
    return flux, error, moved_row, moved_column


def _solve(
    fit: GroupFit,
    light: NDArray,
    missing: NDArray,
    moved: tuple[NDArray, ...],
    n_iterations: int,
) -> NDArray:
    """Unknowns of some images, (n_unknowns, n_images), without the pixels that are missing.

    ``moved``: rows and columns of the stars, and in common, as of `fit_images`, without NaN.
    """
    d_row, d_column, *common = moved
    n_stars, n_moving = len(fit.mean_flux), len(fit.moving)
    factors = taylor_factors(*(one[None] for one in common))
    still = sum(image[:, None] * factor for image, factor in zip(fit.fixed, factors, strict=True))
    remaining = np.where(missing, 0.0, light) - still
    unknowns = np.zeros((len(fit.prior_sigma), light.shape[1]))
    for _ in range(n_iterations):
        flux = fit.mean_flux[:, None] + unknowns[:n_stars]
        down, along = d_row, d_column
        if n_moving:
            down, along = d_row.copy(), d_column.copy()
            down[fit.moving] += unknowns[n_stars + 1 : n_stars + 1 + n_moving]
            along[fit.moving] += unknowns[n_stars + 1 + n_moving :]
        model = fit.design.light(flux, down, along) + unknowns[n_stars]
        residual = np.where(missing, 0.0, remaining - model)
        from_prior = unknowns / np.maximum(fit.prior_sigma, 1e-12)[:, None] ** 2
        unknowns = unknowns + fit.covariance @ (fit.weighted @ residual - from_prior)
    return unknowns


def _lost(fit: GroupFit, pixels: NDArray) -> NDArray:
    """Fraction of each star's weight on some pixels (n_pixels, n_images), (n_stars, n_images)."""
    power = (fit.design.matrices[0].T ** 2) * fit.weights
    return (power @ pixels.astype(float)) / np.maximum(power.sum(axis=1), 1e-300)[:, None]
