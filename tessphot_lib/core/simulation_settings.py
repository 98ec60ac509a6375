"""Settings of the simulated sector; the defaults are the standard full-size case."""

from dataclasses import dataclass
from typing import Any

from tessphot_lib.core.settings_base import Settings, setting

NOT_NEGATIVE: dict[str, Any] = {"minimum": 0}
FRACTION: dict[str, Any] = {"minimum": 0, "maximum": 1}


@dataclass(frozen=True, slots=True, repr=False)
class SimulationSettings(Settings):
    """``simulation``: the simulated sky, spacecraft and CCD.

    Of ``*_every`` images one, drawn at random in each run of that many, is of
    that kind; 0: none.
    """

    seed: int = setting(1, "the same seed makes the same sector", **NOT_NEGATIVE)
    start: float | None = setting(
        None,
        "first image, at the spacecraft; null: by the sector",
        unit="BTJD",
        minimum=700,
        maximum=20000,
    )
    n_images: int = setting(1250, "number of images", minimum=1, maximum=100000)
    cadence_seconds: float = setting(
        1800.0,
        "sampling interval, a multiple of 20",
        unit="s",
        minimum=20,
        maximum=86400,
        multipleOf=20,
    )
    gap_after: int | None = setting(
        None, "before the downlink gap; null: half of them", unit="images", **NOT_NEGATIVE
    )
    gap_days: float = setting(1.0, "length of the downlink gap; 0: none", unit="d", **NOT_NEGATIVE)

    stars_per_ccd: int = setting(
        100000, "stars down to Tmag 17 on a whole CCD; in proportion in a window", **NOT_NEGATIVE
    )
    count_slope: float = setting(
        0.3, "increase of log10 of the number of stars per magnitude", exclusiveMinimum=0
    )
    bright_limit: float = setting(4.0, "no star is brighter", unit="Tmag", minimum=-5, maximum=30)
    uncatalogued_depth: float = setting(
        2.0, "stars beyond catalog.faint_limit that shine, too", unit="mag", **NOT_NEGATIVE
    )
    clustered_fraction: float = setting(
        0.15, "fraction of the stars that are in clusters, the others anywhere", **FRACTION
    )
    variable_fraction: float = setting(
        0.05, "fraction of variables among the stars down to variable_limit", **FRACTION
    )
    variable_limit: float = setting(
        15.0,
        "fainter stars are constant; also the limit of exact image motion",
        unit="Tmag",
        **NOT_NEGATIVE,
    )
    showcase: bool = setting(
        False, "add a star of Tmag 6 and variables of Tmag 8.5 to 11.5 to the window"
    )
    missing_fraction: float = setting(
        0.02, "fraction of the catalog without proper motion or temperature", **FRACTION
    )
    phantom_fraction: float = setting(
        0.01, "catalog rows per star that are no stars (DUPLICATE, ARTIFACT)", **FRACTION
    )

    unlisted_fraction: float = setting(
        0.0, "fraction of the stars, of any brightness, that the star list lacks", **FRACTION
    )
    twin_fraction: float = setting(
        0.0, "fraction of the stars that the list has twice, under two numbers", **FRACTION
    )
    list_position_error: float = setting(
        0.0, "error of the positions in the list, per axis", unit="pixels", **NOT_NEGATIVE
    )
    list_magnitude_error: float = setting(
        0.0, "error of the magnitudes in the list", unit="mag", **NOT_NEGATIVE
    )

    asteroids: int = setting(
        0, "moving objects that cross the images during the run", unit="objects", **NOT_NEGATIVE
    )
    asteroid_tmag: list[float] = setting(
        [11.0, 16.0], "[brightest, faintest]", unit="Tmag", minItems=2, maxItems=2
    )
    asteroid_speed: list[float] = setting(
        [0.5, 3.0], "[slowest, fastest]", unit="pixels/h", minItems=2, maxItems=2
    )

    tpf_stars: int = setting(
        20, "stars with target pixel files: the brightest that are not saturated", **NOT_NEGATIVE
    )
    tpf_cadences: list[int] = setting(
        [120],
        "sampling intervals of the target pixel files",
        unit="s",
        items={"enum": [20, 120]},
        minItems=1,
        uniqueItems=True,
    )

    prf_family: str = setting(
        "usual",
        "shape of the PRF",
        choices={
            "usual": "elongated away from the camera center; the same wings everywhere",
            "asymmetric": "no axis of symmetry; wings that hold more light far from the center",
        },
    )
    prf_width: float = setting(1.0, "factor on the width of the core of the PRF", **NOT_NEGATIVE)
    prf_field_change: float = setting(
        1.0, "factor on the change of the PRF over the field", **NOT_NEGATIVE
    )

    sky_level: float = setting(
        165.0, "zodiacal light in the middle of the CCD", unit="e-/s per pixel", **NOT_NEGATIVE
    )
    sky_gradient: float = setting(
        55.0, "its change from the middle to the corners", unit="e-/s per pixel", **NOT_NEGATIVE
    )
    sky_variation: float = setting(0.03, "its relative slow change in time", **NOT_NEGATIVE)
    glow_level: float = setting(
        60.0,
        "glow in the corner farthest from the camera center",
        unit="e-/s per pixel",
        **NOT_NEGATIVE,
    )
    strap_level: float = setting(
        0.0, "excess of diffuse light in strap columns, relative; 0.03 is much", **NOT_NEGATIVE
    )
    scattered_factor: float = setting(
        30.0, "peak of scattered light, in units of sky_level", **NOT_NEGATIVE
    )
    scattered_every: int = setting(
        64, "one episode of scattered light in this many images; 0: none", **NOT_NEGATIVE
    )
    scattered_images: int = setting(
        12, "length of an episode, rise and fall included", unit="images", **NOT_NEGATIVE
    )
    reflection_level: float = setting(
        150.0,
        "height of the ring-shaped internal reflection",
        unit="e-/s per pixel",
        **NOT_NEGATIVE,
    )
    reflection_width: float = setting(
        9.0, "full width at half maximum of the ring", unit="pixels", **NOT_NEGATIVE
    )
    reflection_radius: float = setting(150.0, "of the ring", unit="pixels", **NOT_NEGATIVE)
    reflection_speed: float = setting(2.0, "drift of the ring", unit="pixels/h", **NOT_NEGATIVE)
    reflection_center: list[float] | None = setting(
        None, "[row, column] at the start; null: random", minItems=2, maxItems=2
    )
    reflection_shape: str = setting(
        "ring",
        "shape of the reflection",
        choices={
            "ring": "a ring with the profile of a Gaussian",
            "disc": "a soft disc of a third of the height, with the ring as its bright edge",
            "arc": "a third of the ring",
            "plate": "an even disc with a hard edge",
        },
    )
    scattered_edge: float = setting(
        0.0,
        "fraction of the scattered light missing behind an edge that moves over the CCD",
        **FRACTION,
    )

    extended_light: str = setting(
        "none",
        "extended light of the sky, the same in all images",
        choices={
            "none": "none",
            "galaxy": "an exponential disk, inclined",
            "nebula": "a field of clouds",
            "bright_nebula": "a bright core with filaments",
            "cluster": "the unresolved core of a star cluster (a King profile)",
        },
    )
    extended_level: float = setting(
        100.0, "its height; of clouds: their mean", unit="e-/s per pixel", **NOT_NEGATIVE
    )
    extended_scale: float = setting(25.0, "its scale length", unit="pixels", exclusiveMinimum=0)
    extended_center: list[float] | None = setting(
        None, "[row, column]; null: the middle of the CCD", minItems=2, maxItems=2
    )

    outbursts: int = setting(
        0, "stars in the window with an outburst during the run", **NOT_NEGATIVE
    )
    outburst_tmag: list[float] = setting(
        [14.0, 9.0],
        "their magnitudes in quiescence and at maximum; beyond catalog.faint_limit: unknown stars",
        unit="Tmag",
        minItems=2,
        maxItems=2,
    )
    outburst_days: float = setting(
        3.0, "decay time; the rise takes a fifth of it", unit="d", exclusiveMinimum=0
    )

    motion_rms: float = setting(
        0.017, "pointing jitter and drift, per axis", unit="pixels", **NOT_NEGATIVE
    )
    motion_drift: float = setting(
        0.0,
        "steady drift over each orbit; 0.22 with motion_rms 0.0008 and motion_transient 0.05 is "
        "the motion of sector 8",
        unit="pixels",
        **NOT_NEGATIVE,
    )
    motion_transient: float = setting(
        0.0,
        "displacement at the start of each orbit, which decays within a day",
        unit="pixels",
        **NOT_NEGATIVE,
    )
    pointing_step: float = setting(
        0.0, "displacement of all images of the second half", unit="pixels", **NOT_NEGATIVE
    )
    roll_rms: float = setting(0.003, "roll, at the edge of the CCD", unit="pixels", **NOT_NEGATIVE)
    aberration: float = setting(
        0.1,
        "differential aberration over a sector, at the CCD's ends",
        unit="pixels",
        **NOT_NEGATIVE,
    )
    coarse_every: int = setting(
        21, "one image in this many is in coarse pointing; 0: none", **NOT_NEGATIVE
    )
    coarse_motion: float = setting(
        0.3, "maximum displacement in coarse pointing", unit="pixels", **NOT_NEGATIVE
    )
    coarse_flagged: float = setting(
        0.7, "fraction of the coarse images with DQUALITY 4", **FRACTION
    )
    dump_every: int = setting(
        64, "one momentum dump (DQUALITY 32) in this many images; 0: none", **NOT_NEGATIVE
    )
    dim_every: int = setting(0, "one image in this many is dimmer by dim_fraction", **NOT_NEGATIVE)
    dim_fraction: float = setting(0.03, "light that dim images lack", **FRACTION)
    blur_every: int = setting(
        0, "one image in this many is blurred by motion during the exposure", **NOT_NEGATIVE
    )
    blur_motion: float = setting(
        0.4, "motion to each side of the mean position, per axis", unit="pixels", **NOT_NEGATIVE
    )
    wcs_error: float = setting(
        0.003, "error of the header's WCS, per axis and image", unit="pixels", **NOT_NEGATIVE
    )
    failed_wcs_every: int = setting(
        64, "one absurd or missing WCS in this many images; 0: none", **NOT_NEGATIVE
    )

    zero_every: int = setting(64, "one image in this many is all zero; 0: none", **NOT_NEGATIVE)
    nan_every: int = setting(64, "one image in this many is all NaN; 0: none", **NOT_NEGATIVE)
    noise_factor: float = setting(
        1.026, "noise relative to that of untrimmed data; 0: no noise", **NOT_NEGATIVE
    )
    stated_error_factor: float = setting(
        1.0,
        "uncertainties in the images, relative to the noise; 0: all 0",
        **NOT_NEGATIVE,
    )
    stated_error_offset: float = setting(
        0.0,
        "added to them in quadrature; 0.45 in sector 8, 1.15 in sector 19",
        unit="e-/s",
        **NOT_NEGATIVE,
    )
    full_well: float = setting(
        180000.0,
        "per pixel and 2-s frame; the excess bleeds; 0: no limit",
        unit="e-",
        **NOT_NEGATIVE,
    )
