"""Where pixels are: the CCD of a sector, and windows of its science pixels.

Pixel coordinates are ``(row, column)``, zero-based, on the science pixels of one CCD.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import SCIENCE_COLUMNS, SCIENCE_ROWS
from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.sectors import MAX_SECTOR


@dataclass(frozen=True, order=True)
class CcdId:
    """One CCD in one sector: the unit the pipeline is parallel over.

    Attributes
    ----------
    sector, camera, ccd : int
    cadence : int
        Of the target pixel files [s]; 0: the full-frame images, or cutouts of them.
    """

    sector: int
    camera: int
    ccd: int
    cadence: int = 0

    def __post_init__(self) -> None:
        if not (1 <= self.sector <= MAX_SECTOR and 1 <= self.camera <= 4 and 1 <= self.ccd <= 4):
            raise ConfigError(
                f"no such CCD: sector {self.sector}, camera {self.camera}, CCD {self.ccd}"
            )

    def __str__(self) -> str:
        cadence = f"-c{self.cadence:04d}" if self.cadence else ""
        return f"s{self.sector:04d}-cam{self.camera}-ccd{self.ccd}{cadence}"

    @classmethod
    def from_string(cls, text: str) -> Self:
        """Parse ``s0014-cam1-ccd1`` or ``s0014-cam1-ccd1-c0120``, as `str` writes it."""
        match = re.fullmatch(r"s(\d{4})-cam([1-4])-ccd([1-4])(?:-c(\d{4}))?", text)
        if match is None:
            raise ConfigError(f"not the name of a CCD (like s0014-cam1-ccd1): {text!r}")
        return cls(*(int(number or 0) for number in match.groups()))

    @property
    def of_images(self) -> Self:
        """The same CCD in the full-frame images."""
        return replace(self, cadence=0)

    @property
    def has_stamps(self) -> bool:
        """Whether its pixels are from target pixel files."""
        return self.cadence > 0


@dataclass(frozen=True)
class Window:
    """A rectangle of science pixels, rows ``row0`` to ``row1 - 1`` and so on."""

    row0: int = 0
    row1: int = SCIENCE_ROWS
    column0: int = 0
    column1: int = SCIENCE_COLUMNS

    def __post_init__(self) -> None:
        if not (
            0 <= self.row0 < self.row1 <= SCIENCE_ROWS
            and 0 <= self.column0 < self.column1 <= SCIENCE_COLUMNS
        ):
            raise ConfigError(
                f"window {self.as_list()} is empty or leaves the CCD: [row0, row1, column0, "
                f"column1] must lie in 0..{SCIENCE_ROWS}, 0..{SCIENCE_COLUMNS}, first < last"
            )

    @classmethod
    def from_config(cls, window: list[int] | None) -> Self:
        """Build from ``input.window``: four numbers, or None for the whole CCD."""
        return cls() if window is None else cls(*(int(value) for value in window))

    def as_list(self) -> list[int]:
        """Return ``[row0, row1, column0, column1]``."""
        return [self.row0, self.row1, self.column0, self.column1]

    @property
    def shape(self) -> tuple[int, int]:
        """(number of rows, number of columns)."""
        return self.row1 - self.row0, self.column1 - self.column0

    @classmethod
    def around(
        cls, row: int, column: int, half: int | tuple[int, int], limits: "Window | None" = None
    ) -> "Window | None":
        """Return the pixels around one, as far as ``limits``, or the CCD, go; None off them.

        Parameters
        ----------
        row, column : int
            The pixel in the middle.
        half : int, or (int, int)
            [pixels] on each side of it, along rows and columns if these differ.
        limits : Window, optional
        """
        limits = cls() if limits is None else limits
        half_rows, half_columns = (half, half) if isinstance(half, int) else half
        row0, row1 = max(row - half_rows, limits.row0), min(row + half_rows + 1, limits.row1)
        column0 = max(column - half_columns, limits.column0)
        column1 = min(column + half_columns + 1, limits.column1)
        return cls(row0, row1, column0, column1) if row0 < row1 and column0 < column1 else None

    @classmethod
    def enclosing(cls, windows: Sequence["Window"]) -> Self:
        """Return the smallest window that holds some windows, of which there must be any."""
        return cls(
            min(one.row0 for one in windows),
            max(one.row1 for one in windows),
            min(one.column0 for one in windows),
            max(one.column1 for one in windows),
        )

    def bounding(self, mask: NDArray) -> "Window":
        """Return the smallest window around the True pixels of a mask of this window.

        ``mask`` is (n_rows, n_columns) bool; without any it is the first pixel.
        """
        rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        if not rows.size:
            return Window(self.row0, self.row0 + 1, self.column0, self.column0 + 1)
        return Window(
            self.row0 + int(rows[0]),
            self.row0 + int(rows[-1]) + 1,
            self.column0 + int(columns[0]),
            self.column0 + int(columns[-1]) + 1,
        )

    def slices_in(self, outer: "Window") -> tuple[slice, slice]:
        """Return the slices that cut this window out of an array that covers ``outer``."""
        return (
            slice(self.row0 - outer.row0, self.row1 - outer.row0),
            slice(self.column0 - outer.column0, self.column1 - outer.column0),
        )

    def contains(self, row: NDArray, column: NDArray, *, margin: float = 0.0) -> NDArray:
        """Return which positions fall on a pixel of the window or beside it.

        Parameters
        ----------
        row, column : (n,) arrays
            [science pixels]; NaN is nowhere.
        margin : float
            [pixels] around the window that count, too, beyond the edge of the CCD as well:
            a star there gives light to pixels, which the window of `widened` would miss.

        Returns
        -------
        (n,) bool array
        """
        edge = 0.5 + margin
        return (
            (row >= self.row0 - edge)
            & (row < self.row1 - 1 + edge)
            & (column >= self.column0 - edge)
            & (column < self.column1 - 1 + edge)
        )

    def intersect(self, other: "Window") -> "Window | None":
        """Return the common part, or None where there is none."""
        row0, row1 = max(self.row0, other.row0), min(self.row1, other.row1)
        column0, column1 = max(self.column0, other.column0), min(self.column1, other.column1)
        if row0 >= row1 or column0 >= column1:
            return None
        return Window(row0, row1, column0, column1)

    def widened(self, margin: int, limits: "Window | None" = None) -> "Window":
        """Return the window with a margin around it, as far as ``limits``, or the CCD, go.

        Parameters
        ----------
        margin : int
            [pixels] on each side.
        limits : Window, optional
            Has pixels in common with this one.
        """
        limits = Window() if limits is None else limits
        return Window(
            max(self.row0 - margin, limits.row0),
            min(self.row1 + margin, limits.row1),
            max(self.column0 - margin, limits.column0),
            min(self.column1 + margin, limits.column1),
        )

    @property
    def middle(self) -> tuple[float, float]:
        """(row, column) of the middle of the window; between pixels where a side is even."""
        return 0.5 * (self.row0 + self.row1 - 1), 0.5 * (self.column0 + self.column1 - 1)
