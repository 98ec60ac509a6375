"""One calibrated full-frame image in memory."""

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId, Window


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
        Bitwise `tessphot_lib.core.flags.CadenceFlag`.
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
