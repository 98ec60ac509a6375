"""Step: stars in the images of the blocks of a CCD -> image motion, and images unlike others."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.affine import affine_design
from tessphot_lib.core.constants import REFERENCE_SPAN
from tessphot_lib.core.flags import OWN_BAD_CADENCE, CadenceFlag
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.medians import medians_of_known
from tessphot_lib.core.pointing import Pointing
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.settings import FlagSettings, PrepareSettings
from tessphot_lib.io.products.block_hdf5 import (
    read_all_images,
    read_flux,
    read_identity,
    read_images,
    read_motion_stars,
    read_patches,
)
from tessphot_lib.io.products.jitter_ecsv import write_jitter
from tessphot_lib.motion.affine_fit import fit_motion, is_displaced, relative_to
from tessphot_lib.motion.own_influence import own_influence
from tessphot_lib.motion.pointings import find_pointings
from tessphot_lib.motion.stated_motion import MIN_IMAGES, is_better, scatter_around
from tessphot_lib.quality.image_check import (
    LASTING,
    MIN_STARS_FOR_LIGHT,
    SHIFT_BASELINE,
    SharedChange,
    is_unlike,
    lacks_stars,
    shared_change,
    without_own_light,
)
from tessphot_lib.quality.vanished_stars import contrast, lacks_light

log = logging.getLogger(__name__)

PIECE = 32  # [pixels] longest side of the parts of a window that are searched for light
IMAGES_FOR_SCATTER = 5000  # at most, from the whole sector, that tell which motion is better
UNCORRECTED = 0.5  # of the offset's limit, for jumps where the motion is unknown: it stays there
HEADER_ERROR = 0.01  # [pixels] 1-sigma error stated for motions taken from the headers' WCS
POS_CORR_ERROR = 0.0005  # [pixels] and from POS_CORR: 0.1 to 0.2 mpx and slow drifts of 0.5 to 1.7


def run_jitter(
    blocks: list[Path], output: Path, ccd_id: CcdId, *, settings: PrepareSettings
) -> None:
    """Fit the motion of each image against the reference image, and compare its stars.

    Parameters
    ----------
    blocks : list of Path
        In time order.
    output : Path
        ``jitter.ecsv``
    settings : PrepareSettings
        ``bad_quality`` and ``flags`` of them.

    Notes
    -----
    Where the stars give no motion, the WCS in the image's header does; where
    there is none either, the motion is NaN and the source 'none'.

    Of target pixel files, the cadences of half an hour are the reference, and POS_CORR stands
    for the headers' WCS. If the stars scatter less around that than around the motion measured
    from them, it is taken for all cadences that have it.
    """
    names = ("time", "cadenceno", "quality", "header_motion", "background_level")
    images = read_all_images(blocks, names)
    stars = read_motion_stars(blocks[0])
    displaced = tuple(_of_stars(blocks, axis, stars[axis]) for axis in ("row", "column"))
    pointing = _pointing(blocks, displaced, images, settings)
    for axis, moved in zip(displaced, pointing.displacement.T, strict=True):
        axis -= moved[:, None].astype(axis.dtype)
    motion, error, n_used, scatter = fit_motion(*displaced, stars["row"], stars["column"])
    header = images["header_motion"]
    is_known = np.isfinite(motion).all(axis=1) | np.isfinite(header).all(axis=1)
    looks = _looks(blocks, images, displaced, is_known, settings)
    motion[:, [0, 3]] += pointing.displacement
    known = motion if np.isfinite(motion).all(axis=1).any() else header
    known = np.where(pointing.displacement.any(axis=1, keepdims=True), np.nan, known)
    span = REFERENCE_SPAN if ccd_id.has_stamps else 0.0
    quality = images["quality"] | looks.quality
    near = _reference(images["time"], quality, known, settings.bad_quality, span)
    motion, header = (_against(one, near) for one in (motion, header))
    from_stars = np.isfinite(motion).all(axis=1)
    if ccd_id.has_stamps and _is_stated_better(displaced, stars, motion, scatter, header):
        from_stars &= ~np.isfinite(header).all(axis=1)
    header_error = POS_CORR_ERROR if ccd_id.has_stamps else HEADER_ERROR
    motion, error, source = _completed(motion, error, header, from_stars, header_error)
    middles = _middles(blocks[0])
    within = motion.copy()
    within[:, [0, 3]] -= pointing.displacement
    limit = settings.flags.motion_limit
    jumps = is_displaced(within, error, images["time"], *middles, limit=limit)
    found = looks.quality | np.where(source == "none", int(CadenceFlag.NO_MOTION), 0)
    found[jumps] |= int(CadenceFlag.COARSE_MEASURED)
    counts = {name: int((source == name).sum()) for name in ("stars", "header", "none")}
    log.info(
        "%s: motion of %d images from %d stars, %d from headers, %d unknown; rms %.1f mpx; "
        "in %d all stars have changed",
        *(ccd_id, counts["stars"], len(stars["row"]), counts["header"], counts["none"]),
        1e3 * _rms(motion, *middles),
        np.count_nonzero(looks.quality),
    )
    write_jitter(
        output,
        ccd_id,
        time=images["time"],
        cadenceno=images["cadenceno"],
        motion=motion,
        error=error,
        n_stars=n_used,
        source=source,
        light=1 + looks.light.lasting,
        sharpness=1 + looks.sharpness.lasting,
        quality=found,
        star_scatter=scatter,
        pointing=pointing,
        attributes=provenance(settings.as_mapping(), blocks),
    )


def _completed(
    motion: NDArray, error: NDArray, header: NDArray, from_stars: NDArray, header_error: float
) -> tuple[NDArray, NDArray, NDArray]:
    """Motions of stars and, where these give none, of headers; with errors and where it is from."""
    source = np.where(from_stars, "stars", "header")
    motion = np.where(from_stars[:, None], motion, header)
    error = np.where(from_stars, error, header_error)
    is_unknown = ~np.isfinite(motion).all(axis=1)
    source[is_unknown], error[is_unknown] = "none", np.nan
    return motion, error, source


def _pointing(
    blocks: list[Path],
    displaced: tuple[NDArray, ...],
    images: dict[str, NDArray],
    settings: PrepareSettings,
) -> Pointing:
    """Where the images of whole CCDs point; of cutouts, displaced images stay flagged."""
    if read_patches(blocks[0]) is not None:
        return Pointing.single(len(images["time"]))
    off = np.column_stack([medians_of_known(axis.T) for axis in displaced]).astype(float)
    off[np.isfinite(displaced[0]).sum(axis=1) < MIN_STARS_FOR_LIGHT] = np.nan
    is_good = images["quality"] & (int(settings.bad_quality) | int(OWN_BAD_CADENCE)) == 0
    return find_pointings(off, images["time"], is_good, limit=settings.flags.offset_limit)


def _reference(
    time: NDArray, quality: NDArray, motion: NDArray, bad_quality: int, span: float
) -> NDArray:
    """Images that motion is relative to, (n_images,) bool: none if none has a known motion.

    The reference image, and the good ones in ``span`` [d] about it.
    """
    reference = reference_index(time, quality, motion, bad_quality)
    if reference is None:
        return np.zeros(len(time), dtype=bool)
    near = np.abs(time - time[reference]) <= 0.5 * span
    near &= (quality & bad_quality) == 0
    near[reference] = True
    return near


def _against(motion: NDArray, near: NDArray) -> NDArray:
    """Motion against that of some images; as it is if none of them has any."""
    known = np.isfinite(motion).all(axis=1) & near
    return relative_to(motion, motion[known].mean(axis=0)) if known.any() else motion


def _is_stated_better(
    displaced: tuple[NDArray, ...],
    stars: dict[str, NDArray],
    motion: NDArray,
    star_scatter: NDArray,
    stated: NDArray,
) -> bool:
    """Whether the stars scatter less around the motion that files state than around their own."""
    both = np.flatnonzero(np.isfinite(motion).all(axis=1) & np.isfinite(stated).all(axis=1))
    if len(both) < MIN_IMAGES:
        return False
    both = both[:: -(-len(both) // IMAGES_FOR_SCATTER)]
    measured = tuple(axis[both] for axis in displaced)
    at = stars["row"], stars["column"]
    own = own_influence(*measured, *at, motion=motion[both], scatter=star_scatter)
    around = (
        scatter_around(*measured, *at, stated[both]),
        scatter_around(*measured, *at, motion[both], own),
    )
    medians = [1e3 * float(np.nanmedian(one)) for one in around]
    log.info("stars scatter by %.3f mpx around POS_CORR, by %.3f around their motion", *medians)
    return is_better(*around)


class _Looks(NamedTuple):
    """How the stars of each image look against those of the others, and what it is worth."""

    light: SharedChange
    sharpness: SharedChange
    quality: NDArray


def _looks(
    blocks: list[Path],
    images: dict[str, NDArray],
    displaced: tuple[NDArray, ...],
    is_known: NDArray,
    settings: PrepareSettings,
) -> _Looks:
    """Compare the stars of the images, and of few stars also the light of all pixels.

    ``is_known`` says in which images the motion is, so that it can be corrected for.
    """
    looks = _compare(blocks, images["time"], displaced, is_known, settings.flags)
    if displaced[0].shape[1] < MIN_STARS_FOR_LIGHT:
        is_usual = images["quality"] & (int(settings.bad_quality) | int(OWN_BAD_CADENCE)) == 0
        vanished = _without_light(blocks, is_usual, images["background_level"])
        looks.quality[vanished] |= int(CadenceFlag.STARS_CHANGED)
    return looks


def _compare(
    blocks: list[Path],
    time: NDArray,
    displaced: tuple[NDArray, ...],
    is_known: NDArray,
    flags: FlagSettings,
) -> _Looks:
    """Compare the stars of the images; see `tessphot_lib.quality.image_check`."""
    stars_light, stars_sharpness = (_of_stars(blocks, name) for name in ("light", "sharpness"))
    stars_sharpness = without_own_light(stars_sharpness, stars_light, time)
    limits = {"light": flags.light_limit, "sharpness": flags.sharpness_limit}
    light, sharpness = (
        shared_change(
            values, time, relative=True, outlying=LASTING * limit, by_many=name == "light"
        )
        for (name, limit), values in zip(
            limits.items(), (stars_light, stars_sharpness), strict=True
        )
    )
    shift = [
        shared_change(
            values,
            time,
            relative=False,
            outlying=flags.offset_limit,
            by_many=True,
            baseline=SHIFT_BASELINE,
        )
        for values in displaced
    ]
    changed = is_unlike(
        light,
        sharpness,
        (shift[0], shift[1]),
        light_limit=flags.light_limit,
        sharpness_limit=flags.sharpness_limit,
        shift_limit=flags.offset_limit,
        jump_limit=flags.offset_limit * np.where(is_known, 1.0, UNCORRECTED),
    )
    changed |= lacks_stars(np.isfinite(displaced[0]), np.isfinite(stars_light))
    return _Looks(light, sharpness, np.where(changed, int(CadenceFlag.STARS_CHANGED), 0))


def _without_light(blocks: list[Path], is_usual: NDArray, sky: NDArray) -> NDArray:
    """Images in which all stars are gone from all pixels that would show it, (n_images,) bool."""
    window = read_identity(blocks[0])["window"]
    gone, was_judged = np.ones(len(sky), dtype=bool), np.zeros(len(sky), dtype=bool)
    for part in _parts(_windows(blocks[0])):
        flux = (read_flux(block, part.slices_in(window)) for block in blocks)
        pattern = np.concatenate([contrast(one) for one in flux])
        lacks, is_judged = lacks_light(pattern, is_usual, sky)
        gone &= lacks | ~is_judged
        was_judged |= is_judged
        if not gone.any():
            break
    return gone & was_judged


def _parts(windows: list[Window]) -> Iterator[Window]:
    """Parts of windows whose sides are `PIECE` pixels at most."""
    for window in windows:
        for row in range(window.row0, window.row1, PIECE):
            for column in range(window.column0, window.column1, PIECE):
                last = min(row + PIECE, window.row1), min(column + PIECE, window.column1)
                yield Window(row, last[0], column, last[1])


def _windows(block: Path) -> list[Window]:
    """The windows that a CCD is known in."""
    patches = read_patches(block)
    if patches is None:
        return [read_identity(block)["window"]]
    return [Window(*map(int, one)) for one in patches["windows"]]


def _middles(block: Path) -> tuple[NDArray, NDArray]:
    """Rows and columns of the middles of the pixels that a CCD is known in."""
    row, column = np.array([window.middle for window in _windows(block)]).T
    return row, column


def _rms(motion: NDArray, row: NDArray, column: NDArray) -> float:
    """Root mean square of the motion at positions, per axis [pixels]; NaN if unknown."""
    known = np.isfinite(motion).all(axis=1)
    if not known.any():
        return np.nan
    design = affine_design(row, column)
    products = design.T @ design / len(design)  # instead of the motion at all positions
    by_axis = motion[known].reshape(-1, 2, 3)
    return float(np.sqrt(np.einsum("tia,ab,tib->ti", by_axis, products, by_axis).mean()))


def reference_index(
    time: NDArray, quality: NDArray, motion: NDArray, bad_quality: int
) -> int | None:
    """Choose the good image with a motion nearest to the middle of the sector, or None."""
    bad = int(bad_quality) | int(OWN_BAD_CADENCE)
    measured = np.isfinite(motion).all(axis=1)
    candidates = np.flatnonzero(measured & (quality & bad == 0))
    if candidates.size == 0:
        candidates = np.flatnonzero(measured)
    if candidates.size == 0:
        return None
    return int(candidates[np.argmin(np.abs(time[candidates] - 0.5 * (time[0] + time[-1])))])


def _of_stars(blocks: list[Path], name: str, origin: NDArray | float = 0.0) -> NDArray:
    """Measures of the stars in all images against ``origin``, (n_images, n_stars) float32."""
    column = f"star_{name}"
    return np.concatenate(
        [(read_images(block, [column])[column] - origin).astype(np.float32) for block in blocks]
    )
