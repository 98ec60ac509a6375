"""Settings of the simulated sector; the defaults are the standard full-size case."""

from dataclasses import dataclass, fields

from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.settings import Settings


@dataclass(frozen=True)
class SimulationSettings(Settings):
    """``simulation``: what the simulated sky, spacecraft and CCD are like.

    ``*_every`` count images: one image in so many is of that kind, its place
    drawn anew in every run of so many images; 0: never. Levels of light are
    e-/s per pixel.
    """

    seed: int = 1  # the same seed makes the same sector
    start: float | None = None  # [BTJD, at the spacecraft] first image; null: by the sector
    n_images: int = 1250  # images of the run
    cadence_seconds: float = 1800.0  # [s] sampling interval, a multiple of 20
    gap_after: int | None = None  # [images] before the downlink gap; null: half of them
    gap_days: float = 1.0  # [d] length of the downlink gap; 0: none

    stars_per_ccd: int = 100000  # stars down to Tmag 17 on a whole CCD; a window gets its share
    count_slope: float = 0.3  # log10 of the number of stars grows by this per magnitude
    bright_limit: float = 4.0  # [Tmag] no star is brighter
    uncatalogued_depth: float = 2.0  # [mag] stars beyond the catalog's faint limit that shine too
    clustered_fraction: float = 0.15  # of the stars sit in clusters, the others anywhere
    variable_fraction: float = 0.05  # of the stars down to variable_limit change in time
    variable_limit: float = 15.0  # [Tmag] fainter stars are constant
    showcase: bool = False  # add to the window a star of Tmag 6 and variables of Tmag 8.5 to 11.5
    missing_fraction: float = 0.02  # of the catalog rows lack proper motion or temperature
    phantom_fraction: float = 0.01  # rows per star that are no stars (DUPLICATE, ARTIFACT)

    prf_width: float = 1.0  # scales the core of the PRF
    prf_field_change: float = 1.0  # scales how much the PRF changes over the field

    sky_level: float = 165.0  # zodiacal light in the middle of the CCD
    sky_gradient: float = 55.0  # its change from the middle to the corners
    sky_variation: float = 0.03  # relative slow change of it in time
    glow_level: float = 60.0  # glow in the corner farthest from the camera centre
    strap_level: float = 0.0  # of the diffuse light that straps see more of; 0.03 is much
    scattered_factor: float = 30.0  # scattered light at its worst, in units of sky_level
    scattered_every: int = 64  # one episode of scattered light in so many images
    scattered_images: int = 12  # length of an episode; it rises and falls
    reflection_level: float = 150.0  # height of the ring-shaped internal reflection
    reflection_width: float = 9.0  # [pixels] full width at half maximum of the ring
    reflection_radius: float = 150.0  # [pixels]
    reflection_speed: float = 2.0  # [pixels per hour] drift
    reflection_center: list[float] | None = None  # [row, column] at the start; null: drawn

    motion_rms: float = 0.017  # [pixels] pointing jitter and drift, per axis
    roll_rms: float = 0.003  # [pixels] of roll, at the edge of the CCD
    aberration: float = 0.1  # [pixels] differential aberration over a sector, at the CCD's ends
    coarse_every: int = 21  # one image in coarse pointing
    coarse_motion: float = 0.3  # [pixels] largest displacement in coarse pointing
    coarse_flagged: float = 0.7  # of the coarse images carry DQUALITY 4
    dump_every: int = 64  # one momentum dump (DQUALITY 32)
    wcs_error: float = 0.003  # [pixels] error of the header's WCS, per axis and image
    failed_wcs_every: int = 64  # one image with an absurd or missing WCS

    zero_every: int = 64  # one image that is all zero
    nan_every: int = 64  # one image that is all NaN
    noise_factor: float = 1.026  # noise by the noise of untrimmed data; 0: no noise
    full_well: float = 1.8e5  # [e-] per pixel and 2-s frame; the excess bleeds; 0: no limit

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or field.name in ("seed", "count_slope", "bright_limit"):
                continue
            if isinstance(value, int | float) and value < 0:
                raise ConfigError(f"simulation.{field.name} must not be negative, got {value}")
        if self.n_images < 1:
            raise ConfigError(f"simulation.n_images must be at least 1, got {self.n_images}")
        if self.seed < 0:
            raise ConfigError(f"simulation.seed must not be negative, got {self.seed}")
        if self.cadence_seconds < 20 or self.cadence_seconds % 20:
            raise ConfigError(
                f"simulation.cadence_seconds must be a multiple of 20, got {self.cadence_seconds}"
            )
        if self.count_slope <= 0:
            raise ConfigError(f"simulation.count_slope must be positive, got {self.count_slope}")
        if self.reflection_center is not None and len(self.reflection_center) != 2:
            raise ConfigError(
                f"simulation.reflection_center must be [row, column], got {self.reflection_center}"
            )
