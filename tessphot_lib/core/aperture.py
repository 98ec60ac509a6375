"""The pixels that a star is measured with."""

from dataclasses import dataclass

from numpy.typing import NDArray

from tessphot_lib.core.geometry import Window


@dataclass(frozen=True)
class StarPixels:
    """Pixels that a star was measured with; ``mask`` has the shape of ``window``."""

    window: Window
    mask: NDArray

    def __post_init__(self) -> None:
        if self.mask.shape != self.window.shape:
            raise ValueError(f"mask is {self.mask.shape}, the window {self.window.shape}")


BY_RULES = 1  # bit of `StarAperture.flags`: the rules of photometry.auto chose the method
