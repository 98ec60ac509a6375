"""Systematics and the variability of a star, fitted together.

The variability is a Gaussian process with a Matern-3/2 kernel, solved by
celerite2 [1]_ in a time that grows with the number of points only; the linear
coefficients of the systematics are integrated out.

References
----------
.. [1] Foreman-Mackey et al. 2017, AJ 154, 220; Foreman-Mackey 2018, RNAAS 2, 31.
"""

from dataclasses import dataclass

import celerite2
import numpy as np
import scipy
from celerite2 import terms
from numpy.typing import NDArray

from tessphot_lib.core.constants import MAD_TO_SIGMA

MAX_POINTS = 1000  # of a fit; more are averaged in groups of neighbors first
MEDIAN_POINTS = 7  # of the running median that isolated outliers are compared with
OUTLIER_ALONE = 6.0  # [sigma] from there
OUTLIER = 4.0  # [sigma] points that lie off the fit by more are left out of it
TIME_SCALES = (0.06, 0.3, 1.5, 7.0)  # [d] of the variability, where the search begins
N_AMPLITUDES = 4
FINEST_STEP = 1.3  # factor between amplitudes and time scales that are tried in the end
LEAST_PROMISE = -3.0  # of the evidence on the grid, for a model to be looked at more closely
MIN_TIME_SCALE, MAX_TIME_SCALE = 0.02, 30.0  # [d]
LEVEL_SIGMA = 3.0  # of the prior of the mean level, in units of the flux's scatter


@dataclass(frozen=True)
class LinearModel:
    """A description of the systematics: some columns, and several widths of their prior.

    Attributes
    ----------
    columns : (n,) int array
        Of all the regressors.
    prior_mean : (n,) array
        Of the coefficients.
    prior_sigma : (n_widths, n) array
        Widths of their prior to choose from.
    log_odds : (n_widths,) array
        Logarithm of the prior odds of each width.
    """

    columns: NDArray
    prior_mean: NDArray
    prior_sigma: NDArray
    log_odds: NDArray


@dataclass(frozen=True)
class _Best:
    """The most probable kernel found so far for a model, and its width."""

    likelihood: float = -np.inf
    amplitude: float = 0.0
    scale: float = 1.0
    width: int = 0


LEVEL_ALONE = LinearModel(np.zeros(0, dtype=int), np.zeros(0), np.zeros((1, 0)), np.zeros(1))


class JointFit:
    """Fits of a light curve by a Gaussian process, with the level alone and with linear models.

    Parameters
    ----------
    time, relative : (n_points,) arrays
        [d], increasing; relative flux about zero. Without NaN.
    values : (n_points, n_columns) array
        All regressors of all models.
    models : list of LinearModel

    Attributes
    ----------
    best : int
        Index of the most probable model.
    evidence : float
        Logarithm of the evidence for it over the level alone.
    """

    def __init__(
        self, time: NDArray, relative: NDArray, values: NDArray, models: list[LinearModel]
    ) -> None:
        self.noise = point_scatter(relative)
        average = _Average(len(time))
        self.time, self.flux = average(time), average(relative)
        design = np.column_stack([average(values), np.ones(len(self.time))])
        self.stacked = np.column_stack([self.flux, design])
        self.models = [LEVEL_ALONE, *models]
        self.scatter = max(float(np.std(self.flux)), self.noise)
        alone = np.abs(
            relative - scipy.ndimage.median_filter(relative, MEDIAN_POINTS, mode="nearest")
        )
        isolated = np.maximum.reduceat(alone > OUTLIER_ALONE * self.noise, average.first)
        self.diagonal = self.noise**2 / average.count + isolated * (10 * self.scatter) ** 2
        self.priors = [self._priors(model) for model in self.models]
        self._search()
        if self._leave_out_outliers():
            self._search()
        best = self._most_probable()
        if self._gain(best) > LEAST_PROMISE:
            self._refine(0)
            self._refine(best)
            best = self._most_probable()
        self.best, self.evidence = best - 1, self._gain(best)

    def coefficients(self) -> tuple[NDArray, NDArray]:
        """Posterior mean (n,) and covariance (n, n) of the coefficients of the best model."""
        found = self.found[self.best + 1]
        columns, mean, widths = self.priors[self.best + 1]
        sigma = widths[found.width]
        products, _ = self._products(found.amplitude, found.scale)
        normal, right = _normal(products, columns, mean, sigma[None])
        inverse = np.linalg.inv(normal[0])
        covariance = sigma[:, None] * inverse * sigma
        return (mean + sigma * (inverse @ right[0]))[:-1], covariance[:-1, :-1]

    def _most_probable(self) -> int:
        return max(range(1, len(self.models)), key=self._gain)

    def _gain(self, index: int) -> float:
        return self.found[index].likelihood - self.found[0].likelihood

    def _search(self) -> None:
        """Try all models on a coarse grid of amplitudes and time scales."""
        self.found = [_Best()] * len(self.models)
        for amplitude in np.geomspace(0.3 * self.noise, 2 * self.scatter, N_AMPLITUDES):
            for scale in TIME_SCALES:
                self._try(float(amplitude), scale)

    def _refine(self, index: int) -> None:
        """Follow the likelihood of one model uphill."""
        step = 2.0
        while step > FINEST_STEP:
            before = self.found[index]
            amplitude, scale = before.amplitude, before.scale
            self._try(amplitude * step, scale)
            self._try(amplitude / step, scale)
            self._try(amplitude, min(scale * step, MAX_TIME_SCALE))
            self._try(amplitude, max(scale / step, MIN_TIME_SCALE))
            if self.found[index].likelihood < before.likelihood + 0.1:
                step = np.sqrt(step)

    def _try(self, amplitude: float, scale: float) -> None:
        """Compute the likelihood of all models with one kernel; keep what is better."""
        products, log_determinant = self._products(amplitude, scale)
        for index, model in enumerate(self.models):
            columns, mean, sigma = self.priors[index]
            normal, right = _normal(products, columns, mean, sigma)
            square = products[np.ix_(columns, columns)]
            offset = -2 * mean @ products[columns, 0] + mean @ square @ mean
            solved = np.linalg.solve(normal, right[..., None])[..., 0]
            chi_squared = products[0, 0] + offset - np.einsum("wi,wi->w", right, solved)
            likelihood = model.log_odds - 0.5 * (
                chi_squared + log_determinant + np.linalg.slogdet(normal)[1]
            )
            width = int(np.argmax(likelihood))
            if likelihood[width] > self.found[index].likelihood:
                self.found[index] = _Best(float(likelihood[width]), amplitude, scale, width)

    def _products(self, amplitude: float, scale: float) -> tuple[NDArray, float]:
        """Scalar products of flux, regressors and level, and the determinant (logarithm)."""
        gp = celerite2.GaussianProcess(terms.Matern32Term(sigma=amplitude, rho=scale))
        gp.compute(self.time, diag=self.diagonal, check_sorted=False, quiet=True)
        return self.stacked.T @ gp.apply_inverse(self.stacked), float(np.sum(np.log(gp._d)))

    def _priors(self, model: LinearModel) -> tuple[NDArray, NDArray, NDArray]:
        """Columns of a model with the level, prior means, and widths (n_widths, n_columns)."""
        columns = np.append(model.columns, self.stacked.shape[1] - 2) + 1
        mean = np.append(model.prior_mean, 0.0)
        level = np.full((len(model.log_odds), 1), LEVEL_SIGMA * self.scatter)
        return columns, mean, np.hstack([np.maximum(model.prior_sigma, 1e-12), level])

    def _leave_out_outliers(self) -> bool:
        """Give no weight to points far off the smooth variability; say whether there are any."""
        kernel = terms.Matern32Term(sigma=self.found[0].amplitude, rho=self.found[0].scale)
        gp = celerite2.GaussianProcess(kernel)
        gp.compute(self.time, diag=self.diagonal, check_sorted=False, quiet=True)
        residual = self.diagonal * gp.apply_inverse(self.flux - np.median(self.flux))
        outlying = np.abs(residual) > OUTLIER * np.sqrt(self.diagonal)
        self.diagonal = np.where(outlying, (10 * self.scatter) ** 2, self.diagonal)
        return bool(outlying.any())


def _normal(
    products: NDArray, columns: NDArray, mean: NDArray, sigma: NDArray
) -> tuple[NDArray, NDArray]:
    """Normal equations whitened by the prior, for each width: well conditioned in any units."""
    square = products[np.ix_(columns, columns)]
    normal = np.eye(len(columns)) + sigma[:, :, None] * square * sigma[:, None, :]
    return normal, sigma * (products[columns, 0] - square @ mean)


class _Average:
    """Means of groups of neighboring points, where there are very many points."""

    def __init__(self, n_points: int) -> None:
        self.group = np.arange(n_points) // -(-n_points // MAX_POINTS)
        self.count = np.bincount(self.group)
        self.first = np.flatnonzero(np.diff(self.group, prepend=-1))

    def __call__(self, values: NDArray) -> NDArray:
        """Average over the first axis."""
        if values.ndim == 1:
            return np.bincount(self.group, values) / self.count
        return np.column_stack([self(column) for column in values.T])


def point_scatter(values: NDArray) -> float:
    """White noise of a series from its second differences, robust; NaN with fewer than 5."""
    if len(values) < 5:
        return np.nan
    second = values[2:] - 2 * values[1:-1] + values[:-2]
    return MAD_TO_SIGMA * float(np.median(np.abs(second))) / np.sqrt(6)
