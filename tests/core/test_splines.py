"""Cubic splines against those of scipy, and cubics, which they reproduce."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from tessphot_lib.core.splines import CardinalSplines

UNEVEN = np.array([-3.0, 1.0, 1.5, 4.0, 11.0, 12.0, 20.0])


@pytest.mark.parametrize("derivative", [0, 1])
@pytest.mark.parametrize("n_nodes", [2, 3, 4, 7])
def test_splines_are_those_of_scipy(n_nodes, derivative):
    nodes = UNEVEN[:n_nodes]
    position = np.append(np.linspace(nodes[0] - 2, nodes[-1] + 2, 53), nodes)
    ends = "not-a-knot" if n_nodes > 3 else "natural"
    expected = CubicSpline(nodes, np.eye(n_nodes), bc_type=ends, axis=0)(position, derivative)
    found = CardinalSplines(nodes)(position, derivative)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_cubic_is_reproduced():
    def cubic(x):
        return 2 - x + 0.3 * x**2 - 0.05 * x**3

    position = np.linspace(-5, 22, 40)
    found = CardinalSplines(UNEVEN)(position) @ cubic(UNEVEN)
    np.testing.assert_allclose(found, cubic(position), rtol=1e-9, atol=1e-9)


def test_no_positions():
    assert CardinalSplines(UNEVEN)(np.zeros(0)).shape == (0, 7)
