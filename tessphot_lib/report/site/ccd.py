"""The pages of one CCD: its images, its stars, and the table of all stars."""

import json
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.core.constants import READ_NOISE, TMAG_ZEROPOINT, ZEROPOINT_WARNING
from tessphot_lib.core.counts import counted
from tessphot_lib.core.flags import (
    BAD_FOR_ALL_STARS,
    OWN_BAD_CADENCE,
    CadenceFlag,
    describe,
    is_bad_for_all_stars,
)
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.prf_fits import read_prf
from tessphot_lib.io.products.todo_tables import ENDS, STATUS_WORDS, Status
from tessphot_lib.prf.evaluate import prf_stamps
from tessphot_lib.report.cropped import cropped
from tessphot_lib.report.site import figures
from tessphot_lib.report.site.floor import expected_noise
from tessphot_lib.report.site.page import title_of, write_page
from tessphot_lib.report.site.star import write_star_page
from tessphot_lib.report.site.stars import (
    page_of,
    star_table,
    stars_with_pages,
    table_html,
    table_scripts,
    with_links,
)

FLOOR_TMAG = np.arange(4, 17.01, 0.25)
PRF_STAMP = 13  # [pixels]


def write_ccd_pages(
    folder: Path,
    todo: Path,
    ccd_id: CcdId,
    *,
    n_stars: int,
    asked: Collection[int] = (),
) -> None:
    """Write the pages of a CCD and of some of its stars.

    Parameters
    ----------
    folder : Path
        Of these pages: ``<report>/<CCD>``.
    todo : Path
        Of the run; the folders of the CCDs lie beside it.
    ccd_id : CcdId
    n_stars, asked
        See `tessphot_lib.report.site.stars.stars_with_pages`.

    Raises
    ------
    InputDataError
        If a product of the CCD cannot be read.
    """
    files = todo.parent / str(ccd_id)
    stars = star_table(todo, ccd_id)
    chosen = stars_with_pages(stars, n_stars, asked)
    stars = with_links(stars, chosen)
    title = title_of(ccd_id)
    with PixelCube(files / "pixels.hdf5") as cube:
        _write_overview(folder / "index.html", cube, files, stars, chosen, title)
    write_page(
        folder / "stars.html",
        "stars.html",
        depth=1,
        title=title,
        table=table_html(stars, chosen),
        table_scripts=table_scripts(),
    )
    for star in stars[stars["priority"].isin(list(chosen))].itertuples():
        write_star_page(
            folder / page_of(star.tic_id, star.cadence_seconds),
            todo.parent / star.lightcurve,
            files / "catalog.sqlite",
            title=title,
            warning=star.warning,
            file=star.lightcurve,
        )


def _write_overview(
    path: Path,
    cube: PixelCube,
    files: Path,
    stars: pd.DataFrame,
    chosen: dict[int, str],
    title: str,
) -> None:
    """Write the page of the CCD itself."""
    prf = read_prf(files / "prf.fits")
    image, window = cropped(cube.average_image(), cube.window)
    flagged = flags_of_images(cube.quality)
    center = (window.row0 + window.row1 - 1) / 2, (window.column0 + window.column1 - 1) / 2
    moved_row, moved_column = (
        moved + whole
        for moved, whole in zip(cube.motion_at(*center), cube.pointing.whole.T, strict=True)
    )
    sources = figures.star_sources(stars)
    plots = {
        "image": figures.image_figure(image, window, sources),
        "flags": figures.flags_figure(cube.time, flagged),
        "background": figures.series_figure(
            "Background level", "e-/s per pixel", cube.time, {"level": cube.background_level}
        ),
        "motion": figures.series_figure(
            "Image motion at the middle of the pixels",
            "pixels",
            cube.time,
            {"row": moved_row, "column": moved_column},
        ),
        "noise": figures.noise_figure(sources, noise_floor(cube, prf, center)),
        "aperture_size": figures.aperture_figure(sources),
        "contamination": figures.contamination_figure(sources),
        "prf": figures.prf_figure(prf_at_nine_positions(prf, cube.window)),
    }
    bits = {text: bit for bit, text in describe(CadenceFlag).items()}
    write_page(
        path,
        "ccd.html",
        depth=1,
        figures=plots,
        title=title,
        numbers=ccd_numbers(cube, prf, stars),
        warnings=ccd_warnings(cube, prf, stars),
        pages=[
            {"tic_id": star.tic_id, "url": star.url, "why": chosen[star.priority]}
            for star in stars.itertuples()
            if star.priority in chosen
        ],
        flagged=[
            (name, int(is_set.sum()), counts_as_bad(bits[name], cube))
            for name, is_set in flagged.items()
        ],
        statuses=[STATUS_WORDS[one] for one in ENDS],
        counts=[
            (method, *(int((rows["status"] == int(one)).sum()) for one in ENDS))
            for method, rows in stars.groupby("method_used", sort=True)
        ],
        prf_source=prf.source,
    )


def counts_as_bad(bit: int, cube: PixelCube) -> str:
    """Say for what an image with a flag is bad."""
    given = int(cube.attributes["bad_quality"])
    if bit & (given | int(BAD_FOR_ALL_STARS)):
        return "yes"
    return "where the star is affected" if bit & int(OWN_BAD_CADENCE) else "no"


def flags_of_images(quality: NDArray) -> dict[str, NDArray]:
    """Which images have which flag, by its description; flags that none has are left out."""
    found = {}
    for bit, text in describe(CadenceFlag).items():
        is_set = (quality & bit) != 0
        if is_set.any():
            found[text] = is_set
    return found


def noise_floor(
    cube: PixelCube, prf: Prf, center: tuple[float, float]
) -> tuple[NDArray, NDArray] | None:
    """Expected scatter over 1 h by Tmag; None if no good image has a background."""
    levels = cube.background_level[cube.is_good()]
    levels = levels[np.isfinite(levels)]
    if not len(levels):
        return None
    header = json.loads(str(cube.attributes.get("image_header", "{}")))
    noises = [value for key, value in header.items() if key.startswith("READNOI")]
    cadence_seconds = float(cube.attributes["cadence_seconds"])
    noise = expected_noise(
        FLOOR_TMAG,
        prf,
        center,
        sky=float(np.median(levels)),
        read_noise=float(np.mean(noises)) if noises else READ_NOISE,
        exposure_time=float(np.median(cube.exposure_time)),
        cadence_seconds=cadence_seconds,
    )
    return FLOOR_TMAG, noise


def prf_at_nine_positions(prf: Prf, window: Window) -> list[tuple[str, NDArray]]:
    """The PRF of stars at pixel centers near the corners, edges and middle; top row first."""
    half = PRF_STAMP // 2
    at = (0.1, 0.5, 0.9)
    rows = [round(window.row0 + f * (window.row1 - window.row0 - 1)) for f in reversed(at)]
    columns = [round(window.column0 + f * (window.column1 - window.column0 - 1)) for f in at]
    row, column = (grid.ravel() for grid in np.meshgrid(rows, columns, indexing="ij"))
    stamps = prf_stamps(prf, row, column, row - half, column - half, (PRF_STAMP, PRF_STAMP))
    names = [f"row {r}, column {c}" for r, c in zip(row, column, strict=True)]
    return list(zip(names, stamps, strict=True))


def ccd_numbers(cube: PixelCube, prf: Prf, stars: pd.DataFrame) -> list[tuple[str, str]]:
    """What is known of a CCD in a few numbers."""
    used = ~is_bad_for_all_stars(cube.quality, int(cube.attributes["bad_quality"]))
    levels = cube.background_level[used]
    level = np.nanmedian(levels) if np.isfinite(levels).any() else np.nan
    measured = int(stars["lightcurve"].notna().sum())
    return [
        ("images used", f"{int(used.sum())} of {cube.n_cadences}"),
        ("of these in the average image", f"{int((used & cube.is_averaged()).sum())}"),
        ("cadence", f"{cube.attributes['cadence_seconds']} s"),
        ("background of the images used", f"{level:.1f} e-/s per pixel"),
        ("stars", f"{counted(measured, 'light curve')} of {len(stars)}"),
        ("zero point", f"{prf.zeropoint:.3f} mag"),
        ("error of the times", f"{1e3 * float(cube.attributes['time_error']):.1f} ms"),
    ]


def ccd_warnings(cube: PixelCube, prf: Prf, stars: pd.DataFrame) -> list[str]:
    """What a user should look at; empty: nothing."""
    texts = []
    n_failed = int((stars["status"] == int(Status.ERROR)).sum())
    if n_failed:
        texts.append(f"{counted(n_failed, 'star')} failed")
    is_bad = is_bad_for_all_stars(cube.quality, int(cube.attributes["bad_quality"]))
    fraction = is_bad.mean() if cube.n_cadences else 0
    if fraction > 0.3:
        texts.append(f"{100 * fraction:.0f} % of the images are not used")
    if abs(prf.zeropoint - TMAG_ZEROPOINT) > ZEROPOINT_WARNING:
        texts.append(f"zero point {prf.zeropoint:.2f} mag, expected {TMAG_ZEROPOINT}")
    warned = stars["warning"][stars["status"] == int(Status.WARNING)]
    for text, count in warned.value_counts().head(3).items():
        texts.append(f"{counted(count, 'star')}: {text}")
    return texts
