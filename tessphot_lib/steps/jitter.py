"""Step: star positions in the blocks of a CCD -> image motion."""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.flags import CadenceFlag
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.settings import PrepareSettings
from tessphot_lib.io.products.block_hdf5 import read_all_images, read_images, read_motion_stars
from tessphot_lib.io.products.jitter_ecsv import write_jitter
from tessphot_lib.motion.affine_fit import fit_motion, relative_to

log = logging.getLogger(__name__)

HEADER_ERROR = 0.01  # [pixels] 1-sigma error stated for motions taken from the headers' WCS


def run_jitter(
    blocks: list[Path], output: Path, ccd_id: CcdId, *, settings: PrepareSettings
) -> None:
    """Fit the motion of each image against the reference image.

    Parameters
    ----------
    blocks : list of Path
        In time order.
    output : Path
        ``jitter.ecsv``
    settings : PrepareSettings
        ``bad_quality`` of them.

    Notes
    -----
    Where the stars give no motion, the WCS in the image's header does; where
    there is none either, the motion is NaN and the source 'none'.
    """
    images = read_all_images(blocks, ("time", "cadenceno", "quality", "header_motion"))
    stars = read_motion_stars(blocks[0])
    displaced = (_displacements(blocks, stars, axis) for axis in ("row", "column"))
    motion, error, n_used = fit_motion(*displaced, stars["row"], stars["column"])
    reference = reference_index(images["time"], images["quality"], motion, settings.bad_quality)
    if reference is not None:
        motion = relative_to(motion, motion[reference])
    header = images["header_motion"]
    if reference is not None and np.isfinite(header[reference]).all():
        header = header - header[reference]
    source = np.where(np.isfinite(motion).all(axis=1), "stars", "header")
    fallen_back = source == "header"
    motion[fallen_back] = header[fallen_back]
    error[fallen_back] = HEADER_ERROR
    source[~np.isfinite(motion).all(axis=1)] = "none"
    error[source == "none"] = np.nan
    log.info(
        "%s: motion of %d images from %d stars, %d from headers, %d unknown; rms %.1f mpx",
        ccd_id,
        (source == "stars").sum(),
        len(stars["row"]),
        (source == "header").sum(),
        (source == "none").sum(),
        1e3 * np.sqrt(np.nanmean(motion[:, [0, 3]] ** 2)) if np.isfinite(motion).any() else np.nan,
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
        attributes=provenance(settings.as_mapping(), blocks),
    )


def reference_index(
    time: NDArray, quality: NDArray, motion: NDArray, bad_quality: int
) -> int | None:
    """Choose the good image with a motion nearest to the middle of the sector, or None."""
    bad = int(bad_quality) | int(CadenceFlag.NO_DATA | CadenceFlag.BAD_BACKGROUND)
    measured = np.isfinite(motion).all(axis=1)
    candidates = np.flatnonzero(measured & (quality & bad == 0))
    if candidates.size == 0:
        candidates = np.flatnonzero(measured)
    if candidates.size == 0:
        return None
    return int(candidates[np.argmin(np.abs(time[candidates] - 0.5 * (time[0] + time[-1])))])


def _displacements(blocks: list[Path], stars: dict[str, NDArray], axis: str) -> NDArray:
    """Measured minus catalog positions of the stars in all images, (n_images, n_stars) float32."""
    name = f"star_{axis}"
    return np.concatenate(
        [(read_images(block, [name])[name] - stars[axis]).astype(np.float32) for block in blocks]
    )
