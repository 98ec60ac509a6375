"""The data that flow between the steps of the pipeline.

Plain, immutable containers: they check that their arrays belong together, and
know nothing about files or algorithms.

Pixel coordinates are ``(row, column)``, zero-based, on the science pixels of
one CCD; cubes are ``(cadence, row, column)``. Times are BTJD (BJD_TDB minus
2457000.0, days) and fluxes e-/s unless a name says otherwise.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.constants import SCIENCE_COLUMNS, SCIENCE_ROWS
from tessphot_lib.errors import ConfigError, InputDataError


@dataclass(frozen=True, order=True)
class CcdId:
    """One CCD in one sector: the unit the pipeline is parallel over."""

    sector: int
    camera: int
    ccd: int

    def __post_init__(self) -> None:
        if not (self.sector >= 1 and 1 <= self.camera <= 4 and 1 <= self.ccd <= 4):
            raise ConfigError(
                f"no such CCD: sector {self.sector}, camera {self.camera}, CCD {self.ccd}"
            )

    def __str__(self) -> str:
        return f"s{self.sector:04d}-cam{self.camera}-ccd{self.ccd}"

    @classmethod
    def from_string(cls, text: str) -> Self:
        """Parse ``s0014-cam1-ccd1``, as `str` writes it."""
        match = re.fullmatch(r"s(\d{4})-cam([1-4])-ccd([1-4])", text)
        if match is None:
            raise ConfigError(f"not the name of a CCD (like s0014-cam1-ccd1): {text!r}")
        return cls(*map(int, match.groups()))


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

    def slices_in(self, outer: "Window") -> tuple[slice, slice]:
        """Return the slices that cut this window out of an array that covers ``outer``."""
        return (
            slice(self.row0 - outer.row0, self.row1 - outer.row0),
            slice(self.column0 - outer.column0, self.column1 - outer.column0),
        )

    def contains(self, row: NDArray, column: NDArray) -> NDArray:
        """Tell which positions fall on a pixel of the window; NaN falls on none."""
        return (
            (row >= self.row0 - 0.5)
            & (row < self.row1 - 0.5)
            & (column >= self.column0 - 0.5)
            & (column < self.column1 - 0.5)
        )

    def intersect(self, other: "Window") -> "Window | None":
        """Return the common part, or None where there is none."""
        row0, row1 = max(self.row0, other.row0), min(self.row1, other.row1)
        column0, column1 = max(self.column0, other.column0), min(self.column1, other.column1)
        if row0 >= row1 or column0 >= column1:
            return None
        return Window(row0, row1, column0, column1)


@dataclass(frozen=True)
class Exposure:
    """One calibrated full-frame image, or a window of it, in memory.

    Attributes
    ----------
    ccd_id : CcdId
    window : Window
        The science pixels that the arrays cover.
    flux, flux_err : (n_rows, n_columns) float32 array
        Calibrated flux, sky included, and its 1-sigma error [e-/s].
    time_start, time, time_stop : float
        Start, middle and end, barycentric for the CCD's centre [BTJD].
    timecorr : float
        Barycentric correction that is in these times [d] (BARYCORR).
    cadenceno : int
        The mission's number of the image.
    quality : int
        Bitwise `tessphot_lib.flags.CadenceFlag`.
    exposure_time : float
        Time the shutter-less CCD collected light, cosmic-ray trimming and
        dead time taken off [s] (EXPOSURE x 86400).
    header : mapping
        Keywords of the primary and the image header, merged.
    """

    ccd_id: CcdId
    window: Window
    flux: NDArray
    flux_err: NDArray
    time_start: float
    time_stop: float
    timecorr: float
    cadenceno: int
    quality: int
    exposure_time: float
    header: Any = field(repr=False, default=None)

    def __post_init__(self) -> None:
        for name in ("flux", "flux_err"):
            shape = getattr(self, name).shape
            if shape != self.window.shape:
                raise InputDataError(f"{name} is {shape}, the window {self.window.shape}")

    @property
    def time(self) -> float:
        """Middle of the exposure [BTJD]."""
        return 0.5 * (self.time_start + self.time_stop)


@dataclass(frozen=True)
class LightCurve:
    """Brightness of one star over one sector; every array is (n_cadences,).

    Attributes
    ----------
    tic_id : int
        TESS Input Catalog identifier.
    time : float64 array
        Barycentric mid-exposure times for this star [BTJD].
    timecorr : float64 array
        Barycentric correction that is in ``time`` [d].
    cadenceno : int32 array
    flux, flux_err : float64 array
        Background-subtracted flux and its 1-sigma uncertainty [e-/s]; NaN
        where the star could not be measured.
    background : float64 array
        Background that was subtracted, summed over the aperture [e-/s].
    flux_corr, flux_corr_err : float64 array
        Corrected relative flux [ppm]; NaN where no correction was asked for.
    quality : int32 array
        Bitwise `tessphot_lib.flags.LightCurveFlag`; 0 is good.
    pixel_quality : int32 array
        Bitwise `tessphot_lib.flags.CadenceFlag`; 0 is good.
    centroid_row, centroid_column : float64 array
        Flux-weighted centroid [pixels].
    pos_corr_row, pos_corr_column : float64 array
        Image motion at the star against the reference image [pixels].
    """

    tic_id: int
    time: NDArray
    timecorr: NDArray
    cadenceno: NDArray
    flux: NDArray
    flux_err: NDArray
    background: NDArray
    flux_corr: NDArray
    flux_corr_err: NDArray
    quality: NDArray
    pixel_quality: NDArray
    centroid_row: NDArray
    centroid_column: NDArray
    pos_corr_row: NDArray
    pos_corr_column: NDArray

    def __post_init__(self) -> None:
        for name, values in vars(self).items():
            if name != "tic_id" and values.shape != self.time.shape:
                raise InputDataError(
                    f"TIC {self.tic_id}: {name} has shape {values.shape}, "
                    f"time has {self.time.shape}"
                )


@dataclass(frozen=True)
class StarPixels:
    """Pixels that a star was measured with; ``mask`` has the shape of ``window``."""

    window: Window
    mask: NDArray

    def __post_init__(self) -> None:
        if self.mask.shape != self.window.shape:
            raise ValueError(f"mask is {self.mask.shape}, the window {self.window.shape}")


@dataclass(frozen=True)
class StarNotes:
    """What a method of photometry has to say about one star besides its light curve.

    Attributes
    ----------
    header : mapping
        Primary keywords of the light-curve file.
    images : mapping
        Further images of the star's stamp, by the name of their extension.
    diagnostics : mapping
        Columns of the diagnostics that the method knows best, as ``contamination``.
    failure : str or None
        Why the star could not be measured; its arrays are not looked at then.
    remark : str or None
        What makes the star's status a warning.
    method : str or None
        What it was measured by, if by another method than it was to be.
    pixels : StarPixels or None
        Its pixels, if others than those of its aperture; then also its stamp.
    """

    header: Mapping[str, Any] = field(default_factory=dict)
    images: Mapping[str, NDArray] = field(default_factory=dict)
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    failure: str | None = None
    remark: str | None = None
    method: str | None = None
    pixels: StarPixels | None = None


@dataclass(frozen=True)
class StarFluxes:
    """Brightness of many stars in all images, or in some: what a method of photometry gives.

    Every array is (n_stars, n_cadences), float64 unless said.

    Attributes
    ----------
    flux, flux_err : arrays
        Background-subtracted flux and its 1-sigma error [e-/s]; NaN where the
        star could not be measured.
    background : array
        Background that was subtracted, summed over the star's pixels [e-/s].
    centroid_row, centroid_column : arrays
        Where the light is [science pixels]; NaN where it is not known.
    pixel_flags : uint8 array
        Bits of `tessphot_lib.flags.PixelFlag` that any of the star's pixels has.
    notes : tuple of StarNotes, n_stars long
        Nothing to say of any star if left out.
    """

    flux: NDArray
    flux_err: NDArray
    background: NDArray
    centroid_row: NDArray
    centroid_column: NDArray
    pixel_flags: NDArray
    notes: tuple[StarNotes, ...] = ()

    def __post_init__(self) -> None:
        for name in self.array_names():
            shape = getattr(self, name).shape
            if shape != self.flux.shape:
                raise ValueError(f"{name} is {shape}, flux {self.flux.shape}")
        if not self.notes:
            object.__setattr__(self, "notes", (StarNotes(),) * len(self.flux))
        if len(self.notes) != len(self.flux):
            raise ValueError(f"{len(self.notes)} notes on {len(self.flux)} stars")

    @classmethod
    def array_names(cls) -> list[str]:
        """Names of the arrays."""
        return [one.name for one in fields(cls) if one.name != "notes"]

    @classmethod
    def unknown(cls, n_stars: int, n_cadences: int) -> Self:
        """Arrays of NaN without flags, to be filled in."""
        shape = n_stars, n_cadences
        arrays = {name: np.full(shape, np.nan) for name in cls.array_names()}
        return cls(**(arrays | {"pixel_flags": np.zeros(shape, dtype=np.uint8)}))


@dataclass(frozen=True)
class Stamp:
    """What is known about the pixels of one star.

    Attributes
    ----------
    window : Window
        The pixels of the stamp.
    average_image : (n_rows, n_columns) float array
        Average image in the stamp [e-/s]; NaN where there are no pixels.
    aperture : (n_rows, n_columns) int32 array
        Bitwise `tessphot_lib.flags.ApertureFlag`.
    """

    window: Window
    average_image: NDArray
    aperture: NDArray

    def __post_init__(self) -> None:
        for name in ("average_image", "aperture"):
            shape = getattr(self, name).shape
            if shape != self.window.shape:
                raise InputDataError(f"{name} is {shape}, the stamp {self.window.shape}")


@dataclass(frozen=True)
class Prf:
    """Pixel response function of a CCD: what a star at any place gives to any pixel.

    The share of a star's light in a pixel is a smooth surface of the pixel's
    distance from the star, ``sum_jk coefficients[.., j, k] b_j(d_row) b_k(d_column)``
    with cubic B-splines ``b`` on a regular grid about the star, which fall to zero
    at the edge of the grid, and a round wing about it. All pixels of the plane sum
    to 1. Evaluate it with `tessphot_lib.prf`.

    Attributes
    ----------
    node_row, node_column : (n_node_rows,), (n_node_columns,) arrays
        Places on the CCD where the surface is given [science pixels].
    coefficients : (n_node_rows, n_node_columns, n, n) array
        n is odd; the middle spline sits on the star.
    spacing : float
        Distance of the splines [pixels].
    interpolation : {'cubic', 'linear'}
        Between the nodes.
    wing_radius, wing_share : (n_rings,) arrays
        Share of the light in a pixel by its distance [pixels]; constant within
        the first, interpolated in logarithms, falling with the cube of the
        distance beyond the last.
    error : (n_error, n_error) array
        Typical relative error by the distance of the pixel from the star in
        whole pixels, as a share of the star's light; the middle is the star.
    zeropoint : float
        [mag] Tmag of a star whose whole light is 1 e-/s.
    source : str
        Where it is from.
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

    def __post_init__(self) -> None:
        expected = len(self.node_row), len(self.node_column)
        shape = self.coefficients.shape
        if len(shape) != 4 or shape[:2] != expected or shape[2] != shape[3] or shape[2] % 2 != 1:
            raise InputDataError(f"PRF: coefficients are {shape}, expected {(*expected, 'n', 'n')}")
        if self.interpolation not in ("cubic", "linear"):
            raise InputDataError(f"PRF: interpolation is {self.interpolation!r}")
        if len(self.wing_radius) != len(self.wing_share):
            raise InputDataError(
                f"PRF: {len(self.wing_radius)} radii of wings, {len(self.wing_share)} shares"
            )

    @property
    def half_size(self) -> float:
        """Distance from the star beyond which there is nothing but the wing [pixels]."""
        return self.spacing * (self.coefficients.shape[2] // 2 + 2)
