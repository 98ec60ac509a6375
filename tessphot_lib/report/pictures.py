"""A light curve -> a picture; and what all pictures share."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tessphot_lib.core.flags import ApertureFlag, LightCurveFlag
from tessphot_lib.core.identifiers import object_name
from tessphot_lib.io.products.lightcurve_fits import read_light_curve
from tessphot_lib.report.stamp_pictures import draw_aperture, show_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FAINT_LIMIT = 13.0  # [Tmag] of the star whose light curve is shown


def draw_nothing(why: str, output: Path) -> None:
    """A picture that says why there is none."""
    figure = new_figure(figsize=(6, 2))
    figure.text(0.5, 0.5, why, ha="center", va="center")
    figure.savefig(output, dpi=120, format="png")


def draw_light_curve(path: Path, star: pd.Series, output: Path) -> None:
    """Light curve, its background, and the stamp with the aperture."""
    light_curve, stamp, _ = read_light_curve(path)
    good = light_curve.quality & int(LightCurveFlag.FLAGGED_BAD) == 0
    relative = light_curve.flux / star["mean_flux"]
    figure = new_figure(figsize=(12, 5))
    axes = figure.subplot_mosaic(
        [["flux", "stamp"], ["background", "stamp"]], width_ratios=[3, 1], height_ratios=[2, 1]
    )
    axes["flux"].errorbar(
        light_curve.time[good],
        relative[good],
        light_curve.flux_err[good] / star["mean_flux"],
        fmt=".",
        markersize=3,
        linewidth=0.5,
        color="black",
    )
    axes["flux"].set(
        ylabel="relative flux",
        title=f"{object_name(light_curve.tic_id)}, Tmag {star['tmag']:.2f}: good cadences",
    )
    axes["flux"].tick_params(labelbottom=False)
    axes["background"].plot(
        light_curve.time, light_curve.background / stamp_pixels(stamp.aperture), ".", markersize=3
    )
    axes["background"].set(
        xlabel="time (BTJD)", ylabel="background\n(e$^-$/s/pixel)", xlim=axes["flux"].get_xlim()
    )
    shown = np.arcsinh(np.clip(stamp.average_image, 0, None))
    show_image(axes["stamp"], stamp.window, shown)
    draw_aperture(axes["stamp"], stamp, linewidths=1)
    axes["stamp"].set(xlabel="column", ylabel="row", title="average image, aperture")
    axes["stamp"].locator_params(integer=True, nbins=6)
    figure.savefig(output, dpi=130, format="png")


def new_figure(**options: Any) -> "Figure":
    """Return an empty figure of its own: pyplot, with its backend and open figures, is the user's.

    Parameters
    ----------
    options
        Of `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure  # heavy

    return Figure(layout="constrained", **options)


def stamp_pixels(aperture: np.ndarray) -> int:
    """Number of pixels in the photometric aperture, at least one."""
    return max(int(((aperture & int(ApertureFlag.IN_APERTURE)) != 0).sum()), 1)
