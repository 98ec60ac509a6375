"""Quality bits: one table per kind, from which all decoding is made.

`CadenceFlag` says what was wrong with an image (the mission's bits, and ours
above them; in a light curve also what is peculiar to the star), `PixelFlag`
with a pixel in an image, `LightCurveFlag` with a point of a light curve,
`ApertureFlag` what a pixel of a stamp was used for.
Zero is good. Descriptions: ``describe(CadenceFlag)``.
"""

from enum import IntFlag

from numpy.typing import NDArray


class CadenceFlag(IntFlag):
    """What was wrong with an image; bits below 65536 as in the TESS data products."""

    ATTITUDE_TWEAK = 1
    SAFE_MODE = 2
    COARSE_POINT = 4
    EARTH_POINT = 8
    ARGABRIGHTENING = 16
    MOMENTUM_DUMP = 32
    COSMIC_RAY_APERTURE = 64
    MANUAL_EXCLUDE = 128
    SENSITIVITY_DISCONTINUITY = 256
    IMPULSIVE_OUTLIER = 512
    COSMIC_RAY_COLLATERAL = 1024
    STRAYLIGHT_BODY = 2048
    SCATTERED_LIGHT = 4096
    PLANET_SEARCH_EXCLUDE = 8192
    BAD_CALIBRATION = 16384
    INSUFFICIENT_TARGETS = 32768
    NO_DATA = 65536
    BAD_BACKGROUND = 131072
    STRAYLIGHT_MEASURED = 262144
    NO_WCS = 524288
    NO_MOTION = 1048576
    COARSE_MEASURED = 2097152
    STARS_CHANGED = 4194304
    SATURATED_STAR = 268435456
    TRANSLATED = 536870912


class PixelFlag(IntFlag):
    """What was wrong with, or done to, one pixel of one image; the first three as TASOC's."""

    NOT_USED_FOR_BACKGROUND = 1
    MANUAL_EXCLUDE = 2
    BACKGROUND_ANOMALY = 4
    SATURATED = 8


class LightCurveFlag(IntFlag):
    """The QUALITY column of a light curve; bits to 256 as TASOC's.

    Ours begin at 131072: readers that take the column for the mission's bits
    must not find others there.
    """

    FLAGGED_BAD = 1
    MANUAL_EXCLUDE = 2
    SIGMA_CLIP = 4
    JUMP_ADDITIVE_CONSTANT = 8
    JUMP_ADDITIVE_LINEAR = 16
    JUMP_MULTIPLICATIVE_CONSTANT = 32
    JUMP_MULTIPLICATIVE_LINEAR = 64
    INTERPOLATED = 128
    BACKGROUND_ANOMALY = 256
    STRAYLIGHT = 131072
    MISSING_PIXELS = 262144
    MOVING_OBJECT = 524288


class ApertureFlag(IntFlag):
    """The pixels of the APERTURE image of a light-curve file."""

    COLLECTED = 1
    IN_APERTURE = 2
    USED_FOR_BACKGROUND = 4
    IN_CENTROID = 8
    OUTPUT_A = 32
    OUTPUT_B = 64
    OUTPUT_C = 128
    OUTPUT_D = 256


# By kind: members of different kinds with the same bit are equal as keys.
DESCRIPTIONS: dict[type[IntFlag], dict[IntFlag, str]] = {
    CadenceFlag: {
        CadenceFlag.ATTITUDE_TWEAK: "attitude tweak",
        CadenceFlag.SAFE_MODE: "spacecraft in safe mode",
        CadenceFlag.COARSE_POINT: "spacecraft in coarse point",
        CadenceFlag.EARTH_POINT: "spacecraft pointing to Earth",
        CadenceFlag.ARGABRIGHTENING: "argabrightening",
        CadenceFlag.MOMENTUM_DUMP: "reaction wheel desaturation",
        CadenceFlag.COSMIC_RAY_APERTURE: "cosmic ray in optimal aperture",
        CadenceFlag.MANUAL_EXCLUDE: "excluded by hand",
        CadenceFlag.SENSITIVITY_DISCONTINUITY: "discontinuity of the sensitivity",
        CadenceFlag.IMPULSIVE_OUTLIER: "impulsive outlier",
        CadenceFlag.COSMIC_RAY_COLLATERAL: "cosmic ray in collateral pixels",
        CadenceFlag.STRAYLIGHT_BODY: "stray light, or a bright body in the field",
        CadenceFlag.SCATTERED_LIGHT: "scattered light",
        CadenceFlag.PLANET_SEARCH_EXCLUDE: "not used for the search for planets",
        CadenceFlag.BAD_CALIBRATION: "bad calibration",
        CadenceFlag.INSUFFICIENT_TARGETS: "too few targets for error correction",
        CadenceFlag.NO_DATA: "image missing, unreadable, or without light (tessphot)",
        CadenceFlag.BAD_BACKGROUND: "background could not be fitted (tessphot)",
        CadenceFlag.STRAYLIGHT_MEASURED: "scattered light somewhere on the CCD (tessphot)",
        CadenceFlag.NO_WCS: "no usable WCS in the header (tessphot)",
        CadenceFlag.NO_MOTION: "image motion could not be measured (tessphot)",
        CadenceFlag.COARSE_MEASURED: "displaced from the images around it (tessphot)",
        CadenceFlag.STARS_CHANGED: "stars absent, dimmer, blurred or displaced alike (tessphot)",
        CadenceFlag.SATURATED_STAR: "a pixel of the star is saturated (tessphot)",
        CadenceFlag.TRANSLATED: "a bit of 4, 128 or 4096 stands for a finding of tessphot's",
    },
    PixelFlag: {
        PixelFlag.NOT_USED_FOR_BACKGROUND: "not used for the background",
        PixelFlag.MANUAL_EXCLUDE: "excluded by hand",
        PixelFlag.BACKGROUND_ANOMALY: "background anomaly, such as an internal reflection",
        PixelFlag.SATURATED: "saturated or in a bleed trail",
    },
    LightCurveFlag: {
        LightCurveFlag.FLAGGED_BAD: "cadence flagged bad",
        LightCurveFlag.MANUAL_EXCLUDE: "excluded by hand",
        LightCurveFlag.SIGMA_CLIP: "removed by sigma clipping",
        LightCurveFlag.JUMP_ADDITIVE_CONSTANT: "additive jump corrected by a constant",
        LightCurveFlag.JUMP_ADDITIVE_LINEAR: "additive jump corrected linearly",
        LightCurveFlag.JUMP_MULTIPLICATIVE_CONSTANT: "multiplicative jump corrected by a constant",
        LightCurveFlag.JUMP_MULTIPLICATIVE_LINEAR: "multiplicative jump corrected linearly",
        LightCurveFlag.INTERPOLATED: "interpolated",
        LightCurveFlag.BACKGROUND_ANOMALY: "background anomaly in the stamp",
        LightCurveFlag.STRAYLIGHT: "background at the star far above its quiet level (tessphot)",
        LightCurveFlag.MOVING_OBJECT: "light of an asteroid or a comet in the aperture (tessphot)",
        LightCurveFlag.MISSING_PIXELS: "a pixel of the star is missing (tessphot)",
    },
    ApertureFlag: {
        ApertureFlag.COLLECTED: "pixel collected",
        ApertureFlag.IN_APERTURE: "in the photometric aperture",
        ApertureFlag.USED_FOR_BACKGROUND: "used for the background",
        ApertureFlag.IN_CENTROID: "used for the centroid",
        ApertureFlag.OUTPUT_A: "read out by output A",
        ApertureFlag.OUTPUT_B: "read out by output B",
        ApertureFlag.OUTPUT_C: "read out by output C",
        ApertureFlag.OUTPUT_D: "read out by output D",
    },
}

# Bits that keep a cadence out of averages and metrics.
DEFAULT_BAD_CADENCE = (
    CadenceFlag.ATTITUDE_TWEAK
    | CadenceFlag.SAFE_MODE
    | CadenceFlag.COARSE_POINT
    | CadenceFlag.EARTH_POINT
    | CadenceFlag.MOMENTUM_DUMP
    | CadenceFlag.COSMIC_RAY_APERTURE
    | CadenceFlag.MANUAL_EXCLUDE
    | CadenceFlag.SCATTERED_LIGHT
    | CadenceFlag.NO_DATA
    | CadenceFlag.BAD_BACKGROUND
    | CadenceFlag.STRAYLIGHT_MEASURED
    | CadenceFlag.COARSE_MEASURED
    | CadenceFlag.STARS_CHANGED
)
# What this software finds wrong with an image always counts as bad where whole images are used:
# averages, the mean motion. A star has its own stray light, see
# `tessphot_lib.quality.light_curve_flags`.
OWN_BAD_CADENCE = (
    CadenceFlag.NO_DATA
    | CadenceFlag.BAD_BACKGROUND
    | CadenceFlag.STRAYLIGHT_MEASURED
    | CadenceFlag.COARSE_MEASURED
    | CadenceFlag.STARS_CHANGED
)
MISSION_BITS = 0xFFFF  # all that the quality of an input file can say; ours are above
# Points with any of these are left out by programs that know only the mission's bits, as TASOC's.
KNOWN_AS_BAD = DEFAULT_BAD_CADENCE & MISSION_BITS
BAD_FOR_ALL_STARS = OWN_BAD_CADENCE & ~CadenceFlag.STRAYLIGHT_MEASURED


def describe(kind: type[IntFlag]) -> dict[int, str]:
    """Return the bits of one kind of flag with their descriptions, lowest bit first."""
    return {int(flag): DESCRIPTIONS[kind][flag] for flag in kind}


def is_bad_for_all_stars(cadence_quality: NDArray, bad_quality: int) -> NDArray:
    """Return which images are bad wherever a star lies, (n_cadences,) bool; see `star_quality`."""
    return cadence_quality & (bad_quality | int(BAD_FOR_ALL_STARS)) != 0
