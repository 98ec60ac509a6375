"""All cutouts of a CCD side by side: average images with apertures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.core.counts import counted
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.identifiers import object_name
from tessphot_lib.report.pictures import new_figure
from tessphot_lib.report.stamp_pictures import draw_outlines, show_image, stretched

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CUTOUTS = 60  # that are shown
PANEL = 1.9  # [inch]
WIDER = 1.5  # the sheet has so many times more columns than rows


def draw_contact_sheet(
    average: NDArray,
    owner: NDArray,
    window: Window,
    cutouts: Sequence[Window],
    stars: pd.DataFrame,
    ccd_id: CcdId,
    output: Path,
) -> None:
    """Draw the average image in each cutout, with its apertures and its star.

    Parameters
    ----------
    average : (n_rows, n_columns) float array
        NaN where there is no pixel.
    owner : (n_rows, n_columns) int array
        Number of the star whose aperture a pixel is in, 0: none.
    window : Window
        Of both.
    cutouts : sequence of Window
        At least one; the first `MOST_CUTOUTS` are shown.
    stars : DataFrame
        Todo list: ``tic_id``, ``tmag``, ``row``, ``column``.
    ccd_id : CcdId
    output : Path
        PNG file.
    """
    shown = [cutout.intersect(window) for cutout in cutouts[:MOST_CUTOUTS]]
    columns = min(len(shown), int(np.ceil(np.sqrt(WIDER * len(shown)))))
    rows = -(-len(shown) // columns)
    figure = new_figure(figsize=(max(PANEL * columns, 4.0), PANEL * rows + 0.6))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, cutout in zip(grid, shown, strict=False):
        if cutout is None:
            axes.axis("off")
            continue
        pixels = cutout.slices_in(window)
        show_image(axes, cutout, stretched(average[pixels]))
        draw_outlines(axes, owner[pixels], cutout, linewidths=0.7)
        _name_star(axes, central_star(stars, cutout))
        axes.tick_params(labelsize=5)
        axes.locator_params(integer=True, nbins=3)
    for axes in grid[len(shown) :]:
        axes.axis("off")
    count = counted(len(shown), "cutout")
    count += f" of {len(cutouts)}" if len(cutouts) > len(shown) else ""
    figure.suptitle(f"{ccd_id}: {count}, average images, apertures (red)", fontsize=9)
    figure.savefig(output, dpi=130, format="png")


def central_star(stars: pd.DataFrame, cutout: Window) -> Mapping | None:
    """Return the listed star nearest to the middle of a cutout; None if none lies on it."""
    inside = stars[
        stars["row"].between(cutout.row0 - 0.5, cutout.row1 - 0.5)
        & stars["column"].between(cutout.column0 - 0.5, cutout.column1 - 0.5)
    ]
    if inside.empty:
        return None
    away = np.hypot(
        inside["row"] - (cutout.row0 + cutout.row1 - 1) / 2,
        inside["column"] - (cutout.column0 + cutout.column1 - 1) / 2,
    )
    return inside.loc[away.idxmin()].to_dict()


def _name_star(axes: "Axes", star: Mapping | None) -> None:
    """Mark a star, and say which it is."""
    if star is None:
        axes.set_title("no listed star", fontsize=6)
        return
    axes.plot(star["column"], star["row"], "+", color="tab:blue", ms=5, mew=0.8)
    axes.set_title(f"{object_name(int(star['tic_id']))}, {star['tmag']:.1f}", fontsize=6)
