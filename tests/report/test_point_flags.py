"""What is said of flagged points."""

from types import SimpleNamespace

import numpy as np

from tessphot_lib.core.flags import CadenceFlag, LightCurveFlag
from tessphot_lib.report.point_flags import all_reasons, flag_counts, main_reason, reasons

BAD, ANOMALY = LightCurveFlag.FLAGGED_BAD, LightCurveFlag.BACKGROUND_ANOMALY
DUMP, COARSE = CadenceFlag.MOMENTUM_DUMP, CadenceFlag.COARSE_MEASURED
CURVE = SimpleNamespace(
    quality=np.array([0, BAD, BAD, ANOMALY, BAD]),
    pixel_quality=np.array([0, DUMP, DUMP | COARSE, 0, 0]),
)


def test_each_point_has_all_its_reasons():
    assert [all_reasons(named) for named in reasons(CURVE)] == [
        "good",
        "cadence flagged bad, reaction wheel desaturation",
        "cadence flagged bad, reaction wheel desaturation, "
        "displaced from the images around it (tessphot)",
        "background anomaly in the stamp",
        "cadence flagged bad",
    ]


def test_main_reason_says_more_than_bad_where_it_can():
    assert [main_reason(named) for named in reasons(CURVE)] == [
        "good",
        "reaction wheel desaturation",
        "reaction wheel desaturation",
        "background anomaly in the stamp",
        "cadence flagged bad",
    ]


def test_reasons_with_commas_stay_whole():
    (missing,) = reasons(
        SimpleNamespace(quality=np.array([BAD]), pixel_quality=np.array([CadenceFlag.NO_DATA]))
    )
    assert missing == (
        "cadence flagged bad",
        "image missing, unreadable, or without light (tessphot)",
    )
    assert main_reason(missing) == "image missing, unreadable, or without light"


def test_counts_are_by_flag():
    assert dict(flag_counts(CURVE)) == {
        "cadence flagged bad": 3,
        "background anomaly in the stamp": 1,
        "reaction wheel desaturation": 2,
        "displaced from the images around it (tessphot)": 1,
    }
