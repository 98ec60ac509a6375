"""The apertures of all stars of a CCD: what the step `todo` decides for each."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.aperture.crowding import KnownLight
from tessphot_lib.aperture.selection import find_apertures
from tessphot_lib.aperture.sizes import stamp_window, stamp_windows
from tessphot_lib.background.static_light import static_light_error
from tessphot_lib.catalog.star_mask import star_mask
from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.constants import SATURATION_TMAG
from tessphot_lib.core.flags import PixelFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.core.settings import ApertureSettings
from tessphot_lib.core.stamps import values_at
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.photometry.average_positions import average_places
from tessphot_lib.photometry.regions import cadence_slices
from tessphot_lib.photometry.typical_noise import typical_noise
from tessphot_lib.prf.scene import scene_image

MARGIN = 32  # [pixels] around a patch that its apertures are looked for in
NEIGHBOR_REACH = 100  # [pixels] around it from where stars may give it light
MAX_SKY_OF_PART = 200  # pixels of each part that count for the sky of all
MOTION_SECONDS = 1800.0  # [s] an aperture that is best for shorter ones is too small for hours
MIN_FULL_IMAGES = 3  # in which a pixel is full, for it to belong to its star
MOTION_LEFT = 0.1  # of the light that motion carries over an edge, after its correction


def ccd_apertures(
    cube: PixelCube,
    known: pd.DataFrame,
    prf: Prf,
    settings: ApertureSettings,
    *,
    faint_limit: float,
    only: Collection[int] | None = None,
) -> tuple[dict[int, Aperture], NDArray]:
    """Find the apertures of all stars of a CCD that are to be measured.

    Parameters
    ----------
    cube : PixelCube
    known : DataFrame
        The catalog as it is believed (`tessphot_lib.photometry.believed_stars`): tic_id, row,
        column, tmag.
    prf : Prf
    settings : ApertureSettings
    faint_limit : float
        [Tmag]
    only : collection of int, optional
        Numbers of the rows of those stars whose apertures are wanted; the same ones as
        among those of all stars.

    Returns
    -------
    apertures : dict
        By the number of the star's row in the catalog.
    on_data : (n_stars,) bool array
        Stars that stand on a pixel with data, whatever their brightness.
    """
    row, column, tmag = (known[name].to_numpy(dtype=float) for name in ("row", "column", "tmag"))
    places = average_places(cube, known)
    on_data = np.zeros(len(known), dtype=bool)
    unlisted = known["tic_id"].to_numpy() < 0
    found: dict[int, Aperture] = {}
    left = MOTION_LEFT if settings.motion_correction else 1.0
    motion_rms = left * _motion_rms(cube)
    elsewhere = _sky_of_parts(cube, row, column, tmag)
    for region, inside in _regions(cube, row, column):
        average = cube.average_image(region)
        seen = values_at(average, region, row[inside], column[inside], outside=np.nan)
        inside = inside[np.isfinite(seen)]
        on_data[inside] = True
        wanted = inside[tmag[inside] <= faint_limit]
        if only is not None:
            wanted = wanted[np.isin(wanted, list(only))]
        if wanted.size:
            stars = _Stars(row, column, *places, tmag, wanted, unlisted)
            found |= _apertures(cube, region, average, stars, prf, settings, motion_rms, elsewhere)
    return found, on_data


@dataclass(frozen=True)
class _Stars:
    """The catalog, the indices of its stars to be measured, and which are of no list."""

    row: NDArray
    column: NDArray
    average_row: NDArray
    average_column: NDArray
    tmag: NDArray
    measured: NDArray
    unlisted: NDArray


def _regions(cube: PixelCube, row: NDArray, column: NDArray) -> Iterator[tuple[Window, NDArray]]:
    """Parts of the CCD that are looked at together, each with the indices of the stars on it.

    Each part of the CCD that has a background of its own, with what lies beside it.
    """
    part = cube.grid.part_at(row, column)
    for number, box in enumerate(cube.grid.windows):
        inside = np.flatnonzero(part == number)
        if inside.size:
            yield box.widened(MARGIN, cube.window), inside


def _apertures(
    cube: PixelCube,
    region: Window,
    average: NDArray,
    stars: _Stars,
    prf: Prf,
    settings: ApertureSettings,
    motion_rms: float,
    elsewhere: NDArray | None,
) -> dict[int, Aperture]:
    """Apertures of the stars of a region, by their index in the catalog."""
    with np.errstate(invalid="ignore"):
        near = np.flatnonzero(region.contains(stars.row, stars.column, margin=NEIGHBOR_REACH))
    known = [values[near] for values in (stars.average_row, stars.average_column, stars.tmag)]
    mask_scale = float(cube.attributes["mask_radius_scale"])
    # Beside a patch of a cutout there are no pixels, which nothing is drawn or read for.
    there = region.bounding(np.isfinite(average))
    noise = np.full(region.shape, np.nan)
    if settings.kind == "optimal":
        noise[there.slices_in(region)] = _noise(cube, there)
    light = KnownLight.expected(
        prf,
        region,
        stars.average_row[near],
        stars.average_column[near],
        stars.tmag[near],
        targets=np.searchsorted(near, stars.measured),
        stamps=stamp_windows(
            stars.average_row[stars.measured],
            stars.average_column[stars.measured],
            stars.tmag[stars.measured],
            region,
            settings.max_radius,
        ),
        drawn=there,
    )
    found = find_apertures(
        average,
        region,
        *known,
        measured=np.searchsorted(near, stars.measured),
        sky=~star_mask(region, *known, radius_scale=mask_scale),
        threshold=settings.threshold,
        min_pixels=settings.min_pixels,
        max_radius=settings.max_radius,
        noise=noise if settings.kind == "optimal" else None,
        motion_rms=motion_rms,
        sky_elsewhere=elsewhere,
        known_light=light,
        ever_full=_ever_full(cube, region, *known, settings.max_radius),
    )
    found = _with_unlisted_light(found, light, prf, region, stars, near)
    found = _with_static_error(
        found, cube, region, flux_of(stars.tmag[stars.measured], prf.zeropoint)
    )
    return dict(zip(stars.measured.tolist(), found, strict=True))


def _ever_full(
    cube: PixelCube,
    region: Window,
    row: NDArray,
    column: NDArray,
    tmag: NDArray,
    max_radius: float,
) -> NDArray:
    """Pixels about saturated stars that are full in some good images, bool.

    A variable star bleeds farther while it is brighter than in the average image.
    """
    full = np.zeros(region.shape, dtype=bool)
    good = cube.is_good()
    with np.errstate(invalid="ignore"):
        bright = np.flatnonzero((tmag < SATURATION_TMAG) & region.contains(row, column))
    for star in bright:
        stamp = stamp_window(row[star], column[star], tmag[star], region, max_radius)
        count = np.zeros(stamp.shape, dtype=int)
        for cadences in cadence_slices(cube, stamp):
            flags = cube.read("pixel_flags", stamp, cadences)[good[cadences]]
            count += np.count_nonzero(flags & int(PixelFlag.SATURATED), axis=0)
        full[stamp.slices_in(region)] |= count >= MIN_FULL_IMAGES
    return full


def _with_unlisted_light(
    apertures: list[Aperture],
    light: KnownLight,
    prf: Prf,
    region: Window,
    stars: _Stars,
    near: NDArray,
) -> list[Aperture]:
    """Add to apertures what fraction of their light is of sources that no list has."""
    sources = near[stars.unlisted[near]]
    if not sources.size:
        return apertures
    at = stars.average_row[sources], stars.average_column[sources]
    of_sources = scene_image(prf, region, *at, flux_of(stars.tmag[sources], prf.zeropoint))
    found = []
    for aperture in apertures:
        cut = aperture.window.slices_in(region)
        total = float(light.images[0][cut][aperture.mask].sum())
        part = float(of_sources[cut][aperture.mask].sum())
        if part > 0 and total > 0:
            aperture = replace(aperture, unlisted_fraction=part / total)
        found.append(aperture)
    return found


def _with_static_error(
    apertures: list[Aperture], cube: PixelCube, region: Window, flux: NDArray
) -> list[Aperture]:
    """Add to apertures what extended light may make the stars' fluxes (n_stars,) wrong by."""
    static = cube.static_light
    if static is None:
        return apertures
    error = static_light_error(static)[region.slices_in(cube.window)]
    found = []
    for aperture, expected in zip(apertures, flux, strict=True):
        wrong = float(error[aperture.window.slices_in(region)][aperture.mask].sum())
        if wrong > 0:
            aperture = replace(aperture, static_error=wrong / max(float(expected), 1e-9))
        found.append(aperture)
    return found


def _noise(cube: PixelCube, region: Window) -> NDArray:
    """Errors of pixels that apertures are chosen by, (n_rows, n_columns) [e-/s].

    Those of an image; of the short cadences of target pixel files those of `MOTION_SECONDS`,
    for which the motion, and what its correction leaves, stays much the same.
    """
    noise = typical_noise(cube, region)
    if cube.ccd_id.has_stamps:
        noise = noise * np.sqrt(min(cube.ccd_id.cadence / MOTION_SECONDS, 1.0))
    return noise


def _sky_of_parts(cube: PixelCube, row: NDArray, column: NDArray, tmag: NDArray) -> NDArray | None:
    """Some pixels of the average image outside known stars, of all parts of the CCD.

    None where the whole CCD is one part; a small patch hardly shows any sky by itself.
    """
    if cube.grid.is_continuous:
        return None
    mask_scale = float(cube.attributes["mask_radius_scale"])
    values = []
    for box in cube.grid.windows:
        average = cube.average_image(box)
        with np.errstate(invalid="ignore"):
            near = box.contains(row, column, margin=NEIGHBOR_REACH)
        sky = ~star_mask(box, row[near], column[near], tmag[near], radius_scale=mask_scale)
        seen = average[sky & np.isfinite(average)]
        values.append(seen[:: 1 + len(seen) // MAX_SKY_OF_PART])
    return np.concatenate(values)


def _motion_rms(cube: PixelCube) -> float:
    """Standard deviation of the motion of unflagged images in the middle of the CCD [pixels]."""
    motion = cube.motion[cube.quality == 0][:, [0, 3]]
    motion = motion[np.isfinite(motion).all(axis=1)]
    return float(np.sqrt(np.mean(np.var(motion, axis=0)))) if len(motion) > 1 else 0.0
