"""Step: target pixel files of a CCD -> cutouts.ecsv and ffis.ecsv, a row per cadence there."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.affine import displacement
from tessphot_lib.core.clock import TIME_SHIFT, stamp_shift
from tessphot_lib.core.constants import REFERENCE_SPAN, SECONDS_PER_DAY
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.flags import CadenceFlag
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.provenance import provenance
from tessphot_lib.io.images.cutout_table import write_cutout_table
from tessphot_lib.io.images.ffi_table import plain_keywords, write_ffi_table
from tessphot_lib.io.images.refusal import SKIPPED
from tessphot_lib.io.images.tpf import TpfCadences, read_tpf_cadences
from tessphot_lib.io.images.tpf_files import star_in_name
from tessphot_lib.io.images.tpf_stamps import StampFile, read_stamp, some_times
from tessphot_lib.motion.stated_motion import StatedMotion
from tessphot_lib.preparation.ccd_wcs import fit_ccd_wcs, wcs_text
from tessphot_lib.preparation.stamp_checks import LATE, is_misplaced, is_off_the_clock
from tessphot_lib.quality.tpf_flags import common_quality

log = logging.getLogger(__name__)

SAMPLE = 10  # files, all over the CCD, whose times and quality bits are those of the CCD
OTHER_TIMES = "its cadences (CADENCENO) have other times than in most other files"
CENTRE_ERROR = 0.1  # [arcsec] of the direction that TIMECORR is for: the star's own
KEYWORDS = (
    *("DATA_REL", "SIMDATA", "PROCVER", "CRMITEN", "CRBLKSZ", "CRSPOC", "DEADC", "INT_TIME"),
    *("READTIME", "FRAMETIM", "NUM_FRM", "NREADOUT", TIME_SHIFT),
    *(f"{key}{output}" for key in ("GAIN", "READNOI") for output in "ABCD"),
)


def run_stamp_table(
    tpfs: Sequence[Path], output: Path, ffi_table: Path, ccd_id: CcdId, *, on_bad_image: str
) -> None:
    """List the target pixel files of a CCD and their cadences.

    Only headers are read, the times and bits of `SAMPLE` of the files, and a few times of the
    others. A bad file, one
    that contradicts most of the others, or a second one of a star, is left out and listed with
    the reason; unless such are to be skipped it is an error for those who read ``ffis.ecsv``,
    see `write_ffi_table`, so that other CCDs go on. So is it if no file is left, or none has times.

    Parameters
    ----------
    tpfs : sequence of Path
        Files; of a folder all target pixel files of this CCD and cadence that are in it.
    output, ffi_table : Path
        ``cutouts.ecsv``; ``ffis.ecsv`` with one row per cadence that has a time.
    ccd_id : CcdId
        With the cadence.
    on_bad_image : {'error', 'skip'}
    """
    paths = sorted(_files(tpfs), key=lambda path: (path.name, str(path)))
    problems: dict[Path, str] = {}
    stamps = _read_headers(paths, ccd_id, problems)
    read = _read_sample(stamps, ccd_id, problems)
    _compare_times(stamps, read, ccd_id, problems)
    stamps = [stamp for stamp in stamps if stamp.path not in problems]
    for problem in problems.values():
        log.warning("left out: %s", problem)
    images = _cadences(read, ccd_id)
    refusal = _told(list(problems.values()), output) if on_bad_image == "error" else None
    if not stamps:
        reason = f", the first because of {next(iter(problems.values()))}" if problems else ""
        refusal = refusal or (
            f"{ccd_id}: none of its {len(paths)} target pixel files can be used{reason}"
        )
    elif not images:
        refusal = refusal or f"{ccd_id}: none of its target pixel files has times"
    placed = _at_reference(stamps, read, images)
    rows = {
        path: {
            "path": path,
            "status": "unusable",
            "reason": problems.get(path),
            "tic_id": star_in_name(path.name),
        }
        for path in paths
    } | {stamp.path: _row(stamp) for stamp in placed}
    write_cutout_table(output, list(rows.values()), ccd_id)
    write_ffi_table(
        ffi_table,
        images,
        ccd_id,
        refusal=refusal,
        wcs=wcs_text(fit_ccd_wcs(placed)) if placed else None,
        image_header=plain_keywords(stamps[0].header, KEYWORDS) if stamps else None,
        attributes=provenance({"input": {"on_bad_image": on_bad_image}}, [output]),
    )
    log.info(
        "%s: %d target pixel files, %d of them used, of %d cadences; bits of %d files",
        *(ccd_id, len(paths), len(stamps), len(images), len(read)),
    )


def _read_headers(
    paths: Sequence[Path], ccd_id: CcdId, problems: dict[Path, str]
) -> list[StampFile]:
    """Read the headers of all files; what is wrong with a file is added to the problems."""
    good: dict[int, StampFile] = {}
    for path in paths:
        try:
            stamp = read_stamp(path, ccd_id)
        except InputDataError as err:
            problems[path] = str(err)
            continue
        other = good.setdefault(stamp.tic_id, stamp)
        if other is not stamp:
            problems[path] = (
                f"{path}: another file of TIC {stamp.tic_id} than {other.path}: keep one"
            )
    stamps = list(good.values())
    where = np.array([stamp.window.middle for stamp in stamps]).reshape(-1, 2)
    sky = np.array([_sky_of_middle(stamp) for stamp in stamps]).reshape(-1, 2)
    for index in np.flatnonzero(is_misplaced(*where.T, *sky.T)):
        path = stamps[index].path
        problems[path] = (
            f"{path}: its pixels (1CRV5P, 2CRV5P) and its WCS contradict those of most other "
            f"files of {ccd_id.of_images}: is it of another CCD?"
        )
    return [stamp for stamp in stamps if stamp.path not in problems]


def _sky_of_middle(stamp: StampFile) -> tuple[float, float]:
    """Right ascension and declination [deg] of the middle of a stamp by its own WCS."""
    row, column = stamp.window.middle
    at = column - stamp.window.column0, row - stamp.window.row0
    ra, dec = stamp.wcs.all_pix2world(*at, 0)
    return float(ra), float(dec)


def _told(problems: list[str], output: Path) -> str | None:
    """The first of some problems, and how many more there are; None for none."""
    if not problems:
        return None
    more = f"and {len(problems) - 1} more, see {output}; " if len(problems) > 1 else ""
    return f"{problems[0]} ({more}{SKIPPED})"


def _files(tpfs: Sequence[Path]) -> list[Path]:
    """The files, and those in the folders, among what is given."""
    return [
        file for path in tpfs for file in (path.glob("*tp.fits*") if path.is_dir() else (path,))
    ]


def _row(stamp: StampFile) -> dict[str, Any]:
    """What ``cutouts.ecsv`` has of a stamp."""
    return {
        "path": stamp.path,
        "status": "ok",
        "window": stamp.window,
        "wcs": stamp.wcs,
        "tic_id": stamp.tic_id,
        "target": (*stamp.target, float(max(stamp.window.shape))),
    }


def _read_sample(
    stamps: Sequence[StampFile], ccd_id: CcdId, problems: dict[Path, str]
) -> list[tuple[StampFile, TpfCadences]]:
    """Cadences of `SAMPLE` of the files that have times; what is wrong is added to the problems."""
    step = max(1, len(stamps) // SAMPLE)
    read: list[tuple[StampFile, TpfCadences]] = []
    for stamp in stamps[::step][:SAMPLE]:
        try:
            one = read_tpf_cadences(stamp.path, ccd_id.of_images, with_motion=True)
        except InputDataError as err:
            problems[stamp.path] = str(err)
            continue
        if np.isfinite(one.time - one.timecorr).sum() > 1:
            read.append((stamp, one))
    clocks = zip(*((one.cadenceno, one.time - one.timecorr) for _, one in read), strict=True)
    is_off = is_off_the_clock(*(clocks if read else ((), ())), cadence=ccd_id.cadence)
    for (stamp, _), off in zip(read, is_off, strict=True):
        if off:
            problems[stamp.path] = f"{stamp.path}: {OTHER_TIMES}"
    return [one for one in read if one[0].path not in problems]


def _compare_times(
    stamps: Sequence[StampFile],
    read: Sequence[tuple[StampFile, TpfCadences]],
    ccd_id: CcdId,
    problems: dict[Path, str],
) -> None:
    """Compare some times of the other files with those that were read; adds to the problems."""
    if not read:
        return
    number, time, timecorr = _clock([cadences for _, cadences in read])
    known = {stamp.path for stamp, _ in read} | set(problems)
    for stamp in stamps:
        if stamp.path in known:
            continue
        try:
            cadenceno, moment = some_times(stamp)
        except InputDataError as err:
            problems[stamp.path] = str(err)
            continue
        expected = np.interp(cadenceno, number, time - timecorr, left=np.nan, right=np.nan)
        off = (moment - expected)[np.isfinite(moment - expected)]
        if off.size and abs(np.median(off)) > LATE * ccd_id.cadence / SECONDS_PER_DAY:
            problems[stamp.path] = f"{stamp.path}: {OTHER_TIMES}"


def _at_reference(
    stamps: Sequence[StampFile], read: Sequence[tuple[StampFile, TpfCadences]], images: list[dict]
) -> list[StampFile]:
    """Stamps with the sky where it is in the reference image.

    POS_CORR is against the WCS of a file, which is that of no certain cadence: in sector 1 they
    are 0.1 to 0.4 pixels apart. Without POS_CORR they stay as they are.
    """
    reference = [one["time"] - one["timecorr"] for one in images if one.get("is_reference")]
    stated = StatedMotion(1)
    for stamp, cadences in read:
        when = cadences.time - cadences.timecorr
        with np.errstate(invalid="ignore"):
            near = np.abs(when - reference[0]) <= 0.5 * REFERENCE_SPAN
        moved = cadences.pos_corr_row[near], cadences.pos_corr_column[near]
        known = np.isfinite(moved[0]) & np.isfinite(moved[1])
        if known.any():
            offset = (np.array([one[known].mean()]) for one in moved)
            stated.add(*stamp.position(), np.zeros(1, dtype=int), *offset)
    motion = np.nan_to_num(stated.motion())
    found = []
    for stamp in stamps:
        d_row, d_column = displacement(motion, *np.array(stamp.position()).reshape(2, 1))
        found.append(stamp.moved(float(d_row[0, 0]), float(d_column[0, 0])))
    return found


def _cadences(read: Sequence[tuple[StampFile, TpfCadences]], ccd_id: CcdId) -> list[dict]:
    """One row of ``ffis.ecsv`` for each cadence with a time.

    Times are barycentric for the star of the first file.
    """
    if not read:
        return []
    first, cadences = read[0][0], [one for _, one in read]
    number, time, timecorr = _clock(cadences)
    quality = common_quality(
        number, [one.cadenceno for one in cadences], [one.quality for one in cadences]
    )
    shift = stamp_shift(first.header)
    half = 0.5 * ccd_id.cadence / SECONDS_PER_DAY
    rows = [
        {
            "path": f"cadence {number[index]}",
            "status": "ok",
            "time_start": time[index] - half,
            "time": time[index],
            "time_stop": time[index] + half,
            "time_shift": shift,
            "timecorr": timecorr[index],
            "centre_ra": first.target[0],
            "centre_dec": first.target[1],
            "centre_error": CENTRE_ERROR,
            "exposure_time": first.exposure_time,
            "cadenceno": int(number[index]),
            "quality": int(quality[index]),
            "has_wcs": True,
        }
        for index in range(len(number))
    ]
    bad = (quality & ~int(CadenceFlag.SCATTERED_LIGHT)) != 0
    distance = np.abs(time - 0.5 * (time[0] + time[-1])) + np.where(bad, 1e6, 0)
    rows[int(np.argmin(distance))]["is_reference"] = True
    return rows


def _clock(read: Sequence[TpfCadences]) -> tuple[NDArray, NDArray, NDArray]:
    """Numbers of all cadences that have a time, and that and its correction for the first star."""
    known = [np.isfinite(one.time - one.timecorr) for one in read]
    numbers = np.concatenate([one.cadenceno[use] for one, use in zip(read, known, strict=True)])
    moments = np.concatenate(
        [(one.time - one.timecorr)[use] for one, use in zip(read, known, strict=True)]
    )
    number, index = np.unique(numbers, return_index=True)  # the first file's where it has them
    moment = moments[index]
    correction = np.interp(number, read[0].cadenceno[known[0]], read[0].timecorr[known[0]])
    return number, moment + correction, correction
