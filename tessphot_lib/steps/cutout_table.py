"""Step: headers of the cutouts of a CCD -> cutouts.ecsv and ffis.ecsv."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.clock import timestamp_shifts
from tessphot_lib.core.constants import SECONDS_PER_DAY
from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.flags import CadenceFlag
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.manual_excludes import is_excluded
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.wcs import BTC_PIXEL
from tessphot_lib.io.images.cutout_clock import NO_CADENCE
from tessphot_lib.io.images.cutout_table import write_cutout_table
from tessphot_lib.io.images.ffi_table import TIME_ERROR, plain_keywords, write_ffi_table
from tessphot_lib.io.images.refusal import SKIPPED
from tessphot_lib.io.images.tesscut import (
    Cutout,
    UnusableCutoutError,
    read_cutout,
    read_cutout_pixels,
)
from tessphot_lib.preparation.ccd_wcs import fit_ccd_wcs, wcs_text

log = logging.getLogger(__name__)

DEFAULT_LENGTH = 1800 / SECONDS_PER_DAY  # [d] of a single image that does not tell
KEPT_BYTES = 200_000_000  # of the pixels of cutouts that were read last
SAME_PIXEL = 1e-4  # relative difference up to which overlapping cutouts agree
# [arcsec] error of the CCD's centre as cutouts know it, which may lie far from it; the corrections
# of a sector tell much better which direction they are for.
CENTRE_ERROR = 600.0
KEYWORDS = (
    *("DATA_REL", "SIMDATA", "CRMITEN", "CRBLKSZ", "CRSPOC", "DEADC", "INT_TIME", "READTIME"),
    *("FRAMETIM", "NUM_FRM", "NREADOUT"),
    *(f"{key}{output}" for key in ("GAIN", "READNOI") for output in "ABCD"),
)


def run_cutout_table(
    cutouts: list[Path], output: Path, ffi_table: Path, ccd_id: CcdId, *, on_bad_image: str
) -> None:
    """List the cutouts of a CCD and the images that they were cut from.

    A cutout that contradicts itself (a WCS of another CCD, a target off its
    pixels), or one before it where they overlap, is left out and listed with
    the reason, whatever ``on_bad_image`` says, since TESScut makes such files;
    any other bad one is an error for those who read ``ffis.ecsv``, see `write_ffi_table`,
    unless bad ones are to be skipped.

    Parameters
    ----------
    cutouts : list of Path
    output, ffi_table : Path
        ``cutouts.ecsv``; ``ffis.ecsv`` with one row per image of any cutout.
    on_bad_image : {'error', 'skip'}
    """
    rows, good, pixels, refusal = [], [], KeptPixels(), None
    for path in sorted(cutouts, key=lambda path: (path.name, str(path))):
        try:
            cutout = read_cutout(path, ccd_id)
            others = [other for other in good if differ(cutout, other, pixels)]
        except InputDataError as err:
            if on_bad_image == "error" and not isinstance(err, UnusableCutoutError):
                refusal = refusal or f"{err} (in input.cutout_dir; {SKIPPED})"
            log.warning("left out: %s", err)
            rows.append({"path": path, "status": "unusable", "reason": err})
            continue
        row = {"path": path, "status": "ok", "window": cutout.window, "wcs": cutout.wcs}
        if others:
            names = ", ".join(str(one.path) for one in others)
            log.warning("left out: %s: its pixels contradict those of %s", path, names)
            row |= {"status": "contradiction", "reason": f"its pixels contradict those of {names}"}
        else:
            good.append(cutout)
        rows.append(row)
    if not good:
        refusal = refusal or (
            f"{ccd_id}: none of its {counted(len(cutouts), 'cutout')} can be used, the first "
            f"because of {rows[0]['reason']}"
        )
    images = _images(good, ccd_id, _corrected_direction(good)) if good else []
    write_cutout_table(output, rows, ccd_id)
    write_ffi_table(
        ffi_table,
        images,
        ccd_id,
        refusal=refusal,
        wcs=wcs_text(fit_ccd_wcs(good)) if good else None,
        image_header=_image_header(good) if good else None,
        attributes=provenance({"input": {"on_bad_image": on_bad_image}}, [output]),
    )
    log.info(
        "%s: %d cutouts, %d of them used, of %d images", ccd_id, len(rows), len(good), len(images)
    )


class KeptPixels:
    """Pixels of cutouts, of which those that were read last are kept: neighbors come together."""

    def __init__(self) -> None:
        self._kept: dict[Path, NDArray] = {}

    def flux(self, cutout: Cutout) -> NDArray:
        """Sky included, over the window of the cutout; not to be changed."""
        flux = self._kept.pop(cutout.path, None)
        if flux is None:
            flux, _ = read_cutout_pixels(cutout.path)
        self._kept[cutout.path] = flux  # as the last one
        while len(self._kept) > 1 and sum(one.nbytes for one in self._kept.values()) > KEPT_BYTES:
            del self._kept[next(iter(self._kept))]
        return flux


def differ(one: Cutout, other: Cutout, pixels: KeptPixels) -> bool:
    """Return whether two cutouts have other pixels in the same images; NaN agrees with all."""
    common = one.window.intersect(other.window)
    if common is None:
        return False
    _, first, second = np.intersect1d(one.cadenceno, other.cadenceno, return_indices=True)
    first, second = (rows[one.cadenceno[first] != NO_CADENCE] for rows in (first, second))
    flux, other_flux = (
        pixels.flux(cutout)[(rows, *common.slices_in(cutout.window))]
        for cutout, rows in ((one, first), (other, second))
    )
    with np.errstate(invalid="ignore"):
        return bool(np.any(np.abs(flux - other_flux) > SAME_PIXEL * (1 + np.abs(flux))))


def _corrected_direction(cutouts: list[Cutout]) -> tuple[float, float]:
    """Direction that TIMECORR is for, the middle of the CCD, as far as cutouts know it."""
    column, row = (pixel - 1 for pixel in BTC_PIXEL)
    wcs = fit_ccd_wcs(cutouts, has_distortion=False)
    ra, dec = wcs.all_pix2world(column, row, 0)
    return float(ra), float(dec)


def _images(cutouts: list[Cutout], ccd_id: CcdId, direction: tuple[float, float]) -> list[dict]:
    """One row of ``ffis.ecsv`` for each image that any cutout has."""
    by_number: dict[int, dict] = {}
    for cutout in cutouts:
        length = _length(cutout)
        # Their PROCVER is that of the cutting, so that of releases 27 and 29 nothing is known.
        shifts = timestamp_shifts(cutout.header.get("DATA_REL"), None, ccd_id)
        shift_start, shift_stop = (shift / SECONDS_PER_DAY for shift in shifts)
        exposure_time = float(cutout.header.get("EXPOSURE", length * 0.792)) * SECONDS_PER_DAY
        for name, time, timecorr, number, quality in zip(
            cutout.name,
            cutout.time,
            cutout.timecorr,
            cutout.cadenceno,
            cutout.quality,
            strict=True,
        ):
            if number in by_number or not np.isfinite(time):
                continue
            by_number[int(number)] = {
                "path": str(name),
                "status": "ok",
                "time_start": time - 0.5 * length + shift_start,
                "time": time + 0.5 * (shift_start + shift_stop),
                "time_stop": time + 0.5 * length + shift_stop,
                "time_shift": 0.5 * sum(shifts),
                "timecorr": timecorr,
                "centre_ra": direction[0],
                "centre_dec": direction[1],
                "centre_error": CENTRE_ERROR,
                "exposure_time": exposure_time,
                "cadenceno": int(number),
                "quality": int(quality)
                | (int(CadenceFlag.MANUAL_EXCLUDE) if is_excluded(ccd_id, int(number)) else 0),
                "has_wcs": True,
            }
    rows = [by_number[number] for number in sorted(by_number)]
    times = np.array([row["time"] for row in rows])
    unflagged = np.array([row["quality"] == 0 for row in rows])
    distance = np.abs(times - 0.5 * (times[0] + times[-1])) + np.where(unflagged, 0, 1e6)
    rows[int(np.argmin(distance))]["is_reference"] = True
    return rows


def _image_header(cutouts: list[Cutout]) -> dict[str, Any]:
    """Keywords that all images share, with the error of their times."""
    error = max(cutout.time_error for cutout in cutouts)
    return plain_keywords(cutouts[0].header, KEYWORDS) | {TIME_ERROR: error}


def _length(cutout: Cutout) -> float:
    """From start to stop of an image [d]."""
    if "TIMEDEL" in cutout.header:
        return float(cutout.header["TIMEDEL"])
    times = cutout.time[np.isfinite(cutout.time)]
    return float(np.median(np.diff(times))) if len(times) > 1 else DEFAULT_LENGTH
