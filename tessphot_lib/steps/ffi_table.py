"""Step: headers of the images of a CCD -> ffis.ecsv."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tessphot_lib.core.clock import image_times
from tessphot_lib.core.constants import SECONDS_PER_DAY
from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.flags import DEFAULT_BAD_CADENCE, CadenceFlag
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.manual_excludes import is_excluded
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.sphere import unit_vector
from tessphot_lib.core.wcs import corrected_direction, has_valid_wcs, pointing
from tessphot_lib.io.images.ffi import cadence_number, header_quality, read_ffi_header, release_of
from tessphot_lib.io.images.ffi_headers import read_headers
from tessphot_lib.io.images.ffi_table import write_ffi_table
from tessphot_lib.io.images.refusal import SKIPPED
from tessphot_lib.io.images.tpf import read_tpf_cadences
from tessphot_lib.quality.pointing_check import agrees_with_others
from tessphot_lib.quality.tpf_flags import (
    borrow_quality,
    is_covered,
    join_borrowed,
    spacecraft_time,
)

log = logging.getLogger(__name__)

MAX_STRAY = 1.0  # [deg] by which the WCS of an image may differ from those of the others


def run_ffi_table(
    images: list[Path],
    output: Path,
    ccd_id: CcdId,
    *,
    on_bad_image: str,
    window: Window | None = None,
    headers: Sequence[Path] = (),
    tpfs: Sequence[Path] = (),
) -> None:
    """List the images of a CCD in time order, with what does not belong together.

    What is wrong is an error for those who read the table, see `write_ffi_table`. The header
    with the CCD's WCS is kept in it: images may be deleted before the next step begins.

    Parameters
    ----------
    images : list of Path
        All candidates, duplicates included.
    output : Path
        ``ffis.ecsv``.
    on_bad_image : {'error', 'skip'}
        Whether an image that is unreadable, of another CCD or size, without a needed
        keyword or of the same time as another one is an error, or is left out
        and listed.
    window : Window, optional
        The pixels that the images must have.
    headers : sequence of Path
        ``ffi_headers.zip`` where the images are not here yet: their headers are
        taken from it.
    tpfs : sequence of Path
        Target pixel files of this CCD, whose quality the images get, too.
    """
    kept = {name: content for path in headers for name, content in read_headers(path).items()}
    rows = []
    for index, path in enumerate(sorted(images, key=lambda path: (path.name, str(path)))):
        rows.append(_describe(path, ccd_id, window, kept.get(path.name)))
        if (index + 1) % 500 == 0:
            log.info("%s: %d of %d headers read", ccd_id, index + 1, len(images))
    _mark_duplicates(rows)
    _mark_stray_wcs([row for row in rows if row.get("has_wcs")])
    good = [row for row in rows if row["status"] == "ok"]
    _tell_releases(good, ccd_id)
    problems = [row["reason"] for row in rows if row["status"] != "ok"]
    problems += _borrow_quality(good, tpfs, ccd_id)
    for problem in problems:
        log.warning("%s: %s", "left out" if on_bad_image == "skip" else "refused", problem)
    rows.sort(key=lambda row: (row.get("time", np.inf), row["path"]))
    reference = _mark_reference(good, ccd_id)
    cards = None
    if reference:
        header = read_ffi_header(reference, ccd_id, content=kept.get(reference.name))
        cards = header.tostring(sep="\n", endcard=False, padding=False)
    write_ffi_table(
        output,
        rows,
        ccd_id,
        wcs=cards,
        attributes=provenance({"input": {"on_bad_image": on_bad_image}}),
        refusal=_refusal(rows, good, problems if on_bad_image == "error" else [], output, ccd_id),
    )
    log.info("%s: %d images, %d of them not used", ccd_id, len(rows), len(rows) - len(good))


def _refusal(
    rows: list[dict], good: list[dict], problems: list[str], output: Path, ccd_id: CcdId
) -> str | None:
    """Return why the images cannot be used as they are, if that is so."""
    if problems:
        more = len(problems) - 1
        return f"{problems[0]} ({f'and {more} more, see {output}; ' if more else ''}{SKIPPED})"
    if not good:
        return (
            f"{ccd_id}: none of its {counted(len(rows), 'image')} can be used: {rows[0]['reason']}"
        )
    if not any(row["has_wcs"] for row in good):
        return (
            f"{ccd_id}: no image has a usable WCS (CRVAL1, CRPIX1, CD1_1, ...), "
            f"the first is {good[0]['path']}"
        )
    return None


def _describe(path: Path, ccd_id: CcdId, window: Window | None, content: bytes | None) -> dict:
    """Turn the header of one image into a row of the table."""
    try:
        header = read_ffi_header(path, ccd_id, content=content, window=window)
        times = image_times(header, ccd_id)
        centre_ra, centre_dec = corrected_direction(header)
        return {
            "path": str(path),
            "status": "ok",
            "time_start": times.start,
            "time": 0.5 * (times.start + times.stop),
            "time_stop": times.stop,
            "timecorr": times.timecorr,
            "time_shift": times.shift,
            "centre_ra": centre_ra,
            "centre_dec": centre_dec,
            "exposure_time": float(header["EXPOSURE"]) * SECONDS_PER_DAY,
            "cadenceno": (cadenceno := cadence_number(header, path)),
            "quality": header_quality(header) | _manual_bits(ccd_id, cadenceno),
            "has_wcs": has_valid_wcs(header),
            "pointing": pointing(header),
            "release": release_of(header),
        }
    except InputDataError as err:
        return {"path": str(path), "status": "unusable", "reason": str(err)}


def _manual_bits(ccd_id: CcdId, cadenceno: int) -> int:
    """Bit of an image that is known to be unusable."""
    return int(CadenceFlag.MANUAL_EXCLUDE) if is_excluded(ccd_id, cadenceno) else 0


def _mark_duplicates(rows: list[dict]) -> None:
    """Keep the newest or first of the images of one cadence, and mark the others."""
    kept: dict[int, dict] = {}
    for row in (row for row in rows if row["status"] == "ok"):
        other = kept.setdefault(row["cadenceno"], row)
        if other is row:
            continue
        is_newer = row["release"] > other["release"]
        worse, better = (other, row) if is_newer else (row, other)
        reason = f"{worse['path']}: the same time (cadence {row['cadenceno']}) as {better['path']}"
        if better["release"] > worse["release"]:
            reason += ", of a newer data release"
        worse.update(status="duplicate", reason=reason)
        kept[row["cadenceno"]] = better


def _tell_releases(good: list[dict], ccd_id: CcdId) -> None:
    """Warn where images of different calibrations come together."""
    counts = Counter(row["release"] for row in good)
    if len(counts) > 1:
        told = ", ".join(
            f"{release} ({counted(n, 'image')})" for release, n in sorted(counts.items())
        )
        log.warning("%s: images of several data releases, %s: calibrated apart", ccd_id, told)


def _mark_stray_wcs(with_wcs: list[dict]) -> None:
    """Take the WCS for failed where it points elsewhere than those of most images of the CCD."""
    if not with_wcs:
        return
    ra, dec = (np.array([row[f"centre_{axis}"] for row in with_wcs]) for axis in ("ra", "dec"))
    towards = unit_vector(ra, dec)
    typical = np.median(towards, axis=0)
    for row, direction in zip(with_wcs, towards, strict=True):
        if np.degrees(np.linalg.norm(direction - typical)) > MAX_STRAY:
            log.warning("%s: its WCS points elsewhere than those of the other images", row["path"])
            row["has_wcs"] = False
            row["quality"] |= int(CadenceFlag.NO_WCS)


def _borrow_quality(good: list[dict], tpfs: Sequence[Path], ccd_id: CcdId) -> list[str]:
    """Add the bits that the target pixel files have during an image; return which ones are bad.

    See `join_borrowed`.
    """
    start, stop = (
        np.array([row[name] - row["timecorr"] for row in good])
        for name in ("time_start", "time_stop")
    )
    by_file, covered, bad = [], [], []
    for path in tpfs:
        try:
            tpf = read_tpf_cadences(path, ccd_id)
        except InputDataError as err:
            bad.append(str(err))
            continue
        moment = spacecraft_time(tpf.time, tpf.timecorr, tpf.cadenceno)
        by_file.append(borrow_quality(start, stop, moment, tpf.quality))
        covered.append(is_covered(start, stop, moment))
    if not by_file:
        return bad
    borrowed = join_borrowed(np.array(by_file), np.array(covered))
    for row, bits in zip(good, borrowed, strict=True):
        row["quality"] |= int(bits)
    flagged = int((borrowed != 0).sum())
    log.info("%s: %d target pixel files flag %d images", ccd_id, len(by_file), flagged)
    return bad


def _mark_reference(good: list[dict], ccd_id: CcdId) -> Path | None:
    """Choose the image closest to the middle whose WCS can be trusted, if any: an unflagged one.

    It points where most images around it do: one wrong WCS must not place all stars.
    """
    with_wcs = [row for row in good if row["has_wcs"]]
    if not with_wcs:
        return None
    with_wcs.sort(key=lambda row: row["time"])
    agrees = agrees_with_others(np.array([row["pointing"] for row in with_wcs]))
    if not agrees.all():
        n_off = int((~agrees).sum())
        log.info("%s: the WCS of %d images differ from those around them", ccd_id, n_off)
    trusted = [row for row, agreed in zip(with_wcs, agrees, strict=True) if agreed]
    unflagged = [row for row in trusted if not row["quality"] & int(DEFAULT_BAD_CADENCE)]
    times = [row["time"] for row in good]
    middle = 0.5 * (min(times) + max(times))
    chosen = min(unflagged or trusted, key=lambda row: abs(row["time"] - middle))
    chosen["is_reference"] = True
    return Path(chosen["path"])
