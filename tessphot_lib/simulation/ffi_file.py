"""Calibrated full-frame images as SPOC writes them.

Written here by bytes, not with the pipeline's own code: of an image of a
window only the window's pixels are written, the rest of the file is a hole of
zeros, which costs neither disk nor time.
"""

import math
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from tessphot_lib.core.constants import FFI_SHAPE, FIRST_SCIENCE_COLUMN
from tessphot_lib.core.geometry import Window
from tessphot_lib.simulation import detector, schedule
from tessphot_lib.simulation.orbit import barycentric_correction
from tessphot_lib.simulation.pointing import (
    INVERSE_TERMS,
    SIP_ORDER,
    SIP_SCALE,
    SIP_TERMS,
    TanSip,
    boresight,
)
from tessphot_lib.simulation.render import RenderedImage
from tessphot_lib.simulation.scene import Scene

BLOCK = 2880  # [bytes] FITS files come in these
DATA_RELEASE = 60  # beyond those whose time stamps need a correction
BTC_PIXEL = (1068.0, 1024.0)  # (column, row) for which the times are barycentric; 1-based
COARSE_POINT, MOMENTUM_DUMP = 4, 32  # quality bits
FIRST_COLUMN = 45, 557, 1069, 1581  # first science column of outputs A to D, 1-based


def write_ffi(path: Path, scene: Scene, index: int, image: RenderedImage) -> None:
    """Write one image; ``path`` appears complete or not at all.

    Pixels outside the scene's window are zero. In images of a whole CCD the
    collateral pixels hold read noise.
    """
    images = [image.flux, image.flux_err]
    headers = ffi_headers(scene, index)
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(partial, "wb") as file:
        file.write(_with_checksum(headers[0], 0))
        for header, pixels in zip(headers[1:], images, strict=True):
            _write_image(file, header, _placed(pixels, scene, index, header["IMAGTYPE"].strip()))
    partial.replace(path)


def ffi_headers(scene: Scene, index: int) -> list[fits.Header]:
    """Return the primary header and those of the image and of its uncertainty."""
    start = float(scene.starts[index])
    stop = start + scene.exposure_days
    x, y = BTC_PIXEL
    ra, dec = scene.wcs.to_sky(np.array([y - 1]), np.array([x - 1 - FIRST_SCIENCE_COLUMN]))
    correction = float(barycentric_correction(scene.middles[index], ra, dec)[0, 0])
    n_kept = round(detector.KEPT_FRAMES * scene.settings.cadence_seconds / detector.FRAME_TIME)
    primary = fits.Header(_primary_cards(scene, index, start, stop))
    cards = [
        *_exposure_cards(scene, start + correction, stop + correction, correction),
        *_detector_cards(),
        ("NREADOUT", n_kept, "number of read per cadence"),
        ("RADESYS", "ICRS", "reference frame of celestial coordinates"),
        ("EQUINOX", 2000.0, "equinox of celestial coordinate system"),
        *_wcs_cards(scene, index),
        *_physical_cards(),
        *_pointing_cards(scene),
        ("DQUALITY", header_quality(scene, index), "data quality flags"),
    ]
    return [primary, *(_image_header(scene, kind, cards) for kind in ("cal", "uncert"))]


def header_quality(scene: Scene, index: int) -> int:
    """Return DQUALITY: it tells of the dumps and of some of the coarse images only."""
    kind = scene.kind(index)
    if kind == "dump":
        return MOMENTUM_DUMP
    if kind == "coarse":
        rng = schedule.generator(scene.settings, scene.ccd_id, "flagged", index)
        return COARSE_POINT if rng.random() < scene.settings.coarse_flagged else 0
    return 0


def header_wcs(scene: Scene, index: int) -> TanSip:
    """Return the WCS of an image as the header tells it: moved, and off by ``wcs_error``."""
    motion = scene.motion(index)
    x, y = scene.wcs.crpix
    row, column = y - 1, x - 1 - FIRST_SCIENCE_COLUMN
    center = np.array([1.0, row - 1023.5, column - 1023.5])
    drow, dcolumn = motion @ center
    rng = schedule.generator(scene.settings, scene.ccd_id, "wcs", index, per_ccd=True)
    error = scene.settings.wcs_error * rng.standard_normal(2)
    # From (row, column) to (x, y).
    matrix = motion[::-1, :0:-1]
    return scene.wcs.moved(matrix, np.array([dcolumn, drow]) + error)


def has_failed_wcs(scene: Scene, index: int) -> bool:
    """Return whether the header's WCS is absurd or missing."""
    every = scene.settings.failed_wcs_every
    return schedule.is_chosen("failed_wcs", every, scene.ccd_id, index, scene.settings)


def _primary_cards(scene: Scene, index: int, start: float, stop: float) -> list[tuple]:
    return [
        ("SIMPLE", True, "conforms to FITS standards"),
        ("BITPIX", 8, "array data type"),
        ("NAXIS", 0, "number of array dimensions"),
        ("EXTEND", True, "file contains extensions"),
        ("NEXTEND", 2, "number of standard extensions"),
        ("EXTNAME", "PRIMARY", "name of extension"),
        ("EXTVER", 1, "extension version number (not format version)"),
        ("SIMDATA", True, "file is based on simulated data"),
        ("ORIGIN", "tessphot", "institution responsible for creating this file"),
        ("DATE", schedule.utc(stop).strftime("%Y-%m-%d"), "file creation date (simulated)"),
        ("TSTART", start, "observation start time in TJD"),
        ("TSTOP", stop, "observation stop time in TJD"),
        ("DATE-OBS", _date(start), "TSTART as UTC calendar date"),
        ("DATE-END", _date(stop), "TSTOP as UTC calendar date"),
        ("CREATOR", "tessphot simulation", "program used to produce this file"),
        ("PROCVER", "tessphot-simulation", "SW version"),
        ("FILEVER", "1.0", "file format version"),
        ("TIMVERSN", "OGIP/93-003", "OGIP memo number for file format"),
        ("TELESCOP", "TESS", "telescope"),
        ("INSTRUME", "TESS Photometer", "detector type"),
        ("DATA_REL", DATA_RELEASE, "data release version number"),
        ("ASTATE", True, "archive state, F: single orbit processing"),
        ("SCCONFIG", 0, "spacecraft configuration ID"),
        ("FFIINDEX", int(scene.cadencenos[index]), "number of FFI cadence interval"),
        ("RADESYS", "ICRS", "reference frame of celestial coordinates"),
        ("EQUINOX", 2000.0, "equinox of celestial coordinate system"),
        ("CRMITEN", True, "spacecraft cosmic ray mitigation enabled"),
        ("CRBLKSZ", 10, "[exposures] s/c cosmic ray block size"),
        ("CRSPOC", False, "SPOC cosmic ray cleaning enabled"),
    ]


def time_cards(start: float, stop: float, exposure: float, live: float) -> list[tuple]:
    """Cards on the times of images and target pixel files; all times in days, BTJD."""
    return [
        ("EXPOSURE", exposure, "[d] time on source"),
        ("TIMEREF", "SOLARSYSTEM", "barycentric correction applied to times"),
        ("TASSIGN", "SPACECRAFT", "where time is assigned"),
        ("TIMESYS", "TDB", "time system is Barycentric Dynamical Time (TDB)"),
        ("BJDREFI", 2457000, "integer part of BTJD reference date"),
        ("BJDREFF", 0.0, "fraction of the day in BTJD reference date"),
        ("TIMEUNIT", "d", "time unit for TIME, TSTART and TSTOP"),
        ("TELAPSE", stop - start, "[d] TSTOP - TSTART"),
        ("LIVETIME", live, "[d] TELAPSE multiplied by DEADC"),
        ("TSTART", start, "observation start time in BTJD"),
        ("TSTOP", stop, "observation stop time in BTJD"),
    ]


def _exposure_cards(scene: Scene, start: float, stop: float, correction: float) -> list[tuple]:
    n_frames = round(scene.settings.cadence_seconds / detector.FRAME_TIME)
    dead_time = detector.KEPT_FRAMES * detector.INT_TIME / detector.FRAME_TIME
    live = scene.exposure_days * dead_time
    return [
        *time_cards(start, stop, live, live),
        ("DATE-OBS", _date(start), "TSTART as UTC calendar date"),
        ("DATE-END", _date(stop), "TSTOP as UTC calendar date"),
        ("DEADC", dead_time, "deadtime correction"),
        ("TIMEPIXR", 0.5, "bin time beginning=0 middle=0.5 end=1"),
        ("TIERRELA", 1.16e-05, "[d] relative time error"),
        ("BTC_PIX1", BTC_PIXEL[0], "reference col for barycentric time correction"),
        ("BTC_PIX2", BTC_PIXEL[1], "reference row for barycentric time correction"),
        ("BUNIT", "electrons/s", "physical units of image data"),
        ("BARYCORR", correction, "[d] barycentric time correction"),
        ("INT_TIME", detector.INT_TIME, "[s] photon accumulation time per frame"),
        ("READTIME", detector.READ_TIME, "[s] readout time per frame"),
        ("FRAMETIM", detector.FRAME_TIME, "[s] frame time (INT_TIME + READTIME)"),
        ("NUM_FRM", n_frames, "number of frames per time stamp"),
        ("TIMEDEL", scene.exposure_days, "[d] time resolution of data"),
        ("BACKAPP", False, "background is subtracted"),
        ("DEADAPP", True, "deadtime applied"),
        ("VIGNAPP", True, "vignetting or collimator correction applied"),
    ]


def _detector_cards() -> list[tuple]:
    cards = [
        (f"GAIN{output}", gain, f"[electrons/count] CCD output {output} gain")
        for output, gain in zip("ABCD", detector.GAIN, strict=True)
    ]
    cards += [
        (f"READNOI{output}", noise, f"[electrons] read noise CCD output {output}")
        for output, noise in zip("ABCD", detector.READ_NOISE, strict=True)
    ]
    for number, output in enumerate("ABCD"):
        cards += [
            (f"LVCS{output}", 1 + 11 * number, f"serial register col start, output {output}"),
            (f"LVCE{output}", 11 + 11 * number, f"serial register col end, output {output}"),
            (f"TVCS{output}", 2093 + 11 * number, f"trailing virtual col start, output {output}"),
            (f"TVCE{output}", 2103 + 11 * number, f"trailing virtual col end, output {output}"),
            (f"SCCS{output}", FIRST_COLUMN[number], f"science col start, output {output}"),
            (f"SCCE{output}", FIRST_COLUMN[number] + 511, f"science col end, output {output}"),
            (f"SCICOLH{output}", output in "AC", "T science cols are read increasing order"),
        ]
    return [
        *cards,
        ("SCIROWS", 1, "science rows start"),
        ("SCIROWE", 2048, "science rows end (inclusive)"),
        ("VROWS", 2069, "virtual row start"),
        ("VROWE", 2078, "virtual row end (inclusive)"),
        ("SMROWS", 2059, "smear rows start"),
        ("SMROWE", 2068, "smear rows end (inclusive)"),
        ("BFROWS", 2049, "buffer rows start"),
        ("BFROWE", 2058, "buffer rows end (inclusive)"),
    ]


def _wcs_cards(scene: Scene, index: int) -> list[tuple]:
    wcs = header_wcs(scene, index)
    crval = wcs.crval
    if has_failed_wcs(scene, index):
        if index % 2:
            return []
        crval = np.array([(crval[0] + 123.0) % 360, -crval[1]])  # the fit went astray
    cards = [
        ("WCSAXES", 2, "number of WCS axes"),
        ("CTYPE1", "RA---TAN-SIP", "Gnomonic projection + SIP distortions"),
        ("CTYPE2", "DEC--TAN-SIP", "Gnomonic projection + SIP distortions"),
        ("CRVAL1", float(crval[0]), "RA at CRPIX1, CRPIX2"),
        ("CRVAL2", float(crval[1]), "DEC at CRPIX1, CRPIX2"),
        ("CRPIX1", float(wcs.crpix[0]), "X reference pixel"),
        ("CRPIX2", float(wcs.crpix[1]), "Y reference pixel"),
    ]
    cards += [
        (f"CD{i + 1}_{j + 1}", float(wcs.cd[i, j]), "Transformation matrix")
        for i in range(2)
        for j in range(2)
    ]
    x, y = np.meshgrid(np.linspace(0, 2047, 9), np.linspace(0, 2047, 9))
    terms = [
        ("A", SIP_TERMS, wcs.a, "distortion coefficient"),
        ("B", SIP_TERMS, wcs.b, "distortion coefficient"),
        *(
            (name, INVERSE_TERMS, values, "inv distortion coefficient")
            for name, values in zip(("AP", "BP"), wcs.inverse_terms(), strict=True)
        ),
    ]
    for name, powers, values, comment in terms:
        cards.append((f"{name}_ORDER", SIP_ORDER, "Polynomial order"))
        cards += [
            (f"{name}_{p}_{q}", float(value / SIP_SCALE ** (p + q)), comment)
            for (p, q), value in zip(powers, values, strict=True)
        ]
    for axis, (name, values) in enumerate((("A", wcs.a), ("B", wcs.b))):
        largest = float(np.abs(wcs.distortion(y.ravel(), x.ravel(), values)).max())
        cards.append((f"{name}_DMAX", largest, f"maximum distortion, axis {axis + 1}"))
    return cards


def _physical_cards() -> list[tuple]:
    return [
        ("WCSNAMEP", "PHYSICAL", "name of world coordinate system alternate P"),
        ("WCSAXESP", 2, "number of WCS physical axes"),
        ("CTYPE1P", "RAWX", "physical WCS axis 1 type CCD col"),
        ("CUNIT1P", "PIXEL", "physical WCS axis 1 unit"),
        ("CRPIX1P", 1, "reference CCD column"),
        ("CRVAL1P", 1, "value at reference CCD column"),
        ("CDELT1P", 1.0, "physical WCS axis 1 step"),
        ("CTYPE2P", "RAWY", "physical WCS axis 2 type CCD row"),
        ("CUNIT2P", "PIXEL", "physical WCS axis 2 units"),
        ("CRPIX2P", 1, "reference CCD row"),
        ("CRVAL2P", 1, "value at reference CCD row"),
        ("CDELT2P", 1.0, "physical WCS axis 2 step"),
    ]


def _pointing_cards(scene: Scene) -> list[tuple]:
    pointing = boresight(scene.ccd_id)
    return [
        ("RA_NOM", pointing.ra, "[deg] RA of camera boresight"),
        ("DEC_NOM", pointing.dec, "[deg] DEC of camera boresight"),
        ("ROLL_NOM", pointing.roll, "[deg] roll angle of camera"),
    ]


def _image_header(scene: Scene, kind: str, cards: list[tuple]) -> fits.Header:
    camera, ccd = scene.ccd_id.camera, scene.ccd_id.ccd
    n_rows, n_columns = FFI_SHAPE
    return fits.Header(
        [
            ("XTENSION", "IMAGE", "Image extension"),
            ("BITPIX", -32, "array data type"),
            ("NAXIS", 2, "number of array dimensions"),
            ("NAXIS1", n_columns),
            ("NAXIS2", n_rows),
            ("PCOUNT", 0, "number of parameters"),
            ("GCOUNT", 1, "number of groups"),
            ("INHERIT", True, "inherit the primary header"),
            ("EXTNAME", f"CAMERA.CCD {camera}.{ccd} {kind}", "name of extension"),
            ("EXTVER", 1, "extension version number (not format version)"),
            ("SIMDATA", True, "file is based on simulated data"),
            ("TELESCOP", "TESS", "telescope"),
            ("INSTRUME", "TESS Photometer", "detector type"),
            ("CAMERA", camera, "Camera number"),
            ("CCD", ccd, "CCD chip number"),
            *cards,
            ("IMAGTYPE", kind.ljust(8), "FFI image type: raw, cal, uncert"),
        ]
    )


def _date(btjd: float) -> str:
    return schedule.utc(btjd).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _placed(
    pixels: NDArray, scene: Scene, index: int, kind: str
) -> tuple[NDArray, tuple[int, int]]:
    """The rectangle of the file that is not zero, big-endian, and its first row and column."""
    window = scene.window
    if window != Window():
        return pixels.astype(">f4"), (window.row0, window.column0 + FIRST_SCIENCE_COLUMN)
    column = np.clip(np.arange(FFI_SHAPE[1]) - FIRST_SCIENCE_COLUMN, 0, 2047)
    sigma = detector.noise_sigma(np.zeros((1, 1)), column, scene.settings).astype(np.float32)
    if scene.kind(index) in ("zero", "nan"):
        full = np.full(FFI_SHAPE, pixels[0, 0], dtype=">f4")
    elif kind == "uncert":
        full = np.broadcast_to(sigma, FFI_SHAPE).astype(">f4")
    else:
        rng = schedule.generator(scene.settings, scene.ccd_id, "collateral", index, per_ccd=True)
        full = np.empty(FFI_SHAPE, dtype=">f4")
        full[2048:] = sigma * rng.standard_normal((30, FFI_SHAPE[1]), dtype=np.float32)
        for side in (slice(0, FIRST_SCIENCE_COLUMN), slice(FIRST_SCIENCE_COLUMN + 2048, None)):
            full[:2048, side] = sigma[:, side] * rng.standard_normal((2048, 44), dtype=np.float32)
    full[window.row0 : window.row1, FIRST_SCIENCE_COLUMN : FIRST_SCIENCE_COLUMN + 2048] = pixels
    return full, (0, 0)


def _write_image(file, header: fits.Header, placed: tuple[NDArray, tuple[int, int]]) -> None:
    """Append one image HDU; what lies around the rectangle becomes a hole in the file."""
    pixels, (row0, column0) = placed
    # Words of zero do not count in the sum, so that of the rectangle is that of the image.
    file.write(_with_checksum(header, int(pixels.view(">u4").sum(dtype=np.uint64))))
    start = file.tell()
    n_rows, n_columns = FFI_SHAPE
    if pixels.shape == FFI_SHAPE:
        pixels.tofile(file)
    elif pixels.any():
        for row, values in enumerate(pixels, start=row0):
            file.seek(start + 4 * (row * n_columns + column0))
            file.write(values.tobytes())
    end = start + math.ceil(4 * n_rows * n_columns / BLOCK) * BLOCK
    file.truncate(end)
    file.seek(end)


def _with_checksum(header: fits.Header, data_sum: int) -> bytes:
    """Return the header's bytes with DATASUM and CHECKSUM (FITS standard 4.0, appendix J)."""
    data_sum = _folded(data_sum)
    header["CHECKSUM"] = ("0" * 16, "HDU checksum")
    header["DATASUM"] = (str(data_sum), "data unit checksum")
    total = _folded(data_sum + _sum_of_words(header.tostring().encode()))
    header["CHECKSUM"] = (_encoded(total ^ 0xFFFFFFFF), "HDU checksum")
    return header.tostring().encode()


def _sum_of_words(data: bytes) -> int:
    return int(np.frombuffer(data, dtype=">u4").sum(dtype=np.uint64))


def _folded(total: int) -> int:
    """Ones' complement: what overflows 32 bits is added at the bottom."""
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _encoded(value: int) -> str:
    """Write 32 bits as 16 letters and digits."""
    columns = []
    for byte in value.to_bytes(4, "big"):
        quarter, remainder = divmod(byte, 4)
        parts = [quarter + remainder + 48, quarter + 48, quarter + 48, quarter + 48]
        for pair in ((0, 1), (2, 3)):
            while any(not chr(parts[i]).isalnum() for i in pair):
                parts[pair[0]] += 1
                parts[pair[1]] -= 1
        columns.append(parts)
    text = "".join(chr(columns[j][i]) for i in range(4) for j in range(4))
    return text[-1] + text[:-1]
