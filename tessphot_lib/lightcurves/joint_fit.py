"""Systematics and the variability of a star, fitted together.

The variability is a Gaussian process with a Matern-3/2 kernel, solved by
celerite2 [1]_ in a time that grows with the number of points only; the linear
coefficients of the systematics are integrated out.

With the covariance of variability and noise ``K = L D L'``, all that the likelihoods of
all models need of the points are the scalar products of ``L^-1`` times flux, regressors
and level, weighted by ``1 / D``. These are computed once for each kernel that is tried;
what remains are small matrices, those of several kernels and priors at once.

References
----------
.. [1] Foreman-Mackey et al. 2017, AJ 154, 220; Foreman-Mackey 2018, RNAAS 2, 31.
"""

from dataclasses import dataclass

import numpy as np
import scipy
from celerite2 import driver
from numpy.typing import NDArray

from tessphot_lib.core.constants import MAD_TO_SIGMA
from tessphot_lib.core.medians import median

MAX_POINTS = 1000  # of a fit; more are averaged in groups of neighbors first
MEDIAN_POINTS = 7  # of the running median that isolated outliers are compared with
OUTLIER_ALONE = 6.0  # [sigma] from there
OUTLIER = 4.0  # [sigma] points that lie off the fit by more are left out of it
TIME_SCALES = (0.06, 0.3, 1.5, 7.0)  # [d] of the variability, where the search begins
N_AMPLITUDES = 4
FINEST_STEP = 1.3  # factor between amplitudes and time scales that are tried in the end
LEAST_PROMISE = -3.0  # of the evidence on the grid, for a model to be looked at more closely
MIN_TIME_SCALE, MAX_TIME_SCALE = 0.02, 30.0  # [d]
LEAST_SIGMA = 1e-12  # of a prior: a coefficient that is known
LEVEL_SIGMA = 3.0  # of the prior of the mean level, in units of the flux's scatter
# Two nearly equal exponentials and waves stand for the Matern-3/2 kernel; celerite2's default.
KERNEL_EPSILON = 0.01


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
    values : (n_columns, n_points) array
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
        self.kernels = Kernels(average(time))
        self.flux = average(relative)
        level = np.ones(len(self.flux))
        self.stacked = np.column_stack([self.flux, *average(values), level])
        self.models = [LEVEL_ALONE, *models]
        self.scatter = max(float(np.std(self.flux)), self.noise)
        alone = np.abs(
            relative - scipy.ndimage.median_filter(relative, MEDIAN_POINTS, mode="nearest")
        )
        isolated = np.maximum.reduceat(alone > OUTLIER_ALONE * self.noise, average.first)
        self.diagonal = self.noise**2 / average.count + isolated * (10 * self.scatter) ** 2
        self.whitening = [self._whitening(model) for model in self.models]
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
        model, found = self.models[self.best + 1], self.found[self.best + 1]
        products, _ = self._products([(found.amplitude, found.scale)])
        equations = _whitened(products, self.whitening[self.best + 1])[0, found.width]
        inverse = np.linalg.inv(equations[:-1, :-1])
        sigma = np.maximum(model.prior_sigma[found.width], LEAST_SIGMA)
        mean = model.prior_mean + sigma * (inverse @ equations[:-1, -1])[:-1]
        return mean, sigma[:, None] * inverse[:-1, :-1] * sigma

    def _most_probable(self) -> int:
        return max(range(1, len(self.models)), key=self._gain)

    def _gain(self, index: int) -> float:
        return self.found[index].likelihood - self.found[0].likelihood

    def _search(self) -> None:
        """Try all models on a coarse grid of amplitudes and time scales."""
        self.found = [_Best()] * len(self.models)
        self.tried: set[tuple[float, float]] = set()
        amplitudes = np.geomspace(0.3 * self.noise, 2 * self.scatter, N_AMPLITUDES)
        self._try([(float(amplitude), scale) for amplitude in amplitudes for scale in TIME_SCALES])

    def _refine(self, index: int) -> None:
        """Follow the likelihood of one model uphill."""
        step = 2.0
        while step > FINEST_STEP:
            before = self.found[index]
            amplitude, scale = before.amplitude, before.scale
            self._try(
                [
                    (amplitude * step, scale),
                    (amplitude / step, scale),
                    (amplitude, min(scale * step, MAX_TIME_SCALE)),
                    (amplitude, max(scale / step, MIN_TIME_SCALE)),
                ]
            )
            if self.found[index].likelihood < before.likelihood + 0.1:
                step = np.sqrt(step)

    def _try(self, kernels: list[tuple[float, float]]) -> None:
        """Compute the likelihood of all models with some kernels; keep what is better."""
        kernels = [one for one in kernels if self._is_new(*one)]
        if not kernels:
            return
        products, log_determinant = self._products(kernels)
        for index, model in enumerate(self.models):
            # The last pivot of the Cholesky decomposition of normal equations is what they leave
            # of the flux's own product: chi squared.
            pivots = np.diagonal(
                np.linalg.cholesky(_whitened(products, self.whitening[index])), 0, 2, 3
            )
            log_volume = 2 * np.log(pivots[..., :-1]).sum(axis=-1)
            likelihood = model.log_odds - 0.5 * (
                pivots[..., -1] ** 2 + log_determinant[:, None] + log_volume
            )
            kernel, width = np.unravel_index(int(np.argmax(likelihood)), likelihood.shape)
            highest = float(likelihood[kernel, width])
            if highest > self.found[index].likelihood:
                self.found[index] = _Best(highest, *kernels[kernel], int(width))

    def _is_new(self, amplitude: float, scale: float) -> bool:
        """Whether a kernel has not been tried with these weights of the points; note it."""
        kernel = round(np.log(amplitude), 6), round(np.log(scale), 6)
        is_new = kernel not in self.tried
        self.tried.add(kernel)
        return is_new

    def _products(self, kernels: list[tuple[float, float]]) -> tuple[NDArray, NDArray]:
        """Scalar products of flux, regressors and level, and determinants (logarithm)."""
        size = self.stacked.shape[1]
        products, log_determinant = np.empty((len(kernels), size, size)), np.empty(len(kernels))
        for index, kernel in enumerate(kernels):
            variance, solved = self.kernels.solve(*kernel, self.diagonal, self.stacked)
            solved *= (1 / np.sqrt(variance))[:, None]
            products[index] = solved.T @ solved
            log_determinant[index] = np.log(variance).sum()
        return products, log_determinant

    def _whitening(self, model: LinearModel) -> NDArray:
        """What makes of flux, regressors and level those of a model, in units of their priors.

        Its columns and the level times their prior's widths, and what the flux differs by from
        their prior means: (n_widths, n_stacked, n_columns + 2). So the normal equations are
        well conditioned in any units.
        """
        n_columns = len(model.columns)
        whitening = np.zeros((len(model.log_odds), self.stacked.shape[1], n_columns + 2))
        at = np.arange(n_columns)
        whitening[:, 1 + model.columns, at] = np.maximum(model.prior_sigma, LEAST_SIGMA)
        whitening[:, -1, n_columns] = LEVEL_SIGMA * self.scatter
        whitening[:, 0, -1] = 1.0
        whitening[:, 1 + model.columns, -1] = -model.prior_mean
        return whitening

    def _leave_out_outliers(self) -> bool:
        """Give no weight to points far off the smooth variability; say whether there are any."""
        kernel = self.found[0].amplitude, self.found[0].scale
        off = self.flux - median(self.flux)
        residual = self.diagonal * self.kernels.apply_inverse(*kernel, self.diagonal, off)
        outlying = np.abs(residual) > OUTLIER * np.sqrt(self.diagonal)
        self.diagonal = np.where(outlying, (10 * self.scatter) ** 2, self.diagonal)
        return bool(outlying.any())


def _whitened(products: NDArray, whitening: NDArray) -> NDArray:
    """Normal equations of a model, for each kernel and width of the prior, the flux last.

    (n_kernels, n_widths, n, n) of products (n_kernels, n_stacked, n_stacked). Added to the
    diagonal are the prior, and 1 to the flux's own product: chi squared is larger by 1 for all,
    and the equations are positive also where the flux is 0 everywhere.
    """
    equations = whitening.transpose(0, 2, 1) @ products[:, None] @ whitening
    return equations + np.eye(equations.shape[-1])


class Kernels:
    """Matern-3/2 kernels of any amplitude and scale on some points (n,), for celerite2's driver.

    `celerite2.GaussianProcess` does the same; but half of its time goes into preparing what
    all kernels have in common.
    """

    def __init__(self, time: NDArray) -> None:
        self.time = time
        phase = KERNEL_EPSILON * (time - time[0])
        self.waves = np.column_stack([np.cos(phase), np.sin(phase)])
        self.slopes = np.column_stack([np.sin(phase), -np.cos(phase)])

    def _factored(
        self, amplitude: float, scale: float, diagonal: NDArray
    ) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Rates and left matrix of a kernel, variances and right matrix of its decomposition."""
        rate = np.sqrt(3.0) / scale
        left = amplitude**2 * (self.waves + rate / KERNEL_EPSILON * self.slopes)
        rates = np.full(2, rate)
        variance, right = np.empty(len(self.time)), np.empty(left.shape)
        driver.factor(self.time, rates, diagonal + amplitude**2, left, self.waves, variance, right)
        return rates, left, variance, right

    def solve(
        self, amplitude: float, scale: float, diagonal: NDArray, columns: NDArray
    ) -> tuple[NDArray, NDArray]:
        """``D`` (n,) of ``L D L'``, and ``L^-1`` times columns (n, m); see the module."""
        rates, left, variance, right = self._factored(amplitude, scale, diagonal)
        solved = np.empty(columns.shape)
        driver.solve_lower(self.time, rates, left, right, columns, solved)
        return variance, solved

    def apply_inverse(
        self, amplitude: float, scale: float, diagonal: NDArray, values: NDArray
    ) -> NDArray:
        """Multiply values (n,) by the inverse covariance."""
        rates, left, variance, right = self._factored(amplitude, scale, diagonal)
        solved = np.empty((len(values), 1))
        driver.solve_lower(self.time, rates, left, right, values[:, None], solved)
        solved /= variance[:, None]
        driver.solve_upper(self.time, rates, left, right, solved, solved)
        return solved[:, 0]


class _Average:
    """Means of groups of neighboring points, where there are very many points."""

    def __init__(self, n_points: int) -> None:
        self.first = np.arange(0, n_points, -(-n_points // MAX_POINTS))
        self.count = np.diff(self.first, append=n_points)

    def __call__(self, values: NDArray) -> NDArray:
        """Average points (..., n_points)."""
        return np.add.reduceat(values, self.first, axis=-1) / self.count


def point_scatter(values: NDArray) -> float:
    """White noise of a series from its second differences, robust; NaN with fewer than 5."""
    if len(values) < 5:
        return np.nan
    second = values[2:] - 2 * values[1:-1] + values[:-2]
    return MAD_TO_SIGMA * median(np.abs(second)) / np.sqrt(6)
