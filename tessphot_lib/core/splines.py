"""Cubic splines through nodes.

The same as `scipy.interpolate.CubicSpline` to rounding, a module whose import takes longer than
many a job evaluates splines.
"""

import numpy as np
from numpy.typing import NDArray

NOT_A_KNOT_NODES = 4  # with fewer nodes the spline between them has natural ends


class CardinalSplines:
    """The splines that are one at one node and zero at the others, for each of the nodes.

    Their values at positions are a matrix that turns values at the nodes into those of the spline
    through them. Its third derivative is continuous at the second node from each end, so that
    cubics are reproduced; with fewer than `NOT_A_KNOT_NODES` its ends are straight.

    Parameters
    ----------
    nodes : (n_nodes,) array
        Increasing; at least two.
    """

    def __init__(self, nodes: NDArray) -> None:
        self.nodes = np.asarray(nodes, dtype=float)
        width, n_nodes = np.diff(self.nodes), len(self.nodes)
        of_bends, of_values = np.eye(n_nodes), np.zeros((n_nodes, n_nodes))
        for node in range(1, n_nodes - 1):
            before, after = width[node - 1 : node + 1]
            around = slice(node - 1, node + 2)
            of_bends[node, around] = before, 2 * (before + after), after
            of_values[node, around] = 6 / before, -6 / before - 6 / after, 6 / after
        if n_nodes >= NOT_A_KNOT_NODES:
            of_bends[0, :3] = width[1], -width[0] - width[1], width[0]
            of_bends[-1, -3:] = width[-1], -width[-1] - width[-2], width[-2]
        # Second derivatives at the nodes, (n_nodes, n_splines).
        self.bends = np.linalg.solve(of_bends, of_values)

    def __call__(self, position: NDArray, derivative: int = 0) -> NDArray:
        """Evaluate all splines, or their first derivatives.

        Parameters
        ----------
        position : (n,) array
            Beyond the outer nodes the outer cubics go on.
        derivative : {0, 1}

        Returns
        -------
        (n, n_nodes) float64 array
        """
        position = np.asarray(position, dtype=float)
        left = np.clip(np.searchsorted(self.nodes, position, "right") - 1, 0, len(self.nodes) - 2)
        width = self.nodes[left + 1] - self.nodes[left]
        part = (position - self.nodes[left]) / width
        rest = 1 - part
        if derivative == 0:
            of_values = rest, part
            of_bends = (one**3 - one for one in (rest, part))
            scale = width**2 / 6
        else:
            of_values = -1 / width, 1 / width
            of_bends = (sign * (3 * one**2 - 1) for sign, one in ((-1, rest), (1, part)))
            scale = width / 6
        result = np.zeros((len(position), len(self.nodes)))
        each = np.arange(len(position))
        for node, of_value, of_bend in zip((left, left + 1), of_values, of_bends, strict=True):
            result[each, node] += of_value
            result += (scale * of_bend)[:, None] * self.bends[node]
        return result
