"""The list of stars of a CCD compared with its average image: what is believed of whom.

On a whole CCD the light that the list predicts is taken off the average image first, and only
where much is left, or too much was taken, the stars are fitted (`tessphot_lib.prf.census`);
patches of cutouts are small enough to be fitted all.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from tessphot_lib.catalog.saturation import BLEED_SHARE, FULL_WELL_RATE, TRAIL_END
from tessphot_lib.core.constants import FILLS_PIXEL_TMAG
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.core.stamps import nearest_pixel, values_at
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.photometry.average_positions import average_places, on_the_sky
from tessphot_lib.photometry.typical_noise import typical_noise
from tessphot_lib.prf.census import CONFUSION, N_ARRAYS, Census, take_census
from tessphot_lib.prf.evaluate import prf_stamps
from tessphot_lib.prf.list_check import SKY_ERROR, TWIN_TMAG, close_pairs, judge, twins
from tessphot_lib.prf.scene import model_error, scene_image
from tessphot_lib.prf.sources import matched_filter

log = logging.getLogger(__name__)

CELL, MARGIN = 16, 10  # [pixels] side of the cells that are fitted, and around them
REACH = 20  # [pixels] beyond, from where stars give light
NOISE_FACTOR = 3.0  # the average image errs by more than its photons do
MAX_SOURCE_TMAG = 17.0  # fainter sources disturb no star that is measured
FAINTEST_QUANTILE = 0.99  # of the magnitudes of a list
COMPLETE_TMAG = 18.0  # a list may be complete so far at most
COMPLETE = 0.5  # [mag] above the faintest stars of a list it may not be complete
TRIAGE_SNR, TRIAGE_LIKENESS = 6.0, 0.4
TRIAGE_ERROR = 0.12  # of the predicted light in each pixel: smaller deviations are none
MAX_TWIN_TMAG = 16.0  # of pairs that the image is asked about
TWIN_DEFICIT = 0.5  # of the least light that lacks at a star listed twice: else they are two
OFF_FRACTION = 0.15  # of the light in a star's pixels that is left when its entry is wrong
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
    """

    checks: pd.DataFrame
    unlisted: pd.DataFrame


@dataclass
class _Ccd:
    """What is compared: the image, the PRF, and the list with its positions in the image."""

    cube: PixelCube
    prf: Prf
    row: NDArray
    column: NDArray
    flux: NDArray
    same_as: NDArray

    @property
    def counted(self) -> NDArray:
        known = np.isfinite(self.row) & np.isfinite(self.column) & np.isfinite(self.flux)
        return known & (self.same_as < 0)


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
    ccd = _Ccd(cube, prf, row, column, flux, np.full(n_stars, -1))
    saturated = _saturated_sources(ccd, tmag)
    _set_twins(ccd, np.flatnonzero(ccd.counted), flux, np.full(n_stars, np.inf))
    found = Census.of(row, column, flux)
    noise = np.full(n_stars, np.inf)
    sources = [saturated]
    for core, window in _cells_to_fit(ccd, saturated):
        sources.append(_fit_cell(ccd, core, window, found, noise, saturated))
    return _conclude(ccd, known, found, noise, np.concatenate(sources))


def _fit_cell(
    ccd: _Ccd, core: Window, window: Window, found: Census, noise: NDArray, saturated: NDArray
) -> NDArray:
    """Take the census of a cell; its stars are set in ``found`` and ``noise``.

    Returns the sources in it that the list lacks, see `_saturated_sources`.
    """
    image, sigma = _image(ccd.cube, window), _noise(ccd.cube, window)
    extra = saturated[_is_around(window, *saturated[:, :2].T)]
    for _ in range(2):  # again without those that are another's twin
        near = np.flatnonzero(ccd.counted & _is_around(window, ccd.row, ccd.column))
        stars = [
            np.append(values[near], extra[:, k])
            for k, values in enumerate((ccd.row, ccd.column, ccd.flux))
        ]
        census = take_census(ccd.prf, window, image, sigma, *stars)
        if not _set_twins(ccd, near, census.flux[: len(near)], census.alone_err[: len(near)]):
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


def _is_around(window: Window, row: NDArray, column: NDArray) -> NDArray:
    """Which stars may give light to a window, those beyond the CCD's edges among them."""
    inside = (row >= window.row0 - REACH) & (row < window.row1 + REACH)
    return inside & (column >= window.column0 - REACH) & (column < window.column1 + REACH)


def _set_twins(ccd: _Ccd, stars: NDArray, found: NDArray, found_err: NDArray) -> bool:
    """Set which of some stars are another one, by fluxes that were found; whether there are any."""
    if len(stars) < 2:
        return False
    row, column, flux = (values[stars] for values in (ccd.row, ccd.column, ccd.flux))
    same = twins(close_pairs(row, column), row, column, flux, found, found_err)
    for drop, keep in same.items():
        ccd.same_as[stars[drop]] = stars[keep]
        ccd.same_as[ccd.same_as == stars[drop]] = stars[keep]  # found before, in another cell
    return bool(same)


def _image(cube: PixelCube, window: Window) -> NDArray:
    """The average image without what is full, and what that may bleed into [e-/s]."""
    image = cube.average_image(window).astype(float)
    return np.where(scipy.ndimage.binary_dilation(_is_full(image), TRAIL_END), np.nan, image)


def _is_full(image: NDArray) -> NDArray:
    with np.errstate(invalid="ignore"):
        return image > BLEED_SHARE * FULL_WELL_RATE


def _noise(cube: PixelCube, window: Window) -> NDArray:
    """Error of the average image [e-/s]."""
    n_averaged = max(int(cube.is_averaged_pointing().sum()), 1)
    return NOISE_FACTOR * typical_noise(cube, window) / np.sqrt(n_averaged)


def _cells_to_fit(ccd: _Ccd, saturated: NDArray) -> Iterator[tuple[Window, Window]]:
    """Parts of the CCD to be fitted: their pixels, and those around that are fitted, too."""
    for box in ccd.cube.grid.windows:
        if not ccd.cube.grid.is_continuous:
            yield box, box
            continue
        suspicious = _suspicious(ccd, box, saturated)
        for row in range(box.row0, box.row1, CELL):
            for column in range(box.column0, box.column1, CELL):
                cell = Window(row, row + CELL, column, column + CELL).intersect(box)
                if suspicious[cell.slices_in(box)].any():
                    yield cell, cell.widened(MARGIN).intersect(box)


def _suspicious(ccd: _Ccd, box: Window, saturated: NDArray) -> NDArray:
    """Pixels where the image has much more, or less, light than the list predicts, bool."""
    image, sigma = _image(ccd.cube, box), _noise(ccd.cube, box)
    counted = ccd.counted
    at = [
        np.append(values[counted], saturated[:, k])
        for k, values in enumerate((ccd.row, ccd.column, ccd.flux))
    ]
    expected = scene_image(ccd.prf, box, *at)
    matters = _is_around(box, at[0], at[1])
    matters &= at[2] * ccd.prf.error.max() > CONFUSION
    of_prf = model_error(ccd.prf, box, *(values[matters] for values in at))
    error = np.sqrt(sigma**2 + CONFUSION**2 + (2 * of_prf) ** 2 + (TRIAGE_ERROR * expected) ** 2)
    found = np.zeros(box.shape, dtype=bool)
    for residual in (image - expected, expected - image):
        flux, snr, likeness = matched_filter(ccd.prf, box, residual, error, phases=(0.0,))
        bright = flux > flux_of(MAX_SOURCE_TMAG, ccd.prf.zeropoint)
        found |= bright & (snr > TRIAGE_SNR) & (likeness > TRIAGE_LIKENESS)
    stars = np.flatnonzero(ccd.counted & box.contains(ccd.row, ccd.column))
    row, column = (nearest_pixel(axis[stars]) for axis in (ccd.row, ccd.column))
    off = _is_off(image - expected, expected, np.hypot(sigma, CONFUSION), of_prf)
    off = off[row - box.row0, column - box.column0]
    off &= ccd.flux[stars] > flux_of(MAX_SOURCE_TMAG, ccd.prf.zeropoint)
    off[_in_pairs(ccd, stars, box, image - expected)] = True
    found[row[off] - box.row0, column[off] - box.column0] = True
    return found


def _in_pairs(ccd: _Ccd, stars: NDArray, box: Window, residual: NDArray) -> NDArray:
    """Which of some stars may be twins of each other, their indices among these.

    Of a star listed twice the 3 x 3 pixels about it lack the light of one of the entries; where
    not all of them are there, nobody can tell.
    """
    bright = np.flatnonzero(ccd.flux[stars] > flux_of(MAX_TWIN_TMAG, ccd.prf.zeropoint))
    if len(bright) < 2:
        return bright[:0]
    pairs = close_pairs(ccd.row[stars[bright]], ccd.column[stars[bright]])
    row, column, flux = (values[stars[bright]][pairs] for values in (ccd.row, ccd.column, ccd.flux))
    alike = flux.max(axis=1) < flux.min(axis=1) * 10 ** (0.4 * TWIN_TMAG)
    at = nearest_pixel(row[:, 0]), nearest_pixel(column[:, 0])
    padded = np.pad(residual, 1, constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    left = around[at[0] - box.row0, at[1] - box.column0].sum(axis=(1, 2))
    corner = (np.repeat(axis - 1, 2) for axis in at)
    stamps = prf_stamps(ccd.prf, row.ravel(), column.ravel(), *corner, (3, 3))
    light = (flux * stamps.sum(axis=(1, 2)).reshape(flux.shape)).sum(axis=1)
    lacking = -left / light
    least = 1 - np.sqrt(flux.max(axis=1) / flux.sum(axis=1))  # as of `twins`
    is_two = lacking < TWIN_DEFICIT * least
    return bright[np.unique(pairs[alike & ~is_two])]


def _is_off(residual: NDArray, expected: NDArray, noise: NDArray, of_prf: NDArray) -> NDArray:
    """Whether a star at a pixel has another flux or position than expected, bool.

    A flux that is 0.3 mag off, or a position off by 0.25 pixels, leaves a fifth of the star's
    brightest pixel in one of the 3 x 3 pixels about it. What the PRF errs by, mostly in the
    light of brighter stars, says nothing.
    """
    left = scipy.ndimage.maximum_filter(np.nan_to_num(np.abs(residual)), 3)
    light, noise, of_prf = (
        scipy.ndimage.maximum_filter(np.nan_to_num(one), 3) for one in (expected, noise, of_prf)
    )
    is_clear = (left > TRIAGE_SNR * noise + SKY_ERROR) & (left > of_prf)
    return (left > OFF_FRACTION * light) & is_clear


def _saturated_sources(ccd: _Ccd, tmag: NDArray) -> NDArray:
    """Full pixels without a listed star.

    Row, column, flux, its error, whether it is saturated, and limited, of each: (n_sources, 6).
    """
    rows = []
    bright = np.flatnonzero((tmag < FILLS_PIXEL_TMAG) & ccd.counted)
    for box in ccd.cube.grid.windows:
        image = ccd.cube.average_image(box).astype(float)
        labels, _ = scipy.ndimage.label(_is_full(image), np.ones((3, 3)))
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
    """Tell whether labeled pixels, all at a place, touch the edge of an image or missing pixels."""
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
    ccd: _Ccd, known: pd.DataFrame, found: Census, noise: NDArray, sources: NDArray
) -> StarCensus:
    """What is believed of the listed stars, and the sources that are bright enough."""
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
    return StarCensus(checks, _unlisted(ccd, known, listed, sources))


def _unlisted(ccd: _Ccd, known: pd.DataFrame, listed: NDArray, sources: NDArray) -> pd.DataFrame:
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


def _affected(ccd: _Ccd, known: pd.DataFrame, source: NDArray) -> str:
    """Listed stars that a source gives most light to, with its fraction of their own light."""
    distance = np.hypot(ccd.row - source[0], ccd.column - source[1])
    near = np.flatnonzero(ccd.counted & (distance < AFFECTED_DISTANCE))
    corner = tuple(nearest_pixel(axis[near]) - 1 for axis in (ccd.row, ccd.column))
    at = np.full(len(near), source[0]), np.full(len(near), source[1])
    given = source[2] * prf_stamps(ccd.prf, *at, *corner, (3, 3)).sum(axis=(1, 2))
    its_own = prf_stamps(ccd.prf, ccd.row[near], ccd.column[near], *corner, (3, 3))
    share = given / np.maximum(ccd.flux[near] * its_own.sum(axis=(1, 2)), 1e-30)
    chosen = [k for k in np.argsort(-share, kind="stable") if share[k] > AFFECTED_FRACTION]
    tic_id = known["tic_id"].to_numpy()[near]
    return ", ".join(f"{tic_id[k]} ({share[k]:.2g})" for k in chosen[:MAX_AFFECTED])
