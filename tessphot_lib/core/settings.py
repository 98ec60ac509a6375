"""Settings of the algorithms: names, types, units and defaults, in one place.

The same names and defaults stand, with their comments, in ``config/config.yaml``;
a test compares the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from tessphot_lib.core.errors import ConfigError


@dataclass(frozen=True)
class Settings:
    """Base of the per-step settings, built from a section of the configuration."""

    @classmethod
    def from_mapping(cls, section: Mapping[str, Any]) -> Self:
        """Build from ``section``; an unknown key is an error, not a typo to ignore."""
        unknown = set(section) - {field.name for field in fields(cls)}
        if unknown:
            raise ConfigError(f"unknown {cls.__name__} keys: {', '.join(sorted(unknown))}")
        return cls(**section)


@dataclass(frozen=True)
class BackgroundSettings(Settings):
    """``prepare.background``: diffuse light of one image."""

    box_size: int = 64  # [pixels] side of the mesh cells
    mask_radius_scale: float = 1.0  # multiplies the radius of the star masks
    anomaly_limit: float = 12.0  # [e-/s per pixel] over it, from which light is a reflection or so


@dataclass(frozen=True)
class SmoothingSettings(Settings):
    """``prepare.smoothing``: backgrounds of neighboring images are averaged."""

    hours: float = 1.5  # [h] full width in time; 0: none


@dataclass(frozen=True)
class FlagSettings(Settings):
    """``prepare.flags``: which images are flagged from what is seen in them."""

    straylight_factor: float = 5.0  # background over the quiet sky where brightest: stray light
    motion_limit: float = 0.06  # [pixels] displacement from the images around, above which: coarse


@dataclass(frozen=True)
class AverageSettings(Settings):
    """``prepare.average``: which images the average image is made from."""

    max_background: float = 1000.0  # [e-/s per pixel] brighter images are left out


@dataclass(frozen=True)
class MotionSettings(Settings):
    """``prepare.motion``: the stars that the image motion is measured with."""

    n_stars: int = 2000  # at the most, spread over the CCD
    bright_limit: float = 7.5  # [Tmag] brighter stars saturate
    faint_limit: float = 12.5  # [Tmag] fainter ones add little


@dataclass(frozen=True)
class PrfSettings(Settings):
    """``prf``: the pixel response function."""

    source: str = "data"  # data: from the stars | spoc: the mission's files | generic
    folder: str | None = None  # folder of the mission's PRF files
    n_stars: int = 3000  # at the most, that the PRF is taken from
    bright_limit: float = 7.5  # [Tmag] brighter stars saturate
    faint_limit: float = 13.5  # [Tmag] fainter ones add little


@dataclass(frozen=True)
class TimeSettings(Settings):
    """``times``: barycentric times of the stars."""

    ephemeris: str | None = None  # file that tells where TESS was; None: it is reckoned


@dataclass(frozen=True)
class MethodSettings(Settings):
    """Base of the settings of a method of photometry."""

    fits_neighbors: ClassVar[bool] = False  # whether stars are fitted together with others


@dataclass(frozen=True)
class ApertureSettings(MethodSettings):
    """``photometry.aperture``: pixels that are summed."""

    kind: str = "optimal"  # optimal: best signal to noise | significant: all that stands out
    threshold: float = 3.0  # [sigma] over the local sky for a pixel of the average image to count
    min_pixels: int = 4  # smaller apertures are replaced by the 3 x 3 pixels around the star
    max_radius: float = 13.0  # [pixels] reach of an aperture at Tmag 5; 0.1 dex less per magnitude
    motion_correction: bool = True  # put back the light that motion carries over the edge


@dataclass(frozen=True)
class LinpsfSettings(MethodSettings):
    """``photometry.linpsf``: PRF fits."""

    fits_neighbors: ClassVar[bool] = True
    free_limit: float = 16.0  # [Tmag] fainter stars keep their mean flux in single images


@dataclass(frozen=True)
class PsfSettings(MethodSettings):
    """``photometry.psf``: places of stars in PRF fits."""

    fits_neighbors: ClassVar[bool] = True
    place_limit: float = 14.0  # [Tmag] whose places are fitted to the average image
    image_limit: float = 9.0  # [Tmag] whose places are fitted to each image, too


@dataclass(frozen=True)
class CorrectionSettings(Settings):
    """``photometry.correction``: FLUX_CORR."""

    method: str = "trends"  # trends: of motion and common trends | motion: of that only | none
    n_stars: int = 512  # bright isolated stars of a whole CCD that tell the trends
    max_trends: int = 4  # that are taken off


@dataclass(frozen=True)
class HaloSettings(MethodSettings):
    """``photometry.halo``: weighted sums of pixels around saturated stars."""

    radius: float = 20.0  # [pixels] around the star
    gap: float = 0.5  # [d] weights are found anew after gaps longer than this
    min_pixels: int = 40  # with fewer usable ones the star is measured by its aperture
    motion_correction: bool = True  # take off what motion does to each pixel


@dataclass(frozen=True)
class AutoSettings(Settings):
    """``photometry.auto``: by which method a star is measured, if none is forced."""

    halo_always: float = 2.0  # [Tmag] brighter stars: halo
    halo_limit: float = 6.0  # [Tmag] fainter stars: never halo
    halo_edge: float = 0.01  # of its expected flux on the edge of its pixels: halo
    linpsf_contamination: float = 0.25  # of the light in its aperture not its own: linpsf


# The methods of photometry: their names, and their sections of the configuration.
METHODS: dict[str, type[MethodSettings]] = {
    "aperture": ApertureSettings,
    "linpsf": LinpsfSettings,
    "psf": PsfSettings,
    "halo": HaloSettings,
}
FITTING_METHODS = tuple(name for name, section in METHODS.items() if section.fits_neighbors)
