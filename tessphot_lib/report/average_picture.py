"""The average image of a CCD with its apertures, as a picture; of cutouts, all side by side."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.core.counts import counted
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.io.images.cutout_table import read_cutout_table
from tessphot_lib.io.products.average_fits import read_average_image
from tessphot_lib.io.products.todo_apertures import read_apertures
from tessphot_lib.io.products.todo_sqlite import read_todo
from tessphot_lib.report.contact_sheet import draw_contact_sheet
from tessphot_lib.report.pictures import draw_nothing, new_figure
from tessphot_lib.report.stamp_pictures import draw_outlines, show_image

N_LABELS = 12  # bright stars that are named in the picture


def draw_average(folder: Path, ccd_id: CcdId, output: Path) -> None:
    """Draw the average image with the outlines of all apertures.

    Parameters
    ----------
    folder : Path
        Of the CCD.
    ccd_id : CcdId
    output : Path
        PNG file.
    """
    average, _, window = read_average_image(folder / "average_image.fits")
    stars = read_todo(folder / "todo.sqlite")
    owner = np.zeros(window.shape, dtype=np.int64)
    for priority, aperture in read_apertures(folder / "todo.sqlite").items():
        owner[aperture.window.slices_in(window)][aperture.mask] = priority
    cutouts = folder / "cutouts.ecsv"
    if not np.isfinite(average).any():
        draw_nothing(f"{ccd_id}: the average image has no pixels", output)
    elif cutouts.is_file():
        windows = [cutout["window"] for cutout in read_cutout_table(cutouts)]
        draw_contact_sheet(average, owner, window, windows, stars, ccd_id, output)
    else:
        _draw_whole(average, owner, window, stars, ccd_id, output)


def _draw_whole(
    average: NDArray,
    owner: NDArray,
    window: Window,
    stars: pd.DataFrame,
    ccd_id: CcdId,
    output: Path,
) -> None:
    """Average image as a whole."""
    figure = new_figure(figsize=(8, 8))
    axes = figure.subplots()
    low, high = np.nanpercentile(average, [5, 99.5])
    shown = np.arcsinh(np.clip(average - low, 0, None) / max(high - low, 1e-9) * 100)
    show_image(axes, window, shown)
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
        title=f"{ccd_id}: average image, apertures of {counted(len(stars), 'star')} (red)",
    )
    figure.savefig(output, dpi=130, format="png")
