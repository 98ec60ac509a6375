"""Asteroids and comets on a CCD: found in its images or predicted, and whom they disturb."""

import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.affine import displacement
from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.constants import SECONDS_PER_DAY
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.core.wcs import ffi_wcs, sky_to_pixel
from tessphot_lib.io.products.moving_ecsv import COLUMNS
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.photometry.detections import Spans, detect
from tessphot_lib.photometry.track_steps import SMEAR, steps_of_objects
from tessphot_lib.prf.evaluate import prf_stamps
from tessphot_lib.quality.moving_objects import Detections, Track, link_tracks

log = logging.getLogger(__name__)

STAYS, STAYS_IMAGES, STAYS_FRACTION = 1.2, 20, 0.1  # [pixels]; detections that often are a star's
BEYOND_ENDS = 3  # images before the first detection and after the last
SMOOTHED = 7  # detections, of whose fluxes the median counts
DISTURBED = 5.0  # [sigma] of a flux, from which light of an object counts
REACH = 12  # [pixels] around an aperture, from where an object gives it light ...
BRIGHT_FLUX, BRIGHT_REACH = 3e4, 40  # [e-/s], [pixels] ... and a bright one
FAR, FAR_PART = 5.0, 0.75  # [pixels] from where a wing may be too bright; the part that is sure
SAME_DISTANCE = 2.0  # [pixels] a predicted object and the track of a found one


def find_moving(cube: PixelCube, found: Detections | None = None) -> pd.DataFrame:
    """Find objects in the images.

    Parameters
    ----------
    cube : PixelCube
    found : Detections, optional
        From `tessphot_lib.photometry.detections.detect`, if it has been called already.

    Returns
    -------
    DataFrame
        Columns of `tessphot_lib.io.products.moving_ecsv`.
    """
    spans = Spans.of(cube)
    found = _without_stars(detect(cube) if found is None else found, len(spans.image))
    interval = spans.size * float(cube.attributes["cadence_seconds"]) / SECONDS_PER_DAY
    time = (cube.time - cube.timecorr - cube.time[0]) / interval
    number = np.searchsorted(spans.image, found.image)
    tracks = link_tracks(replace(found, image=number), time[spans.image])
    log.info("%s: %d detections, %d moving objects", cube.ccd_id, len(found.image), len(tracks))
    parts = [
        _positions(cube, found, track, spans, time, f"found {index}")
        for index, track in enumerate(tracks, start=1)
    ]
    return _joined(parts)


def _without_stars(found: Detections, n_images: int) -> Detections:
    """Leave out what is at the same position in many images: variable stars."""
    if not len(found.row):
        return found
    at = np.column_stack([found.row, found.column])
    tree = scipy.spatial.cKDTree(at)
    count = tree.query_ball_point(at, STAYS, return_length=True)
    moves = count <= max(STAYS_IMAGES, STAYS_FRACTION * n_images)
    return Detections(*(values[moves] for values in vars(found).values()))


def _positions(
    cube: PixelCube, found: Detections, track: Track, spans: Spans, time: NDArray, name: str
) -> pd.DataFrame:
    """Where an object was in all images from a little before its first detection on."""
    beyond = BEYOND_ENDS * spans.size
    first = max(int(spans.image[track.first]) - beyond, 0)
    last = min(int(spans.image[track.last]) + beyond, cube.n_cadences - 1)
    images = np.arange(first, last + 1)
    row, column = track.at(time[images])
    seen = found.image[track.members]
    # Single detections have the noise, and what is left of stars that the object passes.
    flux = pd.Series(found.flux[track.members], index=seen)
    flux = flux.rolling(SMOOTHED, center=True, min_periods=1).median().reindex(images)
    flux = flux.interpolate(limit_direction="both")
    is_seen = spans.has(images, seen)
    return _table(cube, images, row, column, flux.to_numpy(), is_seen, name, "found")


def predict_moving(cube: PixelCube, ephemerides: pd.DataFrame, prf: Prf) -> pd.DataFrame:
    """Interpolate ephemerides at the images; those on the CCD.

    Parameters
    ----------
    cube : PixelCube
    ephemerides : DataFrame
        From `tessphot_lib.io.mission.object_ephemerides.read_object_ephemerides`.
    prf : Prf
        For its zero point.
    """
    time = cube.time - cube.timecorr
    wcs = ffi_wcs(str(cube.attributes["wcs"]))
    parts = []
    for name, rows in ephemerides.groupby("name", sort=True):
        given = rows["time"].to_numpy()
        images = np.flatnonzero((time >= given[0]) & (time <= given[-1]))
        if not images.size:
            continue
        ra = np.unwrap(rows["ra"].to_numpy(), period=360.0)
        ra, dec, tmag = (
            np.interp(time[images], given, values)
            for values in (ra, rows["dec"].to_numpy(), rows["tmag"].to_numpy())
        )
        row, column = sky_to_pixel(wcs, ra % 360.0, dec)
        middle = np.array(cube.window.middle).reshape(2, 1)
        moved = np.nan_to_num(displacement(cube.motion[images], *middle))
        row, column = row + moved[0][:, 0], column + moved[1][:, 0]
        with np.errstate(invalid="ignore"):
            on = cube.window.contains(row, column, margin=REACH)
        flux = flux_of(tmag, prf.zeropoint)
        table = _table(
            cube, images, row, column, flux, np.zeros(len(images), bool), name, "predicted"
        )
        parts.append(table[on])
    return _joined(parts)


def join_found_and_predicted(found: pd.DataFrame, predicted: pd.DataFrame) -> pd.DataFrame:
    """Give found objects the names of predicted ones; what is seen counts where it is."""
    names = {}
    for name, rows in found.groupby("object"):
        both = rows.merge(predicted, on="cadenceno", suffixes=("", "_p"))
        distance = np.hypot(both["row"] - both["row_p"], both["column"] - both["column_p"])
        near = both[distance < SAME_DISTANCE]["object_p"].value_counts()
        if len(near) and near.iloc[0] > 0.5 * len(rows):
            names[name] = str(near.index[0])
    found = found.assign(object=found["object"].replace(names))
    seen = pd.MultiIndex.from_frame(found[["object", "cadenceno"]])
    rest = predicted[~pd.MultiIndex.from_frame(predicted[["object", "cadenceno"]]).isin(seen)]
    return _joined([found, rest]).sort_values(["object", "cadenceno"], ignore_index=True)


def disturbed_points(
    moving: pd.DataFrame,
    apertures: list[Aperture],
    flux_err: NDArray,
    cadenceno: NDArray,
    prf: Prf,
) -> NDArray:
    """Return which points of light curves have the light of an object.

    Parameters
    ----------
    moving : DataFrame
        Of `tessphot_lib.io.products.moving_ecsv`.
    apertures : list of Aperture
        Of the stars.
    flux_err : (n_stars, n_cadences) array
        [e-/s]
    cadenceno : (n_cadences,) array
    prf : Prf

    Returns
    -------
    (n_stars, n_cadences) bool array
    """
    disturbed = np.zeros(flux_err.shape, dtype=bool)
    image = np.searchsorted(cadenceno, moving["cadenceno"].to_numpy())
    at = [moving[name].to_numpy(dtype=float) for name in ("row", "column", "flux")]
    steps = steps_of_objects(moving)
    for index, aperture in enumerate(apertures):
        box = aperture.bounding_window()
        near = box.contains(*at[:2], margin=REACH)
        near |= (at[2] > BRIGHT_FLUX) & box.contains(*at[:2], margin=BRIGHT_REACH)
        rows = np.flatnonzero(near)
        if not rows.size:
            continue
        mask = aperture.mask[box.slices_in(aperture.window)]
        corner = np.full(len(rows), box.row0), np.full(len(rows), box.column0)
        part = np.zeros(len(rows))
        for smear in SMEAR:
            position = [at[k][rows] + smear * steps[k][rows] for k in (0, 1)]
            fractions = prf_stamps(prf, *position, *corner, box.shape) * _belief(box, *position)
            part += fractions[:, mask].sum(axis=1) / len(SMEAR)
        light = np.zeros(len(cadenceno))
        np.add.at(light, image[rows], at[2][rows] * part)
        with np.errstate(invalid="ignore"):
            disturbed[index] = light > DISTURBED * flux_err[index]
    return disturbed


def _belief(box: Window, row: NDArray, column: NDArray) -> NDArray:
    """What of the PRF of objects counts in each pixel of a box, (n, n_rows, n_columns)."""
    down = np.arange(box.row0, box.row1)[:, None] - row[:, None, None]
    along = np.arange(box.column0, box.column1) - column[:, None, None]
    return np.where(np.hypot(down, along) > FAR, FAR_PART, 1.0)


def _table(
    cube: PixelCube,
    images: NDArray,
    row: NDArray,
    column: NDArray,
    flux: NDArray,
    seen: NDArray,
    name: str,
    source: str,
) -> pd.DataFrame:
    """Rows of one object."""
    return pd.DataFrame(
        {
            "object": name,
            "source": source,
            "cadenceno": cube.cadenceno[images],
            "time": (cube.time - cube.timecorr)[images],
            "row": row,
            "column": column,
            "flux": flux,
            "is_seen": seen,
        }
    )


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Tables of several objects, one after the other."""
    parts = [part for part in parts if len(part)]
    if parts:
        return pd.concat(parts, ignore_index=True)
    return pd.DataFrame({name: np.zeros(0, dtype) for name, (dtype, _) in COLUMNS.items()})
