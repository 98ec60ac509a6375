"""Light curves, and what the methods of photometry give.

Times are BTJD (BJD_TDB minus 2457000.0, days) and fluxes e-/s unless a name says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import Window

Cards = Mapping[str, Any]  # keyword: value, or (value, comment), as astropy's headers take them


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
    flux_relative, flux_relative_err : float64 array
        Flux over its median, corrected if that was asked for; NaN where quality is not 0.
    quality : int32 array
        Bitwise `tessphot_lib.core.flags.LightCurveFlag`; 0 is good.
    pixel_quality : int32 array
        Bitwise `tessphot_lib.core.flags.CadenceFlag`; 0 is good.
    centroid_row, centroid_column : float64 array
        Flux-weighted centroid on the detector [science pixels].
    pos_corr_row, pos_corr_column : float64 array
        Image motion at the star against the reference image, on the detector [pixels].
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
    flux_relative: NDArray
    flux_relative_err: NDArray
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

    def __repr__(self) -> str:
        """Say what it holds."""
        n_good = int((self.quality == 0).sum())
        return (
            f"<LightCurve of TIC {self.tic_id}: {counted(len(self.time), 'image')}, {n_good} good>"
        )


@dataclass(frozen=True)
class StarNotes:
    """What a method of photometry has to say about one star besides its light curve.

    Attributes
    ----------
    header : mapping
        Primary keywords of the light-curve file, each with its value, or with value
        and comment.
    images : mapping
        Further images of the star's stamp, by the name of their extension.
    diagnostics : mapping
        Columns of the diagnostics that the method knows best, as ``contamination``.
    failure : str or None
        Why the star could not be measured; its arrays are not looked at then.
    has_pixels : bool
        False if that is for lack of pixels that can be used.
    warning : str or None
        See `tessphot_lib.core.star_warnings`; it makes the star's status a warning.
    method : str or None
        What it was measured by, if by another method than it was to be.
    pixels : Aperture or None
        Its pixels, if others than those of its aperture; then also its stamp.
    """

    header: Cards = field(default_factory=dict)
    images: Mapping[str, NDArray] = field(default_factory=dict)
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    failure: str | None = None
    has_pixels: bool = True
    warning: str | None = None
    method: str | None = None
    pixels: Aperture | None = None


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
        Bits of `tessphot_lib.core.flags.PixelFlag` that any of the star's pixels has.
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
        return cls(
            flux=np.full(shape, np.nan),
            flux_err=np.full(shape, np.nan),
            background=np.full(shape, np.nan),
            centroid_row=np.full(shape, np.nan),
            centroid_column=np.full(shape, np.nan),
            pixel_flags=np.zeros(shape, dtype=np.uint8),
        )


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
        Bitwise `tessphot_lib.core.flags.ApertureFlag`.
    """

    window: Window
    average_image: NDArray
    aperture: NDArray

    def __post_init__(self) -> None:
        for name in ("average_image", "aperture"):
            shape = getattr(self, name).shape
            if shape != self.window.shape:
                raise InputDataError(f"{name} is {shape}, the stamp {self.window.shape}")
