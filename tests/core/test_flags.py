"""Quality bits: the mission's values, none twice, all described."""

import pytest

from tessphot_lib.core.flags import (
    DEFAULT_BAD_CADENCE,
    ApertureFlag,
    CadenceFlag,
    LightCurveFlag,
    PixelFlag,
    describe,
)

KINDS = (CadenceFlag, PixelFlag, LightCurveFlag, ApertureFlag)


@pytest.mark.parametrize("kind", KINDS)
def test_every_bit_is_described_and_stands_alone(kind):
    described = describe(kind)
    assert list(described) == sorted(int(flag) for flag in kind)
    assert len(kind.__members__) == len(described)  # no two names for one bit
    assert all(bit > 0 and bit & (bit - 1) == 0 for bit in described)
    # Bits of two kinds have equal values: a description must be of the right kind.
    assert len(set(described.values())) == len(described)
    assert all(described.values())


def test_descriptions_are_those_of_the_kind():
    assert describe(CadenceFlag)[4] == "spacecraft in coarse point"
    assert describe(PixelFlag)[4] == "background anomaly, such as an internal reflection"
    assert describe(LightCurveFlag)[4] == "removed by sigma clipping"
    assert describe(ApertureFlag)[4] == "used for the background"


def test_bits_are_those_of_the_mission():
    mission = ["ATTITUDE_TWEAK", "SAFE_MODE", "COARSE_POINT", "EARTH_POINT", "ARGABRIGHTENING"]
    mission += ["MOMENTUM_DUMP", "COSMIC_RAY_APERTURE", "MANUAL_EXCLUDE"]
    mission += ["SENSITIVITY_DISCONTINUITY", "IMPULSIVE_OUTLIER", "COSMIC_RAY_COLLATERAL"]
    mission += ["STRAYLIGHT_BODY", "SCATTERED_LIGHT", "PLANET_SEARCH_EXCLUDE"]
    mission += ["BAD_CALIBRATION", "INSUFFICIENT_TARGETS"]
    assert [CadenceFlag[name] for name in mission] == [2**bit for bit in range(16)]
    assert min(set(CadenceFlag) - {CadenceFlag[name] for name in mission}) == 65536
    assert [int(flag) for flag in PixelFlag][:3] == [1, 2, 4]
    assert [int(flag) for flag in ApertureFlag] == [1, 2, 4, 8, 32, 64, 128, 256]


def test_default_rejection():
    assert int(DEFAULT_BAD_CADENCE) & 0xFFFF == 1 | 2 | 4 | 8 | 32 | 64 | 128 | 4096
    assert DEFAULT_BAD_CADENCE & CadenceFlag.NO_DATA
    assert not DEFAULT_BAD_CADENCE & CadenceFlag.NO_WCS
