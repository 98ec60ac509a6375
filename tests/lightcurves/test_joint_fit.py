"""Parts of the joint fit: kernels against celerite2's own interface."""

import celerite2
import numpy as np
import pytest
from celerite2 import terms

from tessphot_lib.lightcurves.joint_fit import Kernels

RNG = np.random.default_rng(1)


def test_kernels_are_those_of_celerite():
    time, diagonal = 1683.0 + np.sort(RNG.uniform(0, 27, 200)), RNG.uniform(0.1, 0.4, 200)
    columns = RNG.normal(size=(200, 3))
    process = celerite2.GaussianProcess(terms.Matern32Term(sigma=0.7, rho=0.9))
    process.compute(time, diag=diagonal)
    kernels = Kernels(time)
    variance, solved = kernels.solve(0.7, 0.9, diagonal, columns)
    products = solved.T @ (solved / variance[:, None])
    np.testing.assert_allclose(products, columns.T @ process.apply_inverse(columns), rtol=1e-9)
    log_likelihood = -0.5 * (products[0, 0] + np.log(variance).sum() + 200 * np.log(2 * np.pi))
    assert log_likelihood == pytest.approx(process.log_likelihood(columns[:, 0]), rel=1e-9)
    found = kernels.apply_inverse(0.7, 0.9, diagonal, columns[:, 1])
    np.testing.assert_allclose(found, process.apply_inverse(columns[:, 1]), rtol=1e-7, atol=1e-9)
