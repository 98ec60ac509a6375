"""A joined light curve -> a picture: all its sectors, and each of them by itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.lightcurve import Stamp
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.report.few_stars import noise_in_words
from tessphot_lib.report.pictures import new_figure
from tessphot_lib.report.stamp_pictures import draw_aperture, show_image, stretched
from tessphot_lib.report.star_picture import picture_format

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_SECTORS = 24  # that are shown one by one
COLUMNS = 3
FAR = 2.0  # in units of the range of most points


def draw_joined(
    curve: Mapping[str, NDArray],
    sectors: Sequence[Mapping[str, Any]],
    stamps: Sequence[Stamp],
    title: str,
    output: Path,
) -> None:
    """Draw the joined light curve above, each sector and its stamp below.

    Parameters
    ----------
    curve, sectors
        As `tessphot_lib.io.products.joined_fits.write_joined` takes them.
    stamps : sequence of Stamp
        Of each sector.
    title : str
    output : Path
        Picture; its suffix tells the format.
    """
    shown = list(zip(sectors, stamps, strict=True))[:MOST_SECTORS]
    if len(shown) == 1:
        figure = new_figure(figsize=(13, 4))
        image, axes = figure.subplots(1, 2, width_ratios=[1, 3.5])
        _draw_stamp(image, shown[0][1], fontsize=8)
        image.set_xlabel("column (science pixels)", fontsize=8)
        image.set_ylabel("row (science pixels)", fontsize=8)
        _draw_sector(axes, curve, shown[0][0], fontsize=9)
        axes.set(xlabel="time (BTJD)", ylabel="relative flux")
    else:
        columns = min(COLUMNS, len(shown))
        n_rows = -(-len(shown) // columns)
        figure = new_figure(figsize=(13, 3.5 + 2.4 * n_rows))
        grid = figure.add_gridspec(n_rows + 1, 4 * columns, height_ratios=[1.5, *[1] * n_rows])
        axes = figure.add_subplot(grid[0, :])
        _draw_series(axes, curve, np.ones(len(curve["TIME"]), dtype=bool))
        axes.set(xlabel="time (BTJD)", ylabel="relative flux")
        for index, (row, stamp) in enumerate(shown):
            line, first = index // columns + 1, 4 * (index % columns)
            _draw_stamp(figure.add_subplot(grid[line, first]), stamp, fontsize=6)
            axes = figure.add_subplot(grid[line, first + 1 : first + 4])
            _draw_sector(axes, curve, row, fontsize=7)
            axes.tick_params(labelsize=7)
    figure.suptitle(title)
    with complete_file(output) as partial:
        figure.savefig(partial, dpi=110, format=picture_format(output))


def _draw_sector(
    axes: "Axes", curve: Mapping[str, NDArray], row: Mapping[str, Any], fontsize: int
) -> None:
    """The light curve of one sector."""
    of_sector = np.ones(len(curve["TIME"]), dtype=bool)
    for name in ("SECTOR", "CAMERA", "CCD"):
        of_sector &= curve[name] == row[name]
    _draw_series(axes, curve, of_sector)
    axes.set_title(
        f"sector {row['SECTOR']}, camera {row['CAMERA']}, CCD {row['CCD']}: {row['METHOD']}, "
        f"ratio {row['RATIO']:.4f}, {noise_in_words(row['CDPP_1H'])}",
        fontsize=fontsize,
    )


def _draw_series(axes: "Axes", curve: Mapping[str, NDArray], chosen: NDArray) -> None:
    """Raw fluxes in gray, corrected ones in black; scaled to these."""
    time, flux = curve["TIME"][chosen], curve["FLUX"][chosen]
    good = curve["QUALITY"][chosen] == 0
    raw = np.where(good, curve["RAW_FLUX"][chosen], np.nan)
    axes.plot(time, raw, ".", color="0.75", ms=2)
    axes.plot(time, flux, ".", color="black", ms=2)
    known = flux[np.isfinite(flux)]
    if not known.size:
        axes.text(0.5, 0.5, "no good flux", transform=axes.transAxes, ha="center")
        return
    low, high = np.percentile(known, [0.5, 99.5])
    reach = FAR * (high - low) + 1e-6  # single points farther away do not set the scale
    low, high = max(known.min(), low - reach), min(known.max(), high + reach)
    margin = 0.08 * (high - low) + 1e-6
    axes.set_ylim(low - margin, high + margin)


def _draw_stamp(axes: "Axes", stamp: Stamp, fontsize: int) -> None:
    """Average image with the aperture."""
    show_image(axes, stamp.window, stretched(stamp.average_image))
    draw_aperture(axes, stamp, linewidths=1)
    axes.tick_params(labelsize=fontsize)
    axes.locator_params(integer=True, nbins=3)
