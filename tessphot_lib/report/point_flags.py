"""What is wrong with the points of a light curve, in words."""

from collections.abc import Sequence

import numpy as np

from tessphot_lib.core.flags import DESCRIPTIONS, CadenceFlag, LightCurveFlag
from tessphot_lib.core.lightcurve import LightCurve

FLAG_KINDS = (LightCurveFlag, CadenceFlag)
GENERAL = DESCRIPTIONS[LightCurveFlag][LightCurveFlag.FLAGGED_BAD]  # says no reason
GOOD = "good"


def flag_counts(curve: LightCurve) -> list[tuple[str, int]]:
    """How many points have which flag."""
    counts = []
    for kind, values in zip(FLAG_KINDS, (curve.quality, curve.pixel_quality), strict=True):
        for flag in kind:
            n_points = int(((values & int(flag)) != 0).sum())
            if n_points:
                counts.append((DESCRIPTIONS[kind][flag], n_points))
    return counts


def reasons(curve: LightCurve) -> list[tuple[str, ...]]:
    """Say of each point what is wrong with it: descriptions of its flags; none: it is good."""
    both = np.stack([curve.quality, curve.pixel_quality], axis=1)
    values, which = np.unique(both, axis=0, return_inverse=True)
    named = [
        tuple(
            DESCRIPTIONS[kind][flag]
            for kind, value in zip(FLAG_KINDS, pair, strict=True)
            for flag in kind
            if value & flag
        )
        for pair in values.tolist()
    ]
    return [named[n] for n in which.ravel()]


def all_reasons(named: Sequence[str]) -> str:
    """All `reasons` of a point as a text."""
    return ", ".join(named) or GOOD


def main_reason(named: Sequence[str]) -> str:
    """The first of the `reasons` of a point that says more than that it is bad."""
    telling = [text for text in named if text != GENERAL] or [*named, GOOD]
    return telling[0].removesuffix(" (tessphot)")
