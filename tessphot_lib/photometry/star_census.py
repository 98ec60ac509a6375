"""The list of stars of a CCD compared with its average image: what is believed of whom.

On a whole CCD the light that the list predicts is taken off the average image first, and only
where much is left, or too much was taken, the stars are fitted (`tessphot_lib.prf.census`);
patches of cutouts are small enough to be fitted all.
"""

import logging
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.constants import FILLS_PIXEL_TMAG
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.core.stamps import nearest_pixel, values_at
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.photometry.average_positions import average_places, on_the_sky
from tessphot_lib.photometry.known_stars import brightest
from tessphot_lib.photometry.suspicious_cells import (
    CELL,
    FITTED_MARGIN,
    MAX_SOURCE_TMAG,
    Cell,
    ComparedList,
    average_noise,
    cells_to_fit,
    image_without_full,
    is_around,
    is_full,
    max_fitted,
    robust_scatter,
)
from tessphot_lib.prf.census import N_ARRAYS, Census, take_census
from tessphot_lib.prf.census_light import CONFUSION, CORE_ERROR, FAR_ERROR
from tessphot_lib.prf.design import FAINT_FLUX
from tessphot_lib.prf.evaluate import prf_stamps
from tessphot_lib.prf.list_check import ONE_PIXEL, TWIN_DISTANCE, close_pairs, judge, twins
from tessphot_lib.prf.scene import model_error, scene_image

log = logging.getLogger(__name__)

FAINTEST_QUANTILE = 0.99  # of the magnitudes of a list
COMPLETE_TMAG = 18.0  # a list may be complete so far at most
COMPLETE = 0.5  # [mag] above the faintest stars of a list it may not be complete
AFFECTED_DISTANCE, AFFECTED_FRACTION, MAX_AFFECTED = 8.0, 0.01, 10  # [pixels], stars named
BESIDE_FULL = 3  # [pixels] around full ones that hold the light of their star


@dataclass(frozen=True)
class StarCensus:
    """What the image says of a list of stars.

    Attributes
    ----------
    checks : DataFrame
        Listed stars of which not all is believed: tic_id, finding (one of `FINDINGS` or
        several, with blanks between), same_as (TIC number, 0 for none), tmag_listed, tmag, row,
        column (to be used), flux, flux_err [e-/s].
    unlisted : DataFrame
        Sources that the list lacks: number (-1, -2, ... from the brightest on), row, column,
        tmag, flux, flux_err, is_saturated, is_limited (its full pixels reach the edge of the
        data, or missing pixels: position and flux are those of the part that is seen);
        positions by the reference image.
    n_suspicious, n_fitted : int
        Cells where image and list differ; those of them in which the stars were fitted.
    """

    checks: pd.DataFrame
    unlisted: pd.DataFrame
    n_suspicious: int = 0
    n_fitted: int = 0


def take_star_census(cube: PixelCube, known: pd.DataFrame, prf: Prf) -> StarCensus:
    """Compare the catalog of a CCD with its average image.

    Parameters
    ----------
    cube : PixelCube
    known : DataFrame
        The catalog: tic_id, row, column, tmag.
    prf : Prf
    """
    tmag = known["tmag"].to_numpy(dtype=float)
    row, column = average_places(cube, known)
    n_stars = len(known)
    flux = flux_of(tmag, prf.zeropoint)
    ccd = ComparedList(cube, prf, row, column, flux, np.full(n_stars, -1))
    saturated = _saturated_sources(ccd, tmag)
    _set_twins(ccd, np.flatnonzero(ccd.counted), within=ONE_PIXEL)
    found = Census.of(row, column, flux)
    noise = np.full(n_stars, np.inf)
    chosen = cells_to_fit(ccd, saturated)
    if len(chosen.cells) < chosen.n_suspicious:
        log.warning(
            "image and star list differ in %d cells of %d x %d pixels: stars are fitted in the %d "
            "most significant ones",
            *(chosen.n_suspicious, CELL, CELL, len(chosen.cells)),
        )
    sources = [saturated, *(_fit_cell(ccd, cell, found, noise, saturated) for cell in chosen.cells)]
    checks, unlisted = _conclude(ccd, known, found, noise, np.concatenate(sources))
    return StarCensus(checks, unlisted, chosen.n_suspicious, len(chosen.cells))


def _fit_cell(
    ccd: ComparedList, cell: Cell, found: Census, noise: NDArray, saturated: NDArray
) -> NDArray:
    """Take the census of a cell; its stars are set in ``found`` and ``noise``.

    Returns the sources in it that the list lacks, see `_saturated_sources`.
    """
    window, core = cell.window, cell.core
    image, sigma = image_without_full(ccd.cube, window), average_noise(ccd.cube, window)
    extra = saturated[is_around(window, *saturated[:, :2].T)]
    for _ in range(2):  # again without those that are another's twin
        near, beside, scatter = _fitted(ccd, window, image, extra)
        stars = [
            np.append(values[near], extra[:, k])
            for k, values in enumerate((ccd.row, ccd.column, ccd.flux))
        ]
        light, error = _light_beside(ccd, window, beside)
        error = np.sqrt(sigma**2 + error**2 + scatter**2)
        census = take_census(ccd.prf, window, image - light, error, *stars)
        seen = census.flux[: len(near)], census.alone_err[: len(near)]
        if not _set_twins(ccd, near, *seen):
            break
    inside = core.contains(ccd.row[near], ccd.column[near])
    for one in fields(Census)[3:N_ARRAYS]:
        getattr(found, one.name)[near[inside]] = getattr(census, one.name)[: len(near)][inside]
    noise[near[inside]] = values_at(
        sigma, window, ccd.row[near[inside]], ccd.column[near[inside]], outside=np.inf
    )
    new = slice(len(stars[0]), None)
    rows = np.column_stack(
        [
            census.row[new],
            census.column[new],
            census.flux[new],
            census.flux_err[new],
            *np.zeros((2, len(census.row[new]))),
        ]
    )
    return rows[core.contains(rows[:, 0], rows[:, 1])]


def _light_beside(ccd: ComparedList, window: Window, stars: NDArray) -> tuple[NDArray, NDArray]:
    """Light of stars that are not fitted, and its error, (n_rows, n_columns) [e-/s]."""
    matter = stars[ccd.flux[stars] * ccd.prf.error.max() > CONFUSION]
    limits = CORE_ERROR, FAR_ERROR
    error = model_error(ccd.prf, window, *ccd.at(matter), ccd.flux[matter], limits=limits)
    return scene_image(ccd.prf, window, *ccd.at(stars), ccd.flux[stars]), error


def _fitted(
    ccd: ComparedList, window: Window, image: NDArray, extra: NDArray
) -> tuple[NDArray, NDArray, float]:
    """Stars that are fitted in a window, and others that give it light, by their indices.

    As many as pixels can tell apart: the brightest by the list, or by the pixels, as a bright
    star may be listed as a faint one. Of others the light is as listed: they add to the scatter
    of the pixels, which is given, too [e-/s], and 0 where all are fitted.
    """
    around = ccd.counted_around(window)
    row, column, flux = ccd.row[around], ccd.column[around], ccd.flux[around]
    reach = int(np.ceil(ccd.prf.half_size)) + 1
    near = is_around(window, row, column, FITTED_MARGIN)
    near |= (flux >= FAINT_FLUX) & is_around(window, row, column, reach)
    n_most, scatter = max_fitted(window), 0.0
    if near.sum() > n_most:
        at = np.append(row, extra[:, 0]), np.append(column, extra[:, 1])
        residual = image - scene_image(ccd.prf, window, *at, np.append(flux, extra[:, 2]))
        highest = scipy.ndimage.maximum_filter(np.nan_to_num(residual), 3)
        corner = tuple(nearest_pixel(axis) - 1 for axis in (row, column))
        peak = prf_stamps(ccd.prf, row, column, *corner, (3, 3)).max(axis=(1, 2))
        more = np.maximum(values_at(highest, window, row, column, outside=0.0), 0.0) / peak
        near = brightest(flux + more, near, n_most)
        scatter = robust_scatter(np.abs(residual))
    return around[near], around[~near], scatter


def _set_twins(
    ccd: ComparedList,
    stars: NDArray,
    found: NDArray | None = None,
    found_err: NDArray | None = None,
    *,
    within: float = TWIN_DISTANCE,
) -> bool:
    """Set which of some stars are another one, by fluxes that were found; whether there are any."""
    if len(stars) < 2:
        return False
    row, column, flux = (values[stars] for values in (ccd.row, ccd.column, ccd.flux))
    found = flux if found is None else found
    found_err = np.full(len(stars), np.inf) if found_err is None else found_err
    pairs = close_pairs(row, column, within)
    same = twins(pairs, row, column, flux, found, found_err)
    if not same:
        return False
    drop, keep = np.array(list(same.items()), dtype=int).T
    ccd.same_as[stars[drop]] = stars[keep]
    others = np.flatnonzero(ccd.same_as >= 0)
    target = ccd.same_as[others]
    # What was found before, in another cell, may lead to one of them.
    ccd.same_as[others] = np.where(ccd.same_as[target] >= 0, ccd.same_as[target], target)
    return True


def _saturated_sources(ccd: ComparedList, tmag: NDArray) -> NDArray:
    """Full pixels without a listed star.

    Row, column, flux, its error, whether it is saturated, and limited, of each: (n_sources, 6).
    """
    rows = []
    bright = np.flatnonzero((tmag < FILLS_PIXEL_TMAG) & ccd.counted)
    for box in ccd.cube.grid.windows:
        image = ccd.cube.average_image(box).astype(float)
        labels, _ = scipy.ndimage.label(is_full(image), np.ones((3, 3)))
        for number, place in enumerate(scipy.ndimage.find_objects(labels), start=1):
            around = Window(
                box.row0 + place[0].start,
                box.row0 + place[0].stop,
                box.column0 + place[1].start,
                box.column0 + place[1].stop,
            )
            if around.contains(ccd.row[bright], ccd.column[bright], margin=BESIDE_FULL).any():
                continue
            part = around.widened(BESIDE_FULL, box)
            light = np.where(np.isin(labels, [0, number]), image, 0.0)
            light = np.maximum(np.nan_to_num(light[part.slices_in(box)]), 0.0)
            down, along = np.arange(part.row0, part.row1), np.arange(part.column0, part.column1)
            total = float(light.sum())
            row = float(light.sum(axis=1) @ down) / total
            column = float(light.sum(axis=0) @ along) / total
            rows.append(
                (row, column, total, 0.1 * total, 1.0, _is_cut(labels, number, place, image))
            )
    return np.array(rows, dtype=float).reshape(-1, 6)


def _is_cut(labels: NDArray, number: int, place: tuple[slice, slice], image: NDArray) -> bool:
    """Return whether labeled pixels, all at a place, touch an edge of the image or missing ones."""
    around = [range(one.start - 1, one.stop + 1) for one in place]
    inside = [
        [0 <= pixel < size for pixel in axis]
        for axis, size in zip(around, image.shape, strict=True)
    ]
    there = np.outer(*inside)
    cut = tuple(slice(max(axis.start, 0), axis.stop) for axis in around)
    there[there] = np.isfinite(image[cut]).ravel()
    full = np.pad(labels[place] == number, 1)
    return bool((scipy.ndimage.binary_dilation(full, np.ones((3, 3))) & ~there).any())


def _conclude(
    ccd: ComparedList, known: pd.DataFrame, found: Census, noise: NDArray, sources: NDArray
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What is believed of the listed stars, and the sources that are bright enough: tables."""
    zeropoint = ccd.prf.zeropoint
    tic_id, listed = known["tic_id"].to_numpy(), known["tmag"].to_numpy(dtype=float)
    middle = np.array(ccd.cube.window.middle, dtype=float).reshape(2, 1).round()
    corner = middle.astype(int) - 1
    peak = float(prf_stamps(ccd.prf, *middle, *corner, (3, 3)).max())
    faintest = float(np.nanquantile(listed, FAINTEST_QUANTILE))
    confusion = flux_of(np.clip(faintest, MAX_SOURCE_TMAG, COMPLETE_TMAG), zeropoint)
    verdict = judge(found, noise, peak, confusion=float(confusion))
    is_twin = ccd.same_as >= 0
    findings = {
        "twin": is_twin,
        "absent": verdict.is_absent & ~is_twin,
        "magnitude": verdict.magnitude_off & ~is_twin,
        "position": verdict.position_off & ~is_twin,
    }
    named = np.flatnonzero(np.any(list(findings.values()), axis=0))
    same = np.where(is_twin, tic_id[ccd.same_as], 0)
    checks = pd.DataFrame(
        {
            "tic_id": tic_id[named],
            "finding": [
                " ".join(name for name, of in findings.items() if of[star]) for star in named
            ],
            "same_as": same[named],
            "tmag_listed": listed[named],
            "tmag": (zeropoint - 2.5 * np.log10(verdict.flux))[named],
            "row": (known["row"].to_numpy(dtype=float) + verdict.d_row)[named],
            "column": (known["column"].to_numpy(dtype=float) + verdict.d_column)[named],
            "offset": np.hypot(verdict.d_row, verdict.d_column)[named],
            "flux": found.flux[named],
            "flux_err": found.flux_err[named],
        }
    )
    return checks, _unlisted(ccd, known, listed, sources)


def _unlisted(
    ccd: ComparedList, known: pd.DataFrame, listed: NDArray, sources: NDArray
) -> pd.DataFrame:
    """Sources as a table, the brightest first; without those as faint as the list ends."""
    tmag = ccd.prf.zeropoint - 2.5 * np.log10(sources[:, 2])
    limit = min(MAX_SOURCE_TMAG, float(np.nanquantile(listed, FAINTEST_QUANTILE)) - COMPLETE)
    sources = sources[(tmag < limit) | (sources[:, 4] > 0)]
    sources = sources[np.argsort(-sources[:, 2], kind="stable")]
    moved = pd.DataFrame({"row": sources[:, 0], "column": sources[:, 1]})
    shift = [
        new - old
        for new, old in zip(
            average_places(ccd.cube, moved), (sources[:, 0], sources[:, 1]), strict=True
        )
    ]
    row, column = sources[:, 0] - shift[0], sources[:, 1] - shift[1]
    ra, dec = on_the_sky(ccd.cube, known, row, column)
    return pd.DataFrame(
        {
            "number": -1 - np.arange(len(sources)),
            "ra": ra,
            "dec": dec,
            "row": row,
            "column": column,
            "tmag": ccd.prf.zeropoint - 2.5 * np.log10(sources[:, 2]),
            "flux": sources[:, 2],
            "flux_err": sources[:, 3],
            "is_saturated": sources[:, 4] > 0,
            "is_limited": sources[:, 5] > 0,
            "affects": [_affected(ccd, known, source) for source in sources],
        }
    )


def _affected(ccd: ComparedList, known: pd.DataFrame, source: NDArray) -> str:
    """Listed stars that a source gives most light to, with its fraction of their own light."""
    pixel = Window.around(*(int(nearest_pixel(axis)) for axis in source[:2]), 0)
    near = ccd.counted_around(pixel)
    distance = np.hypot(ccd.row[near] - source[0], ccd.column[near] - source[1])
    near = near[distance < AFFECTED_DISTANCE]
    corner = tuple(nearest_pixel(axis[near]) - 1 for axis in (ccd.row, ccd.column))
    at = np.full(len(near), source[0]), np.full(len(near), source[1])
    given = source[2] * prf_stamps(ccd.prf, *at, *corner, (3, 3)).sum(axis=(1, 2))
    its_own = prf_stamps(ccd.prf, ccd.row[near], ccd.column[near], *corner, (3, 3))
    fraction = given / np.maximum(ccd.flux[near] * its_own.sum(axis=(1, 2)), 1e-30)
    chosen = [k for k in np.argsort(-fraction, kind="stable") if fraction[k] > AFFECTED_FRACTION]
    tic_id = known["tic_id"].to_numpy()[near]
    return ", ".join(f"{tic_id[k]} ({fraction[k]:.2g})" for k in chosen[:MAX_AFFECTED])
