"""Noise of pixels by the light that they hold: photon noise and read noise.

The variance of a pixel's flux F [e-/s], sky included, is ``read + photon * F``. ``read`` differs
between the four outputs of a CCD, each of which reads 512 columns.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import FRAME_TIME, READ_NOISE
from tessphot_lib.core.geometry import Window

N_OUTPUTS, OUTPUT_COLUMNS = 4, 512  # A to D, [columns]
INT_TIME = 1.98  # [s] of an exposure that collects light
TRIMMED = 1.026**2  # variance after the brightest and faintest of ten exposures are left out ...
MIN_TRIMMED = 60.0  # [s] ... on board, as in all images but those of 20 s
SAMPLE_STEP = 8  # of the rows and columns of an image, for a look at its errors
SANE = (0.2, 5.0)  # stated over expected error: what is beyond is no error of a pixel


@dataclass(frozen=True)
class NoiseModel:
    """Noise of the pixels of a CCD, and what the images' own uncertainties are worth.

    Attributes
    ----------
    read : tuple of 4 float
        Variance without light of outputs A to D [(e-/s)^2].
    photon : float
        Increase of the variance with flux [e-/s].
    source : {'images', 'pixels', 'formula'}
        Whose errors count: the images' own uncertainties, the model as measured from the
        scatter of pixels, or photon and read noise as expected, where nothing could be measured.
    faint, bright : float
        Stated uncertainties over the model, in the sky and in the brightest tenth of the
        pixels it was measured with (median); NaN: not known.
    broken : float
        Fraction of the stated uncertainties that cannot be errors (0, NaN, absurd).
    n_pixels, n_images : int
        That the model was measured from; 0: none.
    motion, motion_seen : float
        Motion from image to image, per axis [pixels]: what bright pixels show beyond the
        measured one, and that; 0: none is seen.
    common : float
        Noise from image to image that all stars have in common, relative to their flux.
    """

    read: tuple[float, float, float, float]
    photon: float
    source: str
    faint: float = float("nan")
    bright: float = float("nan")
    broken: float = 0.0
    n_pixels: int = 0
    n_images: int = 0
    motion: float = 0.0
    motion_seen: float = 0.0
    common: float = 0.0

    @classmethod
    def expected(cls, length: float, read_noise: Sequence[float] | None = None) -> Self:
        """Photon and read noise of an image, as the instrument should have them.

        Parameters
        ----------
        length : float
            From the start to the end of an image [s].
        read_noise : sequence of 4 float, optional
            Of outputs A to D [e- per pixel and exposure]; `READ_NOISE` if left out.
        """
        trimmed = TRIMMED if length > MIN_TRIMMED else 1.0
        n_exposures = length / FRAME_TIME
        collected = n_exposures * INT_TIME
        factor = trimmed * n_exposures / collected**2
        noise = np.array(read_noise or [READ_NOISE] * N_OUTPUTS, dtype=float)
        first, second, third, fourth = (factor * noise**2).tolist()
        return cls((first, second, third, fourth), trimmed / collected, "formula")

    def sigma(self, flux: NDArray, window: Window) -> NDArray:
        """Errors of pixels.

        Parameters
        ----------
        flux : (..., n_rows, n_columns) array
            Sky included [e-/s]; what is below 0 counts as 0, NaN gives NaN.
        window : Window
            Where the pixels are.

        Returns
        -------
        (..., n_rows, n_columns) float32 array
            [e-/s]
        """
        return self.sigma_at(flux, np.arange(window.column0, window.column1))

    def sigma_at(self, flux: NDArray, columns: NDArray) -> NDArray:
        """As `sigma`, of pixels in any columns: an array that broadcasts against the flux."""
        read = np.array(self.read, dtype=np.float32)[_output_of_columns(columns)]
        variance = np.maximum(flux, np.float32(0))
        variance *= np.float32(self.photon)  # in place: of all images at once it is large
        variance += read
        return np.sqrt(variance, dtype=np.float32)

    def errors(self, flux_err: NDArray, flux: NDArray, window: Window) -> NDArray:
        """Errors of pixels that count: the stated ones where these are used and make sense.

        Parameters
        ----------
        flux_err, flux : (..., n_rows, n_columns) arrays
            Stated errors, and fluxes, sky included [e-/s].
        window : Window

        Returns
        -------
        (..., n_rows, n_columns) float32 array
            [e-/s]; NaN where the flux is.
        """
        return self.errors_at(flux_err, flux, np.arange(window.column0, window.column1))

    def errors_at(self, flux_err: NDArray, flux: NDArray, columns: NDArray) -> NDArray:
        """As `errors`, of pixels in any columns: an array that broadcasts against the fluxes."""
        model = self.sigma_at(flux, columns)
        if self.source != "images":
            return model
        return np.where(is_sane(flux_err, model), flux_err, model)

    def for_rounding(self, flux_err: NDArray, flux: NDArray, window: Window) -> NDArray:
        """Errors that fluxes may be rounded by: what is absurdly large is cut down.

        Looks at all pixels only where a few tell, or the largest error does, that it is needed.

        Parameters
        ----------
        flux_err, flux : (n_rows, n_columns) float32 arrays
            Stated errors, and fluxes, sky included, of one image [e-/s].
        window : Window

        Returns
        -------
        (n_rows, n_columns) float32 array
            ``flux_err`` itself where nothing is wrong with it.
        """
        sample, values = (one[::SAMPLE_STEP, ::SAMPLE_STEP] for one in (flux_err, flux))
        known = np.isfinite(values)
        if not known.any():
            return flux_err
        mean_read, high = float(np.mean(self.read)), SANE[1] ** 2
        typical = mean_read + self.photon * max(float(np.median(values[known])), 0.0)
        brightest = mean_read + self.photon * max(float(np.nanmax(flux)), 0.0)
        largest = float(np.fmax.reduce(flux_err, axis=None))
        middle = float(np.nanmedian(sample[known])) if np.isfinite(sample[known]).any() else 0.0
        if middle**2 <= high * typical and largest**2 <= high * brightest:
            return flux_err
        return np.fmin(flux_err, np.float32(SANE[1]) * self.sigma(flux, window))

    def to_json(self) -> str:
        """Return it as text, for an attribute of a file."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Build it from what `to_json` gave."""
        values = json.loads(text)
        return cls(**(values | {"read": tuple(values["read"])}))


def output_of(window: Window) -> NDArray:
    """Output (0 to 3 for A to D) that reads each column of a window, (n_columns,) int."""
    return _output_of_columns(np.arange(window.column0, window.column1))


def _output_of_columns(columns: NDArray) -> NDArray:
    """Output that reads each of some columns."""
    return np.clip(columns // OUTPUT_COLUMNS, 0, N_OUTPUTS - 1)


def is_sane(flux_err: NDArray, expected: NDArray) -> NDArray:
    """Return which stated errors can be errors of pixels, by what is expected; NaN is none."""
    low, high = SANE
    with np.errstate(invalid="ignore"):
        return (flux_err > low * expected) & (flux_err < high * expected)
