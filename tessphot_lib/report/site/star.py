"""The page of one star."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, CustomJSHover, HoverTool, LinearColorMapper, UIElement
from bokeh.palettes import gray
from bokeh.plotting import figure
from numpy.typing import NDArray

from tessphot_lib.core.flags import ApertureFlag
from tessphot_lib.core.lightcurve import LightCurve, Stamp
from tessphot_lib.io.products.lightcurve_fits import read_light_curve
from tessphot_lib.io.stars.catalog_sqlite import read_catalog_window
from tessphot_lib.report.outlines import outlines
from tessphot_lib.report.point_flags import GOOD, all_reasons, flag_counts, reasons
from tessphot_lib.report.site.fewer_points import (
    extremes_kept,
    means,
    points_per_mean,
    some_of_each,
)
from tessphot_lib.report.site.figures import shades, with_legend
from tessphot_lib.report.site.page import PLOT_STYLE, write_page
from tessphot_lib.report.spectrum import amplitude_spectrum

NEIGHBOR_TMAG = 5.0  # [mag] neighbors this much fainter are not shown
FLAGGED: dict[str, Any] = {"marker": "x", "color": "#d62728", "size": 5}  # points


def write_star_page(
    path: Path, light_curve: Path, catalog: Path, *, title: str, **star: Any
) -> None:
    """Write the page of a star.

    Parameters
    ----------
    path : Path
        ``<report>/<CCD>/stars/tic….html``
    light_curve : Path
        Its FITS file.
    catalog : Path
        Of its CCD, for the neighbors.
    title : str
        Of the CCD.
    **star
        ``warning`` (text) and ``file`` (the light curve's name as it is shown).

    Raises
    ------
    InputDataError
        If the light curve or the catalog cannot be read.
    """
    curve, stamp, header = read_light_curve(light_curve)
    figures = {
        "light_curve": _series(curve),
        "stamp": _stamp(curve, stamp, catalog),
        "periodogram": _periodogram(curve),
    }
    write_page(
        path,
        "star.html",
        depth=2,
        figures=figures,
        tic_id=curve.tic_id,
        tmag=f"{header['TESSMAG']:.2f}",
        numbers=_numbers(curve, header),
        flagged=flag_counts(curve),
        title=title,
        **star,
    )


def _numbers(curve: LightCurve, header: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and values of what is known of the star."""
    good = curve.quality == 0
    mean = np.nanmedian(curve.flux[good]) if np.isfinite(curve.flux[good]).any() else np.nan
    rows = [
        ("method", header["PHOTMET"]),
        ("flux", f"{mean:.1f} e-/s"),
        ("good points", f"{int(good.sum())} of {len(curve.time)}"),
    ]
    for name, key, unit in (
        ("CDPP 1 h", "CDPP1_0", "ppm"),
        ("CDPP 6 h", "CDPP6_0", "ppm"),
        ("crowding (CROWDSAP)", "CROWDSAP", ""),
        ("fraction of the flux (FLFRCSAP)", "FLFRCSAP", ""),
    ):
        if header.get(key) is not None:
            rows.append((name, f"{header[key]:.0f} {unit}" if unit else f"{header[key]:.4g}"))
    correction = header.get("CORRMETH")
    if correction is not None:
        why = header.get("CORRWHY")
        rows.append(("correction", f"{correction} ({why})" if why else correction))
    return rows


def _series(curve: LightCurve) -> UIElement:
    """Corrected and raw flux, background and centroid over time, zoomed together.

    Where there are more good points than a page can hold, their means are drawn.
    """
    good = curve.quality == 0
    rows = (
        ("FLUX_CORR", "ppm", {"corrected flux": curve.flux_corr}, 290),
        ("FLUX_RAW", "e-/s", {"flux": curve.flux}, 240),
        ("FLUX_BKG", "e-/s in the aperture", {"background": curve.background}, 190),
        ("Centroid", "mpx from the median", _centroids(curve, good), 210),
    )
    lines = {name: values for _, _, some, _ in rows for name, values in some.items()}
    flagged, flagged_label, hover = _flagged_points(curve, lines)
    averaged, averaged_label = _good_points(curve, lines)
    plots: list[Any] = []
    for title, unit, shown, height in rows:
        shared = {"x_range": plots[0].x_range} if plots else {}
        plot = figure(title=title, height=height, y_axis_label=unit, **shared, **PLOT_STYLE)
        for color, name in zip(("#1d2733", "#d95f02"), shown, strict=False):
            if np.isfinite(flagged.data[name]).any():
                label = f"{name}, {flagged_label}"
                plot.scatter("x", name, source=flagged, legend_label=label, **FLAGGED)
            look = {"color": color, "size": 3}
            label = f"{name}{averaged_label}"
            plot.scatter("x", name, source=averaged, legend_label=label, **look)
        plot.add_tools(
            HoverTool(
                tooltips=[("BTJD", "@x{0.0000}"), ("", "@why{custom}")],
                formatters={"@why": hover},
                limit=1,
            )
        )
        with_legend(plot)
        _scale_to_good(plot, [averaged.data[name] for name in shown])
        plots.append(plot)
    plots[-1].xaxis.axis_label = "time (BTJD)"
    return column(plots, sizing_mode="stretch_width")


def _good_points(curve: LightCurve, lines: Mapping[str, NDArray]) -> tuple[ColumnDataSource, str]:
    """Good points, or their means, and what a legend adds to their name."""
    at = np.flatnonzero((curve.quality == 0) & np.isfinite(curve.time))
    n_each = points_per_mean(len(at))
    mean = {
        name: means(curve.cadenceno[at], n_each, values[at])
        for name, values in ({"x": curve.time} | lines).items()
    }
    data = {name: mean[name].astype(np.float32) for name in lines}
    why = np.zeros(len(mean["x"]), dtype=np.uint8)
    label = f", means of {n_each} cadences" if n_each > 1 else ""
    return ColumnDataSource(data | {"x": mean["x"], "why": why}), label


def _flagged_points(
    curve: LightCurve, lines: Mapping[str, NDArray]
) -> tuple[ColumnDataSource, str, CustomJSHover]:
    """Flagged points one by one, their legend, and how to say why (0: they are good)."""
    at = np.flatnonzero((curve.quality != 0) & np.isfinite(curve.time))
    named = [all_reasons(one) for one in reasons(curve)]
    names = {GOOD: 0}
    why = np.array([names.setdefault(named[n], len(names)) for n in at], dtype=np.uint16)
    kept = some_of_each(why)
    label = "flagged" if len(kept) == len(at) else f"flagged ({len(kept)} of {len(at)})"
    data = {name: values[at[kept]].astype(np.float32) for name, values in lines.items()}
    hover = CustomJSHover(args={"names": list(names)}, code="return names[value]")
    return ColumnDataSource(data | {"x": curve.time[at[kept]], "why": why[kept]}), label, hover


def _scale_to_good(plot: Any, lines: list[NDArray]) -> None:
    """Let the good points decide the scale."""
    values = np.concatenate(lines)
    values = values[np.isfinite(values)]
    if len(values):
        low, high = float(values.min()), float(values.max())
        margin = 0.08 * (high - low) + 1e-9
        plot.y_range.start, plot.y_range.end = low - margin, high + margin


def _centroids(curve: LightCurve, good: NDArray) -> dict[str, NDArray]:
    """Centroid, relative to its median over the good points [mpx]."""
    lines = {"column": curve.centroid_column, "row": curve.centroid_row}
    result = {}
    for name, values in lines.items():
        known = values[good & np.isfinite(values)]
        result[name] = 1e3 * (values - (np.median(known) if len(known) else 0))
    return result


def _stamp(curve: LightCurve, stamp: Stamp, catalog: Path) -> UIElement:
    """Average image with the aperture, the target and its neighbors."""
    window = stamp.window
    plot = figure(
        title="Average image, aperture and neighbors",
        width=460,
        height=460,
        match_aspect=True,
        x_axis_label="column (science pixels)",
        y_axis_label="row (science pixels)",
        tools="pan,wheel_zoom,reset,save",
    )
    mapper = LinearColorMapper(palette=["#ffffff", *gray(256)[:0:-1]], low=0, high=255)
    corner = {"x": window.column0 - 0.5, "y": window.row0 - 0.5}
    size = {"dw": window.shape[1], "dh": window.shape[0]}
    plot.image([shades(stamp.average_image)], color_mapper=mapper, **corner, **size)
    mask = (stamp.aperture & int(ApertureFlag.IN_APERTURE)) != 0
    borders = outlines(mask.astype(int), window)
    plot.multi_line(
        [list(line[:, 0]) for line in borders],
        [list(line[:, 1]) for line in borders],
        color="#d62728",
        line_width=2,
    )
    edges = window.row0 - 0.5, window.row1 - 0.5, window.column0 - 0.5, window.column1 - 0.5
    stars = read_catalog_window(catalog, *edges)
    is_target = stars["tic_id"] == curve.tic_id
    faintest = stars["tmag"][is_target].min() + NEIGHBOR_TMAG
    near = stars[~is_target & ~(stars["tmag"] > faintest)]
    names = ["tic_id", "tmag", "row", "column"]
    for rows, look in (
        (near, {"marker": "circle", "size": 12, "fill_alpha": 0, "color": "#1f77b4"}),
        (stars[is_target], {"marker": "cross", "size": 16, "color": "#d62728"}),
    ):
        source = ColumnDataSource(rows[names].to_dict("list"))
        plot.scatter("column", "row", source=source, line_width=2, **look)
    plot.add_tools(HoverTool(tooltips=[("TIC", "@tic_id{0}"), ("Tmag", "@tmag{0.00}")]))
    return plot


def _periodogram(curve: LightCurve) -> UIElement:
    """Amplitudes of the good points by frequency, to the Nyquist frequency."""
    title = "Amplitude spectrum (Lomb-Scargle) of FLUX_CORR"
    plot = figure(
        title=title,
        height=460,
        x_axis_label="frequency (1/d)",
        y_axis_label="amplitude (ppm)",
        **PLOT_STYLE,
    )
    frequency, amplitude = amplitude_spectrum(curve.time, curve.flux_corr, curve.quality == 0)
    if not len(frequency):
        plot.title.text = f"{title}: too few good points"
    kept = extremes_kept(amplitude)
    shown = (values[kept].astype(np.float32) for values in (frequency, amplitude))
    plot.line(*shown, color="#1d2733")
    return plot
