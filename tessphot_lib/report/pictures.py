"""Step: a finished run -> a picture of an average image with apertures, and of a light curve."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tessphot_lib.core.flags import ApertureFlag, LightCurveFlag
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.products.average_fits import read_average_image
from tessphot_lib.io.products.lightcurve_fits import read_light_curve
from tessphot_lib.io.products.todo_apertures import read_apertures
from tessphot_lib.io.products.todo_sqlite import read_todo
from tessphot_lib.report.stamp_pictures import draw_aperture, draw_outlines, show_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N_LABELS = 12  # bright stars that are named in the picture
FAINT_LIMIT = 13.0  # [Tmag] of the star whose light curve is shown


def draw_nothing(why: str, output: Path) -> None:
    """A picture that says why there is none."""
    figure = new_figure(figsize=(6, 2))
    figure.text(0.5, 0.5, why, ha="center", va="center")
    figure.savefig(output, dpi=120, format="png")


def draw_average(folder: Path, ccd_id: CcdId, output: Path) -> None:
    """Average image with the outlines of all apertures."""
    average, _, window = read_average_image(folder / "average_image.fits")
    stars = read_todo(folder / "todo.sqlite")
    owner = np.zeros(window.shape, dtype=np.int64)
    for priority, aperture in read_apertures(folder / "todo.sqlite").items():
        owner[aperture.window.slices_in(window)][aperture.mask] = priority
    figure = new_figure(figsize=(8, 8))
    axes = figure.subplots()
    low, high = np.nanpercentile(average, [5, 99.5])
    show_image(
        axes, window, np.arcsinh(np.clip(average - low, 0, None) / max(high - low, 1e-9) * 100)
    )
    draw_outlines(axes, owner, window, linewidths=0.4)
    for star in stars.head(N_LABELS).itertuples():
        axes.annotate(
            f"{star.tic_id}\n{star.tmag:.1f}",
            (star.column, star.row),
            xytext=(5, 5),
            textcoords="offset points",
            fontsize=6,
            color="tab:blue",
        )
    axes.set(
        xlabel="column (science pixels)",
        ylabel="row (science pixels)",
        title=f"{ccd_id}: average image, apertures of {len(stars)} stars (red)",
    )
    figure.savefig(output, dpi=130, format="png")


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
        title=f"TIC {light_curve.tic_id}, Tmag {star['tmag']:.2f}: good cadences",
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
