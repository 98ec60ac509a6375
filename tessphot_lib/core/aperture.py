"""The pixels that a star is measured with, and what is known of the light in them."""

from dataclasses import KW_ONLY, dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.stamps import values_at


@dataclass(frozen=True)
class ApertureLight:
    """What is known of the light in one aperture.

    Attributes
    ----------
    crowdsap : float
        Fraction of the light of known stars in the aperture that is the target's,
        0 to 1 (1: no dilution); NaN where there is none.
    flfrcsap : float
        Fraction of the target's light that the aperture holds, 0 to 1.
    motion : (5,) float64 array
        How the light in the aperture changes when the image moves: derivatives
        by row and column [e-/s/pixel], and by row twice, row and column,
        column twice [e-/s/pixel**2].
    unexplained : (2,) float64 array
        What the average image has more than the known stars of the first two of these
        derivatives [e-/s/pixel].

    Notes
    -----
    Definitions as those of the keywords CROWDSAP and FLFRCSAP of the mission
    (TESS Science Data Products Description Document, EXP-TESS-ARC-ICD-0014):
    the undiluted flux is ``(F - (1 - CROWDSAP) median(F)) / FLFRCSAP``.
    """

    crowdsap: float
    flfrcsap: float
    motion: NDArray
    unexplained: NDArray = field(default_factory=lambda: np.zeros(2))


@dataclass(frozen=True)
class Aperture:
    """Pixels of one star: chosen, listed in ``todo.sqlite``, or measured with.

    Attributes
    ----------
    window : Window
        The stamp: pixels around the star.
    mask : (n_rows, n_columns) bool array
        True for the pixels of the window that are summed.
    light : ApertureLight or None
        Whose light it holds; None where that is not known.
    is_minimum : bool
        The star did not stand out: the mask is the pixels around its position.
    is_limited : bool
        A pixel beside the mask is missing, or lies beyond the edge: it might be larger.
    has_unknown_light : bool
        There is a magnitude more light in it than the known stars give: some star is
        not known, or much brighter than it should be.
    unlisted_fraction : float
        Fraction of the known light in it that is of sources that the list lacks.
    static_error : float
        What the extended light under the star may be wrong by in all of its pixels, as a
        fraction of the star's expected flux.
    cut_flux : float
        Flux in the average image of its pixels beyond which it would go on: those
        beside missing pixels, or on the edge of the stamp [e-/s].
    is_automatic : bool
        The rules of ``photometry.auto`` chose the star's method.
    findings : str or None
        What the todo list warns of whatever the star's method; the star's status becomes
        a warning with it. (What its method adds: `tessphot_lib.photometry.choice.warnings_of`.)
    """

    window: Window
    mask: NDArray
    _: KW_ONLY
    light: ApertureLight | None = None
    is_minimum: bool = False
    is_limited: bool = False
    has_unknown_light: bool = False
    unlisted_fraction: float = 0.0
    static_error: float = 0.0
    cut_flux: float = 0.0
    is_automatic: bool = False
    findings: str | None = None

    def __post_init__(self) -> None:
        if self.mask.shape != self.window.shape:
            raise ValueError(f"mask is {self.mask.shape}, the window {self.window.shape}")

    @classmethod
    def whole(cls, window: Window) -> Self:
        """All pixels of a window."""
        return cls(window, np.ones(window.shape, dtype=bool))

    def contains(self, row: NDArray, column: NDArray) -> NDArray:
        """Which positions (n,) [science pixels] fall on a pixel of the mask, (n,) bool."""
        return values_at(self.mask, self.window, row, column, outside=False)

    def bounding_window(self) -> Window:
        """Smallest window around the pixels of the mask; the first of the stamp without any."""
        return self.window.bounding(self.mask)
