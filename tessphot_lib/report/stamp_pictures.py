"""Images of the pixels around a star: average image, weights, and what its PRF leaves."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.core.counts import counted
from tessphot_lib.core.flags import ApertureFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.lightcurve import LightCurve, Stamp
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.io.products.prf_fits import read_prf
from tessphot_lib.io.stars.catalog_sqlite import read_catalog_window
from tessphot_lib.prf.residuals import prf_residuals
from tessphot_lib.report.outlines import outlines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase
    from matplotlib.image import AxesImage

BORDER = 12  # [pixels] stars so far beside a stamp give it light
LEAST_AXES = 3  # side by side
MOST_TICKS = 6  # intervals between them
PERCENT = 100.0
LEAST_REACH = 0.01  # [%] of the star's flux, of the colors of residuals


def show_image(axes: "Axes", window: Window, values: NDArray, **style: Any) -> "AxesImage":
    """Show values (n_rows, n_columns) at their pixels; missing ones (NaN) are hatched.

    Parameters
    ----------
    axes : matplotlib axes
    window : Window
        Their science pixels.
    values : (n_rows, n_columns) array
    style
        Of ``imshow``.
    """
    from matplotlib.ticker import MaxNLocator  # heavy

    axes.set_facecolor("0.9")
    axes.patch.set(hatch="xxx", edgecolor="0.6")
    extent = (window.column0 - 0.5, window.column1 - 0.5, window.row0 - 0.5, window.row1 - 0.5)
    shown = axes.imshow(
        values,
        origin="lower",
        extent=extent,
        interpolation="nearest",
        **({"cmap": "gray_r"} | style),
    )
    for axis in (axes.xaxis, axes.yaxis):  # pixels have whole numbers, of up to four digits
        axis.set_major_locator(MaxNLocator(MOST_TICKS, integer=True))
    return shown


def stretched(image: NDArray) -> NDArray:
    """Scale an image so that faint and bright stars are seen; all NaN stays so."""
    if not np.isfinite(image).any():
        return image
    return np.arcsinh((image - np.nanmin(image)) / max(np.nanpercentile(image, 60), 1.0))


def draw_outlines(axes: "Axes", owner: np.ndarray, window: Window, **style: Any) -> None:
    """Draw the borders between pixels of different owners (0: none), in red."""
    from matplotlib.collections import LineCollection  # heavy

    axes.add_collection(LineCollection(outlines(owner, window), colors="tab:red", **style))


def draw_aperture(axes: "Axes", stamp: Stamp, **style: Any) -> None:
    """Draw the border of the aperture, in red."""
    mask = (stamp.aperture & int(ApertureFlag.IN_APERTURE)) != 0
    draw_outlines(axes, mask.astype(int), stamp.window, **style)


def draw_weights(figure: "FigureBase", stamp: Stamp, weights: NDArray) -> None:
    """Draw the weights of halo photometry, an image for each segment of time.

    Parameters
    ----------
    figure : matplotlib figure or subfigure
    stamp : Stamp
    weights : (n_segments, n_rows, n_columns) array
        0: not used.
    """
    largest = float(np.nanmax(weights, initial=0.0)) or 1.0
    for n, (axes, image) in enumerate(
        zip(_row_of_axes(figure, len(weights)), weights, strict=True)
    ):
        shown = show_image(
            axes,
            stamp.window,
            np.where(image > 0, image, np.nan),
            vmin=0,
            vmax=largest,
            cmap="viridis",
        )
        draw_aperture(axes, stamp, linewidths=1)
        axes.set_title(f"weights of segment {n + 1} of {len(weights)}; hatched: 0", fontsize=9)
        figure.colorbar(shown, ax=axes, shrink=0.8)


def draw_residuals(
    figure: "FigureBase", curve: LightCurve, stamp: Stamp, catalog: Path, prf: Path
) -> None:
    """Draw the average image, the fitted PRFs of all known stars, and what is left.

    Parameters
    ----------
    figure : matplotlib figure or subfigure
    curve : LightCurve
    stamp : Stamp
    catalog, prf : Path
        ``catalog.sqlite`` and ``prf.fits`` of the CCD.
    """
    window, model_prf = stamp.window, read_prf(prf)
    stars = stars_around(catalog, window, BORDER)
    good = curve.quality == 0
    moved = (usual_offset(values[good]) for values in (curve.pos_corr_row, curve.pos_corr_column))
    row, column = (
        stars[name].to_numpy() + shift for name, shift in zip(("row", "column"), moved, strict=True)
    )
    expected = np.asarray(flux_of(stars["tmag"].to_numpy(), model_prf.zeropoint))
    model, residual = prf_residuals(model_prf, window, stamp.average_image, row, column, expected)
    own = expected[(stars["tic_id"] == curve.tic_id).to_numpy()]
    scale = PERCENT / own[0] if own.size else np.nan
    image, fitted, left = _row_of_axes(figure, 3)
    low, high = (float(one) for one in np.nanpercentile(stretched(stamp.average_image), [0, 100]))
    show_image(image, window, stretched(stamp.average_image), vmin=low, vmax=high)
    image.set_title("average image", fontsize=9)
    lowest = np.nanmin(stamp.average_image)
    norm = max(np.nanpercentile(stamp.average_image, 60), 1.0)
    show_image(fitted, window, np.arcsinh((model - lowest) / norm), vmin=low, vmax=high)
    fitted.set_title(f"PRFs of {counted(len(stars), 'star')}, fluxes fitted", fontsize=9)
    left_percent = scale * residual
    near = np.abs(left_percent[(stamp.aperture & int(ApertureFlag.IN_APERTURE)) != 0])
    reach = max(2 * float(np.nanmax(near, initial=0.0)), LEAST_REACH)  # others may be off the scale
    shown = show_image(left, window, left_percent, vmin=-reach, vmax=reach, cmap="RdBu_r")
    left.set_title("image - PRFs (% of the star's flux)", fontsize=9)
    figure.colorbar(shown, ax=left, shrink=0.8, extend="both")
    for axes in (image, fitted, left):
        draw_aperture(axes, stamp, linewidths=1)


def stars_around(catalog: Path, window: Window, border: float) -> pd.DataFrame:
    """Read the stars in and around a window, ``border`` [pixels] beyond its edges."""
    return read_catalog_window(
        catalog,
        window.row0 - 0.5 - border,
        window.row1 - 0.5 + border,
        window.column0 - 0.5 - border,
        window.column1 - 0.5 + border,
    )


def usual_offset(motion: NDArray) -> float:
    """Compute by how much the stars of the average image are off those of the reference.

    Parameters
    ----------
    motion : (n_images,) array
        ``pos_corr`` of good images along an axis [pixels]; NaN does not count.

    Returns
    -------
    float
        [pixels] without whole ones, from which displaced images are read; 0 if none is known.
    """
    known = motion[np.isfinite(motion)]
    return float(np.median(known - np.rint(known))) if known.size else 0.0


def _row_of_axes(figure: "FigureBase", n: int) -> Sequence["Axes"]:
    axes = list(figure.subplots(1, max(n, LEAST_AXES)))
    for used in axes[:n]:
        used.locator_params(integer=True, nbins=6)
    for unused in axes[n:]:
        unused.axis("off")
    return axes[:n]
