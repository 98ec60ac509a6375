"""What is said of each CCD at the end of a run: whose errors count, and its zero point."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tessphot_lib.core.constants import TMAG_ZEROPOINT, ZEROPOINT_WARNING
from tessphot_lib.core.counts import counted
from tessphot_lib.core.noise_model import NoiseModel
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.io.products.pixels_summary import (
    PointingSummary,
    read_noise,
    read_pointing_summary,
    read_star_density,
)
from tessphot_lib.io.products.prf_fits import read_prf
from tessphot_lib.io.products.star_checks_ecsv import CensusExtent, read_census_extent

SOURCES = {
    "images": "those of the images",
    "pixels": "from the scatter of the pixels",
    "formula": "photon and read noise as expected",
}
LASTING = 0.02  # of the images that are displaced: more are reported
CROWDED = 8_000.0  # stars to Tmag 17 per square degree: more are reported
FEW_BROKEN = 1e-3  # of the uncertainties of images: more are reported


def ccd_lines(
    pixels: Sequence[Path], prfs: Sequence[Path], list_checks: Sequence[Path] = ()
) -> str:
    """Lines about the errors of pixels and the zero points, with warnings, for the summary.

    Parameters
    ----------
    pixels, prfs : sequence of Path
        ``pixels.hdf5`` and ``prf.fits`` of each CCD, in the same order.
    list_checks : sequence of Path
        ``list_check.ecsv`` of CCDs.

    Raises
    ------
    InputDataError
        If one of them cannot be read.
    """
    lines, extents = [], dict(map(read_census_extent, list_checks))
    for cube, prf in zip(pixels, prfs, strict=True):
        ccd_id, noise = read_noise(cube)
        texts = [_error_text(noise), _zeropoint_text(read_prf(prf))]
        texts += _pointing_texts(read_pointing_summary(cube))
        texts += _crowd_texts(read_star_density(cube))
        texts += _census_texts(extents.get(ccd_id, CensusExtent()))
        lines.append(f"{ccd_id}: {'; '.join(texts)}\n")
    return "".join(sorted(lines))


def _pointing_texts(pointing: PointingSummary) -> list[str]:
    """Say if the catalog was off, and if the telescope pointed elsewhere for a time."""
    texts = []
    if pointing.n_stars:
        texts.append(
            f"WARNING: positions of the catalog were off by {pointing.d_row:+.2f} rows, "
            f"{pointing.d_column:+.2f} columns ({counted(pointing.n_stars, 'star')}) "
            "and are set right by that"
        )
    if pointing.n_displaced > LASTING * pointing.n_images:
        texts.append(
            f"WARNING: {pointing.n_displaced} of {pointing.n_images} images are displaced by "
            f"{pointing.displacement:.1f} pixels and are flagged"
        )
    return texts


def _crowd_texts(density: float) -> list[str]:
    """Warn of a field in which no pixel shows the sky alone."""
    if not density > CROWDED:
        return []
    number = f"{round(density, -3):,.0f} stars to Tmag 17 per square degree"
    return [
        f"WARNING: {number} where it is most crowded: no pixel shows the sky there, and stars that "
        "no list has are in all whole fluxes"
    ]


def _census_texts(extent: CensusExtent) -> list[str]:
    """Warn if the list of stars was compared with the image in part only."""
    if extent.n_fitted >= extent.n_suspicious:
        return []
    return [
        f"WARNING: image and star list differ in {extent.n_suspicious} cells, "
        f"the {extent.n_fitted} most significant of them were fitted: wrong entries and missing "
        "stars may remain in the others"
    ]


def _error_text(noise: NoiseModel | None) -> str:
    """Whose errors count, and by what factor those of the images are off."""
    if noise is None:
        return f"errors of pixels: {SOURCES['images']}"
    text = f"errors of pixels: {SOURCES[noise.source]}"
    if np.isfinite(noise.faint) and noise.broken < 0.5:
        text += (
            f" (uncertainties of the images / scatter: {noise.faint:.2f} in the sky, "
            f"{noise.bright:.2f} in bright pixels)"
        )
    if noise.broken > FEW_BROKEN:
        percent = f"{100 * noise.broken:.3g} %"
        text += (
            f"; WARNING: {percent} of the uncertainties in the images cannot be errors (0, NaN or "
            "absurd)"
        )
        text += " and are replaced"
    return text


def _zeropoint_text(prf: Prf) -> str:
    """The zero point with its error."""
    text = f"zero point {prf.zeropoint:.3f} +- {prf.zeropoint_error:.3f} mag"
    if not prf.zeropoint_stars:
        return f"{text}, assumed: no isolated star shows it"
    text += f" from {prf.zeropoint_stars} star" + ("s" if prf.zeropoint_stars > 1 else "")
    off = prf.zeropoint - TMAG_ZEROPOINT
    if abs(off) > ZEROPOINT_WARNING:
        text += f"; WARNING: {off:+.2f} mag from the expected {TMAG_ZEROPOINT}"
    return text
