"""A light-curve file -> a picture: stamp with aperture and neighbors, light curve, centroids."""

import textwrap
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.core.constants import SECONDS_PER_DAY
from tessphot_lib.core.errors import ConfigError
from tessphot_lib.core.identifiers import object_name
from tessphot_lib.core.lightcurve import LightCurve, Stamp
from tessphot_lib.core.medians import median_of_known
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.products.lightcurve_fits import read_light_curve, read_weights
from tessphot_lib.report.pictures import new_figure
from tessphot_lib.report.point_flags import main_reason, reasons
from tessphot_lib.report.spectrum import amplitude_spectrum
from tessphot_lib.report.stamp_pictures import (
    draw_aperture,
    draw_residuals,
    draw_weights,
    show_image,
    stars_around,
    stretched,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NEIGHBOR_TMAG = 5.0  # [mag] neighbors this much fainter are not shown
FORMATS = ("png", "pdf", "svg")
IMAGE_HEIGHT = 3.6  # [inch] of a row of images
LINE_LENGTH = 150  # [characters] of the remark under the title
MAX_REASONS = 6  # that the legend names


def draw_star(
    light_curve: Path,
    catalog: Path | None,
    output: Path,
    *,
    remark: str = "",
    with_spectrum: bool = False,
    prf: Path | None = None,
) -> None:
    """Draw one star.

    Parameters
    ----------
    light_curve : Path
        FITS file.
    catalog : Path or None
        Of its CCD, for the neighbors; None: they are not shown.
    output : Path
        Picture; its suffix tells the format, see `picture_format`.
    remark : str
        What the todo list says of the star, such as a warning; shown under the title.
    with_spectrum : bool
        Whether the amplitude spectrum of FLUX_CORR is drawn, too.
    prf : Path, optional
        ``prf.fits`` of its CCD: draws what the PRFs of the stars leave of the average image.

    Raises
    ------
    ConfigError
        If the suffix is not known, or the PRF is to be shown without a catalog.
    """
    file_format = picture_format(output)
    if prf is not None and catalog is None:
        raise ConfigError(
            f"{light_curve}: its CCD's catalog is not there, so PRFs cannot be fitted"
        )
    curve, stamp, header = read_light_curve(light_curve)
    weights = read_weights(light_curve)
    rows = [["stamp", "corr"], ["stamp", "raw"], ["facts", "centroid"]]
    rows += [["facts", "spectrum"]] if with_spectrum else []
    heights = [2.5 * len(rows), *[IMAGE_HEIGHT] * ((weights is not None) + (prf is not None))]
    figure = new_figure(figsize=(13, sum(heights)))
    parts = list(np.atleast_1d(figure.subfigures(len(heights), 1, height_ratios=heights)))
    axes = parts.pop(0).subplot_mosaic(rows, width_ratios=[1, 2.2])
    _draw_stamp(axes["stamp"], curve, stamp, catalog)
    good = curve.quality == 0
    _draw_series(axes["corr"], curve, curve.flux_corr, good, "FLUX_CORR (ppm)")
    _draw_expected(axes["corr"], curve)
    _draw_series(axes["raw"], curve, curve.flux, good, "FLUX_RAW (e$^-$/s)")
    for values, label, color in (
        (curve.centroid_column, "column", "tab:blue"),
        (curve.centroid_row, "row", "tab:orange"),
    ):
        offset = 1e3 * (values - median_of_known(values[good]))
        axes["centroid"].plot(curve.time[good], offset[good], ".", ms=3, color=color, label=label)
    axes["centroid"].set(xlabel="time (BTJD)", ylabel="centroid (mpx)")
    _add_legend(axes["centroid"], ncols=2)
    for name in ("corr", "raw"):
        axes[name].sharex(axes["centroid"])
        axes[name].tick_params(labelbottom=False)
    if with_spectrum:
        _draw_spectrum(axes["spectrum"], curve)
    axes["facts"].axis("off")
    axes["facts"].text(0, 1, _facts(header, curve), va="top", family="monospace", fontsize=9)
    if weights is not None:
        draw_weights(parts.pop(0), stamp, weights)
    if prf is not None and catalog is not None:
        draw_residuals(parts.pop(0), curve, stamp, catalog, prf)
    title = title_of(header)
    lines = [title, *textwrap.wrap(remark, LINE_LENGTH)]
    figure.suptitle("\n".join(lines), fontsize=11)
    with complete_file(output) as partial:
        figure.savefig(partial, dpi=120, format=file_format)


def title_of(header: Mapping[str, Any]) -> str:
    """Which star it is, on which CCD, with which cadence: a CCD may have light curves of several.

    Parameters
    ----------
    header : mapping
        Of a light curve, as `tessphot_lib.io.products.lightcurve_fits.read_light_curve` has it.
    """
    where = f"sector {header['SECTOR']}, camera {header['CAMERA']}, CCD {header['CCD']}"
    seconds = round(float(header["TIMEDEL"]) * SECONDS_PER_DAY)
    return f"{object_name(header['TICID'])}, Tmag {header['TESSMAG']:.2f}: {where}, {seconds} s"


def picture_format(path: Path) -> str:
    """Format of a picture by the suffix of its name, in small or capital letters.

    Raises
    ------
    ConfigError
        If it is none of `FORMATS`, or there is no suffix.
    """
    suffix = path.suffix.removeprefix(".")
    if suffix.lower() not in FORMATS:
        known = ", ".join(f".{name}" for name in FORMATS)
        raise ConfigError(
            f"{path}: a picture's name ends in one of {known}, not in '{path.suffix}'"
        )
    return suffix.lower()


def _draw_stamp(axes: "Axes", curve: LightCurve, stamp: Stamp, catalog: Path | None) -> None:
    """Average image with the aperture and, where the catalog is known, its stars."""
    window = stamp.window
    show_image(axes, window, stretched(stamp.average_image))
    draw_aperture(axes, stamp, linewidths=1.5)
    if catalog is not None:
        _draw_stars(axes, curve, stars_around(catalog, window, 0.0))
    axes.set(
        xlim=(window.column0 - 0.5, window.column1 - 0.5),
        ylim=(window.row0 - 0.5, window.row1 - 0.5),
        xlabel="column (science pixels)",
        ylabel="row (science pixels)",
        title="aperture (red), neighbors (blue)",
    )


def _draw_stars(axes: "Axes", curve: LightCurve, stars: pd.DataFrame) -> None:
    """Star and neighbors, where the catalog has them."""
    is_target = (stars["tic_id"] == curve.tic_id).to_numpy()
    brightest = stars["tmag"][is_target] if is_target.any() else stars["tmag"]
    faintest = float(brightest.min()) + NEIGHBOR_TMAG
    near = stars[~is_target & (stars["tmag"] < faintest).to_numpy()]
    size = 40 + 20 * (faintest - near["tmag"].to_numpy())
    axes.scatter(near["column"], near["row"], s=size, facecolors="none", edgecolors="tab:blue")
    target = stars[is_target]
    axes.plot(target["column"], target["row"], "+", color="tab:red", ms=12, mew=1.5)


def _draw_series(
    axes: "Axes", curve: LightCurve, values: NDArray, good: NDArray, label: str
) -> None:
    """One column of the light curve, with the scale of its good points."""
    flagged = ~good & np.isfinite(values)
    why = np.array([main_reason(named) for named in reasons(curve)], dtype=object)
    common = Counter(why[flagged]).most_common()
    for n, (reason, _) in enumerate(common):
        chosen = flagged & (why == reason)
        color, name = f"C{n + 1}", reason if n < MAX_REASONS else None
        axes.plot(curve.time[chosen], values[chosen], "x", color=color, ms=4, label=name)
    if common:
        _add_legend(axes, ncols=2, title="flagged", title_fontsize=7)
    axes.plot(curve.time[good], values[good], ".", color="black", ms=3)
    known = values[good & np.isfinite(values)]
    if known.size:
        low, high = np.percentile(known, [0, 100])
        margin = 0.08 * (high - low) + 1e-9
        axes.set_ylim(low - margin, high + margin)
    else:
        axes.text(0.5, 0.5, "not filled", transform=axes.transAxes, ha="center")
    axes.set_ylabel(label)


def _draw_expected(axes: "Axes", curve: LightCurve) -> None:
    """Lines between which two thirds of the points of a constant star are expected."""
    sigma = median_of_known(curve.flux_corr_err[curve.quality == 0])
    for level, label in ((-sigma, None), (sigma, "1 sigma expected")):
        axes.axhline(level, color="tab:red", lw=0.8, ls="--", zorder=3, label=label)
    _add_legend(axes)


def _add_legend(axes: "Axes", **options: Any) -> None:
    """Put the legend above a plot, off its points."""
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1, 1),
        borderaxespad=0,
        fontsize=7,
        frameon=False,
        **options,
    )


def _draw_spectrum(axes: "Axes", curve: LightCurve) -> None:
    """Amplitude spectrum of the good points."""
    frequency, amplitude = amplitude_spectrum(curve.time, curve.flux_corr, curve.quality == 0)
    axes.plot(frequency, amplitude, color="black", lw=0.8)
    if not len(frequency):
        axes.text(0.5, 0.5, "too few good points", transform=axes.transAxes, ha="center")
        axes.set(xticks=[], yticks=[])
    axes.set(xlabel="frequency (1/d)", ylabel="amplitude (ppm)")


def _facts(header: dict, curve: LightCurve) -> str:
    """A few lines about the star."""
    points = 1 / (24 * float(header["TIMEDEL"]))  # in an hour
    expected = median_of_known(curve.flux_corr_err[curve.quality == 0]) / np.sqrt(points)
    lines = [
        f"method       {header['PHOTMET']}",
        f"mean flux    {median_of_known(curve.flux[curve.quality == 0]):.1f} e-/s",
        f"good points  {int((curve.quality == 0).sum())} of {len(curve.time)}",
        f"CDPP 1 h     {_in_ppm(header.get('CDPP1_0'))}",
        f"  expected   {expected:.0f} ppm",
        f"CDPP 6 h     {_in_ppm(header.get('CDPP6_0'))}",
        f"correction   {header.get('CORRMETH')}, {header.get('CORRNTR')} trends",
    ]
    for key in ("CROWDSAP", "FLFRCSAP"):
        if header.get(key) is not None:
            lines.append(f"{key:<12} {header[key]:.3f}")
    return "\n".join(lines)


def _in_ppm(cdpp: float | None) -> str:
    """Write a noise; None: the header has none."""
    return "not known" if cdpp is None else f"{cdpp:.0f} ppm"
