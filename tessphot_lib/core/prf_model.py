"""The pixel response function of a CCD, as plain arrays."""

from dataclasses import dataclass

from numpy.typing import NDArray

from tessphot_lib.core.constants import ZEROPOINT_ERROR
from tessphot_lib.core.errors import InputDataError


@dataclass(frozen=True)
class Prf:
    """Pixel response function of a CCD: what a star at any position gives to any pixel.

    The fraction of a star's light in a pixel is a smooth surface of the pixel's
    distance from the star, ``sum_jk coefficients[.., j, k] b_j(d_row) b_k(d_column)``
    with cubic B-splines ``b`` on a regular grid about the star, which fall to zero
    at the edge of the grid, and a round wing about it. All pixels of the plane sum
    to 1. Evaluate it with `tessphot_lib.prf.evaluate`.

    Attributes
    ----------
    node_row, node_column : (n_node_rows,), (n_node_columns,) arrays
        Positions on the CCD where the surface is given [science pixels].
    coefficients : (n_node_rows, n_node_columns, n, n) array
        n is odd; the middle spline sits on the star.
    spacing : float
        Distance of the splines [pixels].
    interpolation : {'cubic', 'linear'}
        Between the nodes.
    wing_radius, wing_share : (n_rings,) arrays
        Fraction of the light in a pixel by its distance [pixels]; constant within
        the first, interpolated in logarithms, falling with the cube of the
        distance beyond the last.
    error : (n_error, n_error) array
        Typical relative error by the distance of the pixel from the star in
        whole pixels, as a fraction of the star's light; the middle is the star.
    zeropoint : float
        [mag] Tmag of a star whose whole light is 1 e-/s.
    source : str
        Where it is from.
    zeropoint_error : float
        [mag] 1 sigma.
    zeropoint_stars : int
        Number of stars that the zero point is measured from; 0: the mission's is assumed.
    """

    node_row: NDArray
    node_column: NDArray
    coefficients: NDArray
    spacing: float
    interpolation: str
    wing_radius: NDArray
    wing_share: NDArray
    error: NDArray
    zeropoint: float
    source: str
    zeropoint_error: float = ZEROPOINT_ERROR
    zeropoint_stars: int = 0

    def __post_init__(self) -> None:
        expected = len(self.node_row), len(self.node_column)
        shape = self.coefficients.shape
        if len(shape) != 4 or shape[:2] != expected or shape[2] != shape[3] or shape[2] % 2 != 1:
            raise InputDataError(f"PRF: coefficients are {shape}, expected {(*expected, 'n', 'n')}")
        if self.interpolation not in ("cubic", "linear"):
            raise InputDataError(f"PRF: interpolation is {self.interpolation!r}")
        if len(self.wing_radius) != len(self.wing_share):
            raise InputDataError(
                f"PRF: {len(self.wing_radius)} radii of wings, {len(self.wing_share)} fractions"
            )

    @property
    def half_size(self) -> float:
        """Distance from the star beyond which there is nothing but the wing [pixels]."""
        return self.spacing * (self.coefficients.shape[2] // 2 + 2)
