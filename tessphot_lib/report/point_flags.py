"""What is wrong with the points of a light curve, in words."""

import numpy as np

from tessphot_lib.core.flags import DESCRIPTIONS, CadenceFlag, LightCurveFlag
from tessphot_lib.core.lightcurve import LightCurve

FLAG_KINDS = (LightCurveFlag, CadenceFlag)
GENERAL = DESCRIPTIONS[LightCurveFlag][LightCurveFlag.FLAGGED_BAD]  # says no reason


def flag_counts(curve: LightCurve) -> list[tuple[str, int]]:
    """How many points have which flag."""
    counts = []
    for kind, values in zip(FLAG_KINDS, (curve.quality, curve.pixel_quality), strict=True):
        for flag in kind:
            n_points = int(((values & int(flag)) != 0).sum())
            if n_points:
                counts.append((DESCRIPTIONS[kind][flag], n_points))
    return counts


def reasons(curve: LightCurve) -> list[str]:
    """Say of each point what is wrong with it, as ``good``, or a list of descriptions."""
    both = np.stack([curve.quality, curve.pixel_quality], axis=1)
    values, which = np.unique(both, axis=0, return_inverse=True)
    texts = []
    for pair in values.tolist():
        named = [
            DESCRIPTIONS[kind][flag]
            for kind, value in zip(FLAG_KINDS, pair, strict=True)
            for flag in kind
            if value & flag
        ]
        texts.append(", ".join(named) or "good")
    return [texts[n] for n in which.ravel()]


def main_reason(text: str) -> str:
    """Take the first of the `reasons` of a point that says more than that it is bad."""
    named = [part for part in text.split(", ") if part != GENERAL]
    return (named[0] if named else text).replace(" (tessphot)", "")
