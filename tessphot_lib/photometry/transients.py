"""Transients on a CCD: light that appears where no star is known, and stars in outburst."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.affine import affine_design
from tessphot_lib.core.constants import PIXEL_SCALE, SATURATION_TMAG
from tessphot_lib.core.flags import PixelFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.identifiers import MAX_NUMBER, TRANSIENT, identifier
from tessphot_lib.core.magnitudes import flux_of, magnitude_of
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.transients_ecsv import no_transients
from tessphot_lib.photometry.average_positions import on_the_sky
from tessphot_lib.photometry.detections import Expected, Spans, motion_of_images
from tessphot_lib.photometry.regions import cadence_slices
from tessphot_lib.prf.evaluate import prf_stamps
from tessphot_lib.quality.moving_objects import Detections
from tessphot_lib.quality.transients import MIN_DETECTIONS, Source, stationary_sources
from tessphot_lib.times.barycenter import star_time_correction

log = logging.getLogger(__name__)

NEAR_OBJECT = 2.5  # [pixels] of a moving object: a detection is of that
SAME = (0.25, 0.15, 3.0, 0.7)  # [pixels] least, + this + so many errors of a position, at most
OUTBURST = 1.5  # times its light, by which a star in outburst is brighter
BESIDE, BESIDE_FRACTION = 4.0, 0.1  # [pixels], of a star's light: less may be its motion
BESIDE_SATURATED, ALONG_SATURATED = 12.0, 60.0  # [pixels] from a saturated star, along columns
NEAR = 2  # [pixels] 5 x 5 pixels around: their stars may have moved
HALF = 3  # [pixels] 7 x 7 pixels give the flux
AROUND = 2  # half hours on each side of a detection that may have light, too
MIN_QUIET, FAINTEST = 5, 0.2  # images without detection; else this fraction of all, the faintest
LOWER = 0.05, 0.25, 0.5  # quantiles of a distribution
LOWER_SIGMA = -1.645, -0.674, 0.0  # where a normal one has them
QUIET = 0.3  # of the light at the peak: a source that never has less is a star
UNLISTED_DISTANCE = 1.0  # [pixels] of the same source in the average image
PEAK_SIGMA, PEAK_SCATTER = 5.0, 8.0  # of the error of the peak, of the scatter without it
FAINTEST_MEAN = 18.0  # [Tmag] that the average image is taken to have of a transient, at least


@dataclass(frozen=True)
class _Stars:
    """The catalog: where stars are by the reference image, and their light."""

    known: pd.DataFrame
    at: NDArray
    flux: NDArray
    index: NDArray

    @classmethod
    def of(cls, known: pd.DataFrame, zeropoint: float) -> "_Stars":
        """Take those with a position and a magnitude."""
        at = known[["row", "column"]].to_numpy(dtype=float)
        tmag = known["tmag"].to_numpy(dtype=float)
        index = np.flatnonzero(np.isfinite(at).all(axis=1) & np.isfinite(tmag))
        return cls(known, at[index], np.asarray(flux_of(tmag[index], zeropoint)), index)

    def nearest(self, source: Source) -> tuple[int, float]:
        """Index of the nearest star among these, and its distance; -1 without any."""
        if not len(self.at):
            return -1, np.inf
        distance = np.hypot(*(self.at - (source.row, source.column)).T)
        star = int(np.argmin(distance))
        return star, float(distance[star])

    def explain(self, source: Source, flux: float, zeropoint: float) -> bool:
        """Whether a source may be what motion and saturation leave of a star beside it."""
        if not len(self.at):
            return False
        d_row, d_column = np.abs(self.at - (source.row, source.column)).T
        distance = np.hypot(d_row, d_column)
        saturated = self.flux > flux_of(SATURATION_TMAG, zeropoint)
        beside = (distance < BESIDE) & (flux < BESIDE_FRACTION * self.flux)
        beside |= saturated & (distance < BESIDE_SATURATED)
        beside |= saturated & (d_row < ALONG_SATURATED) & (d_column < 2.5)
        return bool(beside.any())


def find_transients(
    cube: PixelCube,
    found: Detections,
    moving: pd.DataFrame,
    known: pd.DataFrame,
    unlisted: pd.DataFrame,
    prf: Prf,
) -> pd.DataFrame:
    """Find light that appears where no star is known, and stars in outburst.

    Parameters
    ----------
    cube : PixelCube
    found : Detections
        From `tessphot_lib.photometry.detections.detect`.
    moving : DataFrame
        Moving objects, of `tessphot_lib.io.products.moving_ecsv`: their light is no transient.
    known : DataFrame
        The catalog: tic_id, row, column, tmag, ra, dec.
    unlisted : DataFrame
        Sources of the average image that it lacks, of `tessphot_lib.io.products.star_checks_ecsv`.
    prf : Prf

    Returns
    -------
    DataFrame
        Columns of `tessphot_lib.io.products.transients_ecsv`, the brightest first.
    """
    stars = _Stars.of(known, prf.zeropoint)
    rows = list(_sources(cube, _still(cube, found, moving), stars, unlisted, prf))
    if not rows:
        return no_transients()
    table = pd.DataFrame(rows).sort_values("peak_flux", ascending=False, ignore_index=True)
    table["ra"], table["dec"] = on_the_sky(
        cube, known, table["row"].to_numpy(), table["column"].to_numpy()
    )
    correction = star_time_correction(
        cube.observatory_position, table["ra"].to_numpy(), table["dec"].to_numpy()
    )
    for name in ("first", "last", "peak"):
        image = table.pop(f"image_{name}").to_numpy()
        time = (cube.time - cube.timecorr)[image]
        table[f"time_{name}"] = time + correction[np.arange(len(table)), image]
    is_new = (table["kind"] == "transient").to_numpy()
    number = np.cumsum(is_new)
    table["number"] = [
        identifier(TRANSIENT, cube.ccd_id, int(count)) if new and count <= MAX_NUMBER else tic_id
        for count, new, tic_id in zip(number, is_new, table["tic_id"], strict=True)
    ]
    kept = ~is_new | (number <= MAX_NUMBER)
    log.info("%s: %d transients, %d stars in outburst", cube.ccd_id, is_new.sum(), (~is_new).sum())
    return table.loc[kept, list(no_transients().columns)].reset_index(drop=True)


def _still(cube: PixelCube, found: Detections, moving: pd.DataFrame) -> Detections:
    """Detections away from moving objects, at positions by the reference image."""
    motion = np.nan_to_num(cube.motion)[found.image]
    design = affine_design(found.row, found.column)
    row = found.row - (motion[:, :3] * design).sum(axis=1)
    column = found.column - (motion[:, 3:] * design).sum(axis=1)
    keep = np.ones(len(row), dtype=bool)
    if len(moving) and len(row):
        image = np.searchsorted(cube.cadenceno, moving["cadenceno"].to_numpy())
        far = 1e6  # positions in different images are far from each other
        objects = np.column_stack([moving["row"], moving["column"], far * image])
        tree = scipy.spatial.cKDTree(objects)
        own = np.column_stack([found.row, found.column, far * found.image])
        keep = ~np.isfinite(tree.query(own, distance_upper_bound=NEAR_OBJECT)[0])
    return Detections(found.image[keep], row[keep], column[keep], found.flux[keep], found.snr[keep])


def _sources(
    cube: PixelCube, found: Detections, stars: _Stars, unlisted: pd.DataFrame, prf: Prf
) -> Iterator[dict[str, Any]]:
    """Rows of the table for what is a transient, or an outburst."""
    good, spans = np.flatnonzero(cube.is_good()), Spans.of(cube)
    least, more, times, most = SAME
    for source in stationary_sources(
        replace(found, image=np.searchsorted(spans.image, found.image))
    ):
        if cube.grid.part_at(*(np.array([round(x)]) for x in (source.row, source.column)))[0] < 0:
            continue  # the motion of the images has it beyond their edge
        brightest = float(found.flux[source.members].max())
        star, distance = stars.nearest(source)
        is_star = distance < np.clip(more + times * source.error, least, most)
        if is_star and brightest < OUTBURST * stars.flux[star]:
            continue
        if not is_star and stars.explain(source, brightest, prf.zeropoint):
            continue
        light = _light(cube, source, good, found.image[source.members], unlisted, prf)
        if light is None:
            continue
        yield light | _star_row(stars, star, distance, is_star=is_star)


def _star_row(stars: _Stars, star: int, distance: float, *, is_star: bool) -> dict[str, Any]:
    """What the table says of the nearest star."""
    named = stars.known.iloc[stars.index[star]] if star >= 0 else {}
    return {
        "kind": "outburst" if is_star else "transient",
        "tic_id": int(named.get("tic_id", 0)),
        "distance": distance * PIXEL_SCALE if star >= 0 else np.nan,
        "tmag": float(named.get("tmag", np.nan)),
    }


def _light(
    cube: PixelCube,
    source: Source,
    good: NDArray,
    members: NDArray,
    unlisted: pd.DataFrame,
    prf: Prf,
) -> dict[str, Any] | None:
    """Flux of a source in time; None for a star that is only brighter than usual."""
    members = members[~_is_foreign(cube, source)[members]]
    if len(members) < MIN_DETECTIONS:
        return None
    change, error, scene, shape = _change(cube, source, prf)
    peak_share = float(shape.max())
    around = AROUND * Spans.of(cube).size
    since = np.arange(cube.n_cadences)
    near = np.searchsorted(members, since)
    before, after = (members[np.clip(near - k, 0, len(members) - 1)] for k in (1, 0))
    lit = np.minimum(np.abs(since - before), np.abs(since - after)) <= around
    quiet = change[good[~lit[good]]]
    quiet = quiet[np.isfinite(quiet)]
    if len(quiet) < MIN_QUIET:
        every = np.sort(change[good][np.isfinite(change[good])])
        quiet = every[: max(int(FAINTEST * len(every)), 1)]
        if not len(quiet):
            return None
    # The rise and the decay are brighter: what is darker tells the level, and the scatter.
    values = np.quantile(quiet, LOWER)
    scatter = float((np.diff(values) / np.diff(LOWER_SIGMA)).min())
    level = float(values[1]) - LOWER_SIGMA[1] * scatter
    with np.errstate(invalid="ignore"):
        total = change[members] - level
    if not np.isfinite(total).any():
        return None
    peak = int(np.nanargmax(total))
    flux, flux_err = float(total[peak]), float(error[members[peak]])
    least = float(flux_of(FAINTEST_MEAN, prf.zeropoint))
    near = np.hypot(unlisted["row"] - source.row, unlisted["column"] - source.column)
    steady = float(unlisted["flux"][near < UNLISTED_DISTANCE].sum()) + level
    if flux < max(PEAK_SIGMA * flux_err, PEAK_SCATTER * scatter):
        return None
    if flux * peak_share < BESIDE_FRACTION * _brightest(scene, source, shape, max(-level, 0.0)):
        return None
    if steady > QUIET * (flux + max(steady, 0.0)):
        return None
    return {
        "row": source.row,
        "column": source.column,
        "position_err": source.error,
        "image_first": int(members.min()),
        "image_last": int(members.max()),
        "image_peak": int(members[peak]),
        "peak_flux": flux,
        "peak_flux_err": flux_err,
        "peak_tmag": float(magnitude_of(flux, prf.zeropoint)),
        "mean_flux": max(-level, 0.0),
        "mean_tmag": float(magnitude_of(max(-level, least), prf.zeropoint)),
        "n_detections": len(members),
    }


def _is_foreign(cube: PixelCube, source: Source) -> NDArray:
    """In which images the brightest pixel of a source has a reflection, (n_cadences,) bool."""
    row, column = round(source.row), round(source.column)
    flags = cube.flags(Window(row, row + 1, column, column + 1).intersect(cube.window))
    return (flags & int(PixelFlag.BACKGROUND_ANOMALY) != 0).any(axis=(1, 2))


def _brightest(scene: Expected, source: Source, shape: NDArray, mean_flux: float) -> float:
    """Brightest pixel of the average image near a source, without the source [e-/s]."""
    rest = scene.average - mean_flux * shape
    row, column = round(source.row), round(source.column)
    near = Window(row - NEAR, row + NEAR + 1, column - NEAR, column + NEAR + 1)
    inside = near.intersect(scene.window)
    return (
        0.0
        if inside is None
        else float(np.nanmax(rest[inside.slices_in(scene.window)], initial=0.0))
    )


def _change(
    cube: PixelCube, source: Source, prf: Prf
) -> tuple[NDArray, NDArray, Expected, NDArray]:
    """Light at a position over that of the average image, and its error, (n_cadences,) each.

    And the average image around it, and the PRF there.
    """
    motion = motion_of_images(cube)
    design = affine_design(np.array([source.row]), np.array([source.column]))[0]
    of_images = np.nan_to_num(cube.motion)
    row = source.row + of_images[:, :3] @ design
    column = source.column + of_images[:, 3:] @ design
    middle = round(source.row), round(source.column)
    stamp = Window(middle[0] - HALF, middle[0] + HALF + 1, middle[1] - HALF, middle[1] + HALF + 1)
    part = cube.grid.part_at(np.array([middle[0]]), np.array([middle[1]]))[0]
    stamp = stamp.intersect(cube.grid.windows[max(int(part), 0)])
    change, error = np.full((2, cube.n_cadences), np.nan)
    scene = Expected.of(cube, stamp)
    corner = np.full(cube.n_cadences, stamp.row0), np.full(cube.n_cadences, stamp.column0)
    shape = prf_stamps(prf, row, column, *corner, stamp.shape)
    for cadences in cadence_slices(cube, stamp):
        flux, sigma = cube.read_with_errors(stamp, cadences)
        expected = np.array([scene.moved(one) for one in motion[cadences]])
        light = flux - cube.background_in(stamp, cadences) - expected
        change[cadences], error[cadences] = _fit(light, sigma, shape[cadences])
    return change, error, scene, shape.mean(axis=0)


def _fit(light: NDArray, sigma: NDArray, shape: NDArray) -> tuple[NDArray, NDArray]:
    """Fluxes (n,) and errors of PRFs (n, n_rows, n_columns) and a constant in stamps."""
    axes = (1, 2)
    usable = np.isfinite(light) & (sigma > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = np.where(usable, 1.0 / sigma.astype(float) ** 2, 0.0)
    light = np.where(usable, light, 0.0)
    total = np.maximum(weight.sum(axis=axes, keepdims=True), 1e-30)
    light = light - (weight * light).sum(axis=axes, keepdims=True) / total
    seen = (weight * shape).sum(axis=axes, keepdims=True) / total
    power = (weight * (shape - seen) ** 2).sum(axis=axes)
    found = np.full(len(light), np.nan)
    np.divide((weight * light * (shape - seen)).sum(axis=axes), power, out=found, where=power > 0)
    return found, np.where(power > 0, 1.0 / np.sqrt(np.maximum(power, 1e-30)), np.nan)
