"""Plots of the report that show many stars, or a CCD's images."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from bokeh.core.properties import value
from bokeh.layouts import gridplot
from bokeh.models import (
    ColumnDataSource,
    FactorRange,
    HoverTool,
    LinearColorMapper,
    OpenURL,
    TapTool,
    UIElement,
)
from bokeh.palettes import gray
from bokeh.plotting import figure
from numpy.typing import NDArray

from tessphot_lib.core.geometry import Window
from tessphot_lib.report.site.fewer_points import means, points_per_mean
from tessphot_lib.report.site.floor import LARGEST_APERTURE, SMALLEST_APERTURE
from tessphot_lib.report.site.page import PLOT_STYLE

COLORS = {
    "aperture": "#1f77b4",
    "linpsf": "#d95f02",
    "psf": "#7b3294",
    "halo": "#1b9e77",
}
HOVER = [
    ("TIC", "@tic_id{0}"),
    ("Tmag", "@tmag{0.00}"),
    ("method", "@method_used"),
    ("CDPP 1 h (ppm)", "@cdpp_1h{0.0}"),
    ("warning", "@warning"),
]
MAX_HOVERED = 3  # stars named at once
MIN_STARS = 4  # of half a magnitude, for their median
IMAGE_WIDTH, IMAGE_MARGIN = 900, 100  # [screen pixels] of the average image; for axes and legend
FAINTEST_SIZED = 17.0  # [Tmag] whose markers are the smallest
SHOWN = ("tic_id", "method_used", "warning", "url")
NUMBERS = ("tmag", "row", "column", "cdpp_1h", "mask_size", "contamination")


def star_sources(stars: pd.DataFrame) -> dict[str, ColumnDataSource]:
    """Give the stars to plots, by method; plots that share them also share what is selected.

    Parameters
    ----------
    stars : DataFrame
        As `tessphot_lib.report.site.stars.star_table` returns it, with ``url``.
    """
    bright = (FAINTEST_SIZED - stars["tmag"].fillna(FAINTEST_SIZED)).clip(lower=1)
    shown = pd.DataFrame({name: stars[name] for name in SHOWN})
    shown["size"] = (3 + 0.9 * bright).astype(np.float32)
    for name in NUMBERS:
        shown[name] = pd.to_numeric(stars[name], errors="coerce").astype(np.float32)
    for name in ("cdpp_1h", "mask_size"):  # on logarithmic axes
        shown[name] = shown[name].where(shown[name] > 0)
    return {
        str(method): ColumnDataSource({name: rows[name].to_numpy() for name in rows})
        for method, rows in shown.groupby("method_used", sort=True)
    }


def noise_figure(
    stars: Mapping[str, ColumnDataSource], floor: tuple[NDArray, NDArray] | None
) -> UIElement:
    """CDPP over an hour against magnitude, with the median and the expected noise.

    Parameters
    ----------
    stars : mapping of str to ColumnDataSource
        See `star_sources`.
    floor : (tmag, ppm), optional
    """
    plot = _star_figure("CDPP over 1 h", "ppm", y_axis_type="log")
    _add_stars(plot, stars, "tmag", "cdpp_1h")
    names = ("tmag", "cdpp_1h")
    parts = [pd.DataFrame({name: source.data[name] for name in names}) for source in stars.values()]
    known = pd.concat([*parts, pd.DataFrame(columns=names, dtype=np.float32)]).dropna()
    middle = _medians(known["tmag"], known["cdpp_1h"])
    if len(middle):
        at, values = middle.index.to_numpy(), middle.to_numpy()
        plot.line(at, values, color="black", width=2, legend_label="median")
    if floor is not None:
        label = "photons, sky, read noise"
        plot.line(*floor, color="#d62728", width=2, line_dash="dashed", legend_label=label)
    return with_legend(plot)


def _medians(tmag: pd.Series, values: pd.Series) -> pd.Series:
    """Medians of values by half magnitudes, where there are stars enough for one to mean much."""
    groups = values.groupby((tmag * 2).round() / 2)
    return groups.median()[groups.size() >= MIN_STARS]


def aperture_figure(stars: Mapping[str, ColumnDataSource]) -> UIElement:
    """Pixels of apertures against magnitude, with the limits of TASOC's data validation."""
    plot = _star_figure("Aperture size", "pixels", y_axis_type="log")
    _add_stars(plot, stars, "tmag", "mask_size")
    for limits in (SMALLEST_APERTURE, LARGEST_APERTURE):
        plot.line(*limits, color="#d62728", line_dash="dashed", legend_label="data validation")
    return with_legend(plot)


def contamination_figure(stars: Mapping[str, ColumnDataSource]) -> UIElement:
    """Fraction of the light in apertures that is other stars', against magnitude."""
    plot = _star_figure("Contamination", "fraction of the light in the aperture")
    _add_stars(plot, stars, "tmag", "contamination")
    return with_legend(plot)


def image_figure(
    image: NDArray, window: Window, stars: Mapping[str, ColumnDataSource]
) -> UIElement:
    """Average image with its stars.

    Parameters
    ----------
    image : (n_rows, n_columns) array
        [e-/s]; NaN pixels are left white.
    window : Window
        The pixels of the image.
    stars : mapping of str to ColumnDataSource
        See `star_sources`.
    """
    n_rows, n_columns = window.shape
    plot = figure(
        width=IMAGE_WIDTH,
        height=IMAGE_MARGIN + round((IMAGE_WIDTH - IMAGE_MARGIN) * min(n_rows / n_columns, 2.0)),
        match_aspect=True,
        output_backend="webgl",
        x_axis_label="column (science pixels)",
        y_axis_label="row (science pixels)",
        **PLOT_STYLE,
    )
    plot.sizing_mode = "scale_width"
    where = {
        "x": window.column0 - 0.5,
        "y": window.row0 - 0.5,
        "dw": n_columns,
        "dh": n_rows,
    }
    mapper = LinearColorMapper(palette=["#ffffff", *gray(256)[:0:-1]], low=0, high=255)
    plot.image([shades(image)], color_mapper=mapper, **where)
    _add_stars(plot, stars, "column", "row", size="size", fill_alpha=0, line_width=1)
    plot.x_range.range_padding = plot.y_range.range_padding = 0
    return with_legend(plot)


def shades(image: NDArray) -> NDArray:
    """Stretch an image by asinh to 1-255; 0 where it is NaN, (n_rows, n_columns) uint8."""
    known = np.isfinite(image)
    if not known.any():
        return np.zeros(image.shape, dtype=np.uint8)
    low, high = np.percentile(image[known], [2, 99.7])
    stretched = np.arcsinh(np.clip(image - low, 0, None) / max(high - low, 1e-9) * 50)
    top = np.arcsinh(50.0)
    return np.where(known, 1 + np.clip(stretched / top, 0, 1) * 254, 0).astype(np.uint8)


def series_figure(title: str, unit: str, time: NDArray, lines: Mapping[str, NDArray]) -> UIElement:
    """Values over time, one color for each of up to four names; NaN points are left out.

    Means of consecutive images where there are more than a page can hold.
    """
    n_each = points_per_mean(len(time))
    number = np.arange(len(time))
    at = means(number, n_each, time)
    plot = figure(
        title=f"{title}, means of {n_each} images" if n_each > 1 else title,
        height=300,
        x_axis_label="time (BTJD)",
        y_axis_label=unit,
        **PLOT_STYLE,
    )
    data = {
        name: means(number, n_each, values).astype(np.float32) for name, values in lines.items()
    }
    source = ColumnDataSource(data | {"x": at})
    for color, name in zip(COLORS.values(), lines, strict=False):
        plot.scatter("x", name, source=source, size=3, color=color, legend_label=name)
    return with_legend(plot)


def flags_figure(time: NDArray, flagged: Mapping[str, NDArray]) -> UIElement:
    """Which images have which flag, one line for each.

    Parameters
    ----------
    time : (n_cadences,) array
        [BTJD]
    flagged : mapping of str to (n_cadences,) bool array
        Where there are more than a page can hold, a mark stands for several consecutive images
        of which one or more have the flag.
    """
    names = list(reversed(flagged)) or ["no flag"]
    plot = figure(
        height=110 + 24 * len(names),
        y_range=FactorRange(*names),
        x_axis_label="time (BTJD)",
        title="Flags of the images",
        **PLOT_STYLE,
    )
    n_each = points_per_mean(len(time))
    for name, is_flagged in flagged.items():
        at = np.flatnonzero(is_flagged)
        source = ColumnDataSource({"x": means(at, n_each, time[at])})
        plot.scatter("x", value(name), source=source, marker="dash", angle=np.pi / 2, size=10)
    if not flagged:
        plot.scatter([], [])  # a plot without any marks causes a warning
    if len(time):
        plot.x_range.start, plot.x_range.end = float(np.nanmin(time)), float(np.nanmax(time))
    return plot


def prf_figure(stamps: list[tuple[str, NDArray]]) -> UIElement:
    """The PRF at several positions, three beside each other; logarithmic over four decades."""
    plots = []
    for name, stamp in stamps:
        plot = figure(title=name, width=220, height=240, tools="", toolbar_location=None)
        scaled = np.log10(np.clip(stamp / stamp.max(), 1e-4, 1)).astype(np.float32)
        size = stamp.shape[0]
        at = {"x": -size / 2, "y": -size / 2, "dw": size, "dh": size}
        plot.image([scaled], palette="Viridis256", **at)
        plots.append(plot)
    return gridplot(plots, ncols=3, toolbar_location=None, merge_tools=False)


def _star_figure(title: str, unit: str, **options: Any) -> Any:
    return figure(
        title=title,
        height=400,
        x_axis_label="Tmag",
        y_axis_label=unit,
        output_backend="webgl",
        **options,
        **PLOT_STYLE,
    )


def _add_stars(
    plot: Any, stars: Mapping[str, ColumnDataSource], x: str, y: str, **style: Any
) -> None:
    """A marker for each star: hovering shows what is known of it, a click opens its page."""
    renderers = []
    for method, source in stars.items():
        look = {"size": 4, "color": COLORS.get(method, "#888888"), "alpha": 0.7} | style
        renderers.append(plot.scatter(x, y, source=source, legend_label=method, **look))
    plot.add_tools(
        HoverTool(renderers=renderers, tooltips=HOVER, limit=MAX_HOVERED),
        TapTool(renderers=renderers, callback=OpenURL(url="@url")),
    )


def with_legend(plot: Any) -> Any:
    """Put the legend above a plot, off its points; a click on it hides what it names."""
    for legend in list(plot.legend):
        plot.add_layout(legend, "above")
        legend.location = "top_left"
        legend.orientation = "horizontal"
        legend.click_policy = "hide"
        legend.border_line_color = None
        legend.padding = legend.margin = 0
        legend.label_text_font_size = "8pt"
    return plot
