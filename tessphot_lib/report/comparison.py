"""Light curves of one star by several methods, side by side: a table and a picture."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.flags import ApertureFlag
from tessphot_lib.core.identifiers import object_name
from tessphot_lib.core.lightcurve import LightCurve
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.products.lightcurve_fits import read_light_curve
from tessphot_lib.report.pictures import new_figure

HEADER = "method      flux (e-/s)  CDPP 1 h (ppm)  CDPP 6 h (ppm)  points  pixels  CROWDSAP"
GAP = 8.0  # times the scatter between light curves in the picture


def comparison_table(light_curves: Mapping[str, Path]) -> str:
    """Compare light curves of one star.

    Parameters
    ----------
    light_curves : mapping of str to Path
        FITS files by the method that was asked for.

    Returns
    -------
    str
        A line for each: median flux, noise, good points, pixels in the aperture, and the
        star's fraction of the light there; ``-`` where a file does not say. Then one for each
        method instead of which another one was taken.
    """
    lines, others = [HEADER], []
    for method, path in light_curves.items():
        curve, stamp, header = read_light_curve(path)
        n_pixels = int(((stamp.aperture & int(ApertureFlag.IN_APERTURE)) != 0).sum())
        lines.append(
            f"{method:<10} {_median(_good(curve)):12.1f} "
            f"{_number(header.get('CDPP1_0'), 15, 1)} {_number(header.get('CDPP6_0'), 15, 1)} "
            f"{int((curve.quality == 0).sum()):7d} {n_pixels:7d} "
            f"{_number(header.get('CROWDSAP'), 9, 3)}"
        )
        if header["PHOTMET"] != method:
            others.append(f"{method}: not possible for this star, measured by {header['PHOTMET']}")
    return "\n".join([*lines, *others])


def draw_comparison(light_curves: Mapping[str, Path], output: Path) -> None:
    """Draw the good points of light curves, relative to their medians, one below the other.

    The first one is where the axis has it.
    """
    figure = new_figure(figsize=(12, 2 + 1.6 * len(light_curves)))
    axes = figure.subplots()
    offset, above = 0.0, 0.0
    title = ""
    for method, path in light_curves.items():
        curve, _, header = read_light_curve(path)
        good = curve.quality == 0
        relative = 1e6 * (curve.flux / _median(_good(curve)) - 1)
        spread = float(np.nanpercentile(np.abs(relative[good]), 90)) if good.any() else 0.0
        offset -= GAP / 4 * (above + spread) if axes.lines else 0.0
        used = header["PHOTMET"]
        label = method if used == method else f"{method}: by {used}"
        axes.plot(curve.time[good], relative[good] + offset, ".", ms=3, label=label)
        above = spread
        title = (
            f"{object_name(curve.tic_id)}, Tmag {header['TESSMAG']:.2f}: sector {header['SECTOR']}"
        )
    axes.set(xlabel="time (BTJD)", ylabel="FLUX_RAW (ppm, shifted from the first)", title=title)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    with complete_file(output) as partial:
        figure.savefig(partial, dpi=120, format="png")


def _good(curve: LightCurve) -> NDArray:
    return curve.flux[(curve.quality == 0) & np.isfinite(curve.flux)]


def _median(values: NDArray) -> float:
    return float(np.median(values)) if values.size else np.nan


def _number(value: float | None, width: int, digits: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:{width}.{digits}f}"
