"""By what the positions of a catalog are off in the images of a CCD."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.affine import displacement


@dataclass(frozen=True)
class CatalogShift:
    """How the catalog is set right for an image whose WCS, or whose positions, are off.

    Attributes
    ----------
    motion : (6,) float64 array
        Affine displacement of all stars, see `tessphot_lib.core.affine`; zeros: none.
    d_row, d_column : float
        In the middle of the window [pixels].
    n_stars : int
        That show it; 0 where none is applied.
    """

    motion: NDArray = field(default_factory=lambda: np.zeros(6))
    d_row: float = 0.0
    d_column: float = 0.0
    n_stars: int = 0

    def places(self, row: NDArray, column: NDArray) -> tuple[NDArray, NDArray]:
        """Return positions (n,) [science pixels] set right."""
        d_row, d_column = displacement(self.motion[None], row, column)
        return row + d_row[0], column + d_column[0]

    def to_array(self) -> NDArray:
        """Numbers for files, (9,): ``motion``, ``d_row``, ``d_column``, ``n_stars``."""
        return np.array([*self.motion, self.d_row, self.d_column, self.n_stars])

    @classmethod
    def from_array(cls, values: NDArray) -> Self:
        """Read them back; none from an empty array."""
        if not len(values):
            return cls()
        d_row, d_column, n_stars = values[6:9]
        return cls(np.array(values[:6]), float(d_row), float(d_column), int(n_stars))
