"""Target pixel files as SPOC writes them, of a simulated star."""

from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from tessphot_lib.core.constants import FIRST_SCIENCE_COLUMN
from tessphot_lib.core.geometry import Window
from tessphot_lib.simulation import detector
from tessphot_lib.simulation.ffi_file import (
    DATA_RELEASE,
    MOMENTUM_DUMP,
    header_quality,
    time_cards,
)
from tessphot_lib.simulation.motion import displacement
from tessphot_lib.simulation.orbit import barycentric_correction
from tessphot_lib.simulation.pointing import to_tangent_plane, to_vectors
from tessphot_lib.simulation.scene import Scene
from tessphot_lib.simulation.schedule import utc
from tessphot_lib.simulation.stamps import StampLight, StampScene
from tessphot_lib.simulation.stars import positions_at_j2000

IMAGES = ("RAW_CNTS", "FLUX", "FLUX_ERR", "FLUX_BKG", "FLUX_BKG_ERR")
APERTURE_RADIUS = 1.8  # [pixels]
COLLECTED, IN_APERTURE, IN_CENTROID = 1, 2, 8
OUTPUT_BITS = (32, 64, 128, 256)
BACKGROUND_ERROR = 0.2  # [e-/s] stated in FLUX_BKG_ERR


def tpf_name(scene: StampScene, tic_id: int) -> str:
    """Return the file name of a star's pixels, as SPOC would name it."""
    stamp = utc(float(scene.starts[0])).strftime("%Y%j%H%M%S")
    kind = "s_tp" if scene.settings.cadence_seconds >= 120 else "a_fast-tp"
    return f"tess{stamp}-s{scene.ccd_id.sector:04d}-{tic_id:016d}-0000-{kind}.fits"


def write_tpf(path: Path, scene: StampScene, star: int, window: Window, light: StampLight) -> None:
    """Write the pixels of a star; ``path`` appears complete or not at all.

    ``star`` is its index in ``scene.stars``, ``window`` its stamp.
    """
    stars = scene.stars.select(np.array([star]))
    ra, dec = (float(one[0]) for one in scene.wcs.to_sky(stars.row, stars.column))
    primary = fits.PrimaryHDU(header=fits.Header(_primary_cards(scene, star)))
    pixels = _pixels(scene, star, window, light, (ra, dec))
    aperture = fits.ImageHDU(_aperture(scene, star, window), name="APERTURE")
    aperture.header.extend(_target_cards(scene, star, (ra, dec)))
    aperture.header.extend(_image_wcs(scene, star, window, (ra, dec)))
    cosmic_rays = fits.BinTableHDU.from_columns(
        [
            fits.Column("CADENCENO", "J"),
            fits.Column("RAWX", "I", unit="pixel"),
            fits.Column("RAWY", "I", unit="pixel"),
            fits.Column("COSMIC_RAY", "E", unit="e-/s"),
        ],
        name="TARGET COSMIC RAY",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    fits.HDUList([primary, pixels, aperture, cosmic_rays]).writeto(
        partial, overwrite=True, checksum=True
    )
    partial.replace(path)


def _pixels(
    scene: StampScene, star: int, window: Window, light: StampLight, at: tuple[float, float]
) -> fits.BinTableHDU:
    """The table of the cadences."""
    n_rows, n_columns = window.shape
    size, dim = f"{n_rows * n_columns}", f"({n_columns},{n_rows})"
    correction = barycentric_correction(scene.middles, *(np.array([one]) for one in at))[:, 0]
    correction = correction.astype(np.float32).astype(float)
    gain = np.array(detector.GAIN)[np.arange(window.column0, window.column1) // 512]
    collected = _n_kept(scene) * detector.INT_TIME
    counts = (light.flux + light.background) * collected / gain
    motions = np.stack([scene.motion(index) for index in range(scene.n_images)])
    moved = displacement(motions, scene.stars.row[[star]], scene.stars.column[[star]])
    images = {
        "RAW_CNTS": np.rint(counts).astype(np.int32),
        "FLUX": light.flux,
        "FLUX_ERR": light.flux_err,
        "FLUX_BKG": light.background,
        "FLUX_BKG_ERR": np.full_like(light.flux, BACKGROUND_ERROR),
    }
    columns = [
        fits.Column(
            "TIME", "D", unit="BJD - 2457000, days", disp="D14.7", array=scene.middles + correction
        ),
        fits.Column("TIMECORR", "E", unit="d", disp="E14.7", array=correction),
        fits.Column("CADENCENO", "J", disp="I10", array=scene.cadencenos),
        fits.Column(
            "RAW_CNTS",
            f"{size}J",
            unit="count",
            null=-1,
            disp="I8",
            dim=dim,
            array=images["RAW_CNTS"],
        ),
        *(
            fits.Column(name, f"{size}E", unit="e-/s", disp="E14.7", dim=dim, array=images[name])
            for name in IMAGES[1:]
        ),
        fits.Column("QUALITY", "J", disp="B16.16", array=stamp_quality(scene)),
        fits.Column("POS_CORR1", "E", unit="pixel", disp="E14.7", array=moved[1][:, 0]),
        fits.Column("POS_CORR2", "E", unit="pixel", disp="E14.7", array=moved[0][:, 0]),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="PIXELS")
    for number in range(4, 9):
        table.header.extend(_column_wcs(scene, star, window, at, number))
    table.header.extend(_target_cards(scene, star, at))
    table.header.extend(_exposure_cards(scene, correction))
    return table


def stamp_quality(scene: StampScene) -> NDArray:
    """Return QUALITY of all cadences: that of the images, and of dumps only their last cadence."""
    quality = np.zeros(scene.n_images, dtype=np.int32)
    for index in range(scene.n_images):
        if scene.kind(index) in ("dump", "coarse"):
            quality[index] = _flag(scene, index)
    return quality


def _flag(scene: StampScene, index: int) -> int:
    kind = scene.kind(index)
    return MOMENTUM_DUMP if kind == "dump" else header_quality(scene, scene.image_of(index))


def _aperture(scene: Scene, star: int, window: Window) -> NDArray:
    rows, columns = np.indices(window.shape)
    d_row = rows + window.row0 - scene.stars.row[star]
    d_column = columns + window.column0 - scene.stars.column[star]
    output = np.array(OUTPUT_BITS)[(columns + window.column0) // 512]
    near = np.hypot(d_row, d_column) < APERTURE_RADIUS
    return (COLLECTED | output | np.where(near, IN_APERTURE | IN_CENTROID, 0)).astype(np.int32)


def _linear_wcs(scene: Scene, star: int) -> tuple[NDArray, tuple[float, float]]:
    """CD matrix [deg per pixel], axes (RA, Dec) by (column, row), and the star's pixel."""
    row, column = float(scene.stars.row[star]), float(scene.stars.column[star])
    at_row = row + np.array([0.0, 0.0, 0.0, 0.5, -0.5])
    at_column = column + np.array([0.0, 0.5, -0.5, 0.0, 0.0])
    ra, dec = scene.wcs.to_sky(at_row, at_column)
    plane = np.rad2deg(to_tangent_plane(to_vectors(ra, dec), *np.deg2rad([ra[0], dec[0]])))
    return np.stack([plane[:, 1] - plane[:, 2], plane[:, 3] - plane[:, 4]], axis=1), (row, column)


def _column_wcs(
    scene: Scene, star: int, window: Window, at: tuple[float, float], number: int
) -> list[tuple]:
    """WCS keywords of a column of images."""
    matrix, (row, column) = _linear_wcs(scene, star)
    scale = np.hypot(*matrix[:, 0])
    pc = matrix / np.array([[-scale], [scale]])
    n = number
    return [
        (f"WCSN{n}P", "PHYSICAL", "table column WCS name"),
        (f"WCAX{n}P", 2, "table column physical WCS dimensions"),
        (f"1CTY{n}P", "RAWX", "table column physical WCS axis 1 type, CCD col"),
        (f"2CTY{n}P", "RAWY", "table column physical WCS axis 2 type, CCD row"),
        (f"1CUN{n}P", "PIXEL", "table column physical WCS axis 1 unit"),
        (f"2CUN{n}P", "PIXEL", "table column physical WCS axis 2 unit"),
        (f"1CRV{n}P", window.column0 + FIRST_SCIENCE_COLUMN + 1, "column of the first pixel"),
        (f"2CRV{n}P", window.row0 + 1, "row of the first pixel"),
        (f"1CDL{n}P", 1.0, "table column physical WCS a1 step"),
        (f"2CDL{n}P", 1.0, "table column physical WCS a2 step"),
        (f"1CRP{n}P", 1, "table column physical WCS a1 reference"),
        (f"2CRP{n}P", 1, "table column physical WCS a2 reference"),
        (f"WCAX{n}", 2, "number of WCS axes"),
        (f"1CTYP{n}", "RA---TAN", "right ascension coordinate type"),
        (f"2CTYP{n}", "DEC--TAN", "declination coordinate type"),
        (f"1CRPX{n}", column - window.column0 + 1, "[pixel] reference pixel along image axis 1"),
        (f"2CRPX{n}", row - window.row0 + 1, "[pixel] reference pixel along image axis 2"),
        (f"1CRVL{n}", at[0], "[deg] right ascension at reference pixel"),
        (f"2CRVL{n}", at[1], "[deg] declination at reference pixel"),
        (f"1CUNI{n}", "deg", "physical unit in column dimension"),
        (f"2CUNI{n}", "deg", "physical unit in row dimension"),
        (f"1CDLT{n}", -scale, "[deg] pixel scale in RA dimension"),
        (f"2CDLT{n}", scale, "[deg] pixel scale in DEC dimension"),
        *(
            (f"{i + 1}{j + 1}PC{n}", pc[i, j], "linear transformation matrix element")
            for i in range(2)
            for j in range(2)
        ),
    ]


def _image_wcs(scene: Scene, star: int, window: Window, at: tuple[float, float]) -> list[tuple]:
    """WCS keywords of the aperture image."""
    matrix, (row, column) = _linear_wcs(scene, star)
    scale = np.hypot(*matrix[:, 0])
    pc = matrix / np.array([[-scale], [scale]])
    return [
        ("WCSAXES", 2, "number of WCS axes"),
        ("CTYPE1", "RA---TAN", "right ascension coordinate type"),
        ("CTYPE2", "DEC--TAN", "declination coordinate type"),
        ("CRPIX1", column - window.column0 + 1, "[pixel] reference pixel along image axis 1"),
        ("CRPIX2", row - window.row0 + 1, "[pixel] reference pixel along image axis 2"),
        ("CRVAL1", at[0], "[deg] right ascension at reference pixel"),
        ("CRVAL2", at[1], "[deg] declination at reference pixel"),
        ("CUNIT1", "deg", "physical unit in column dimension"),
        ("CUNIT2", "deg", "physical unit in row dimension"),
        ("CDELT1", -scale, "[deg] pixel scale in RA dimension"),
        ("CDELT2", scale, "[deg] pixel scale in Dec dimension"),
        *(
            (f"PC{i + 1}_{j + 1}", pc[i, j], "linear transformation element")
            for i in range(2)
            for j in range(2)
        ),
        ("WCSNAMEP", "PHYSICAL", "name of world coordinate system alternate P"),
        ("WCSAXESP", 2, "number of WCS physical axes"),
        ("CTYPE1P", "RAWX", "physical WCS axis 1 type CCD col"),
        ("CUNIT1P", "PIXEL", "physical WCS axis 1 unit"),
        ("CRPIX1P", 1, "reference CCD column"),
        ("CRVAL1P", window.column0 + FIRST_SCIENCE_COLUMN + 1, "value at reference CCD column"),
        ("CDELT1P", 1.0, "physical WCS axis 1 step"),
        ("CTYPE2P", "RAWY", "physical WCS axis 2 type CCD row"),
        ("CUNIT2P", "PIXEL", "physical WCS axis 2 units"),
        ("CRPIX2P", 1, "reference CCD row"),
        ("CRVAL2P", window.row0 + 1, "value at reference CCD row"),
        ("CDELT2P", 1.0, "physical WCS axis 2 step"),
        ("NPIXSAP", int((_aperture(scene, star, window) & IN_APERTURE != 0).sum()), ""),
        ("NPIXMISS", 0, "Number of op. aperture pixels not collected"),
    ]


def _primary_cards(scene: StampScene, star: int) -> list[tuple]:
    stars = scene.stars.select(np.array([star]))
    ra, dec = (float(one[0]) for one in positions_at_j2000(stars, scene.wcs, scene.epoch))
    tic_id, teff = int(stars.tic_id[0]), float(stars.teff[0])
    start, stop = float(scene.starts[0]), float(scene.starts[-1]) + scene.exposure_days
    return [
        ("EXTNAME", "PRIMARY", "name of extension"),
        ("EXTVER", 1, "extension version number (not format version)"),
        ("SIMDATA", True, "file is based on simulated data"),
        ("ORIGIN", "tessphot", "institution responsible for creating this file"),
        ("DATE", utc(stop).strftime("%Y-%m-%d"), "file creation date (simulated)"),
        ("TSTART", start, "observation start time in TJD"),
        ("TSTOP", stop, "observation stop time in TJD"),
        ("CREATOR", "tessphot simulation TargetPixelExporterPipelineModule", ""),
        ("PROCVER", "tessphot-simulation", "SW version"),
        ("FILEVER", "1.0", "file format version"),
        ("TELESCOP", "TESS", "telescope"),
        ("INSTRUME", "TESS Photometer", "detector type"),
        ("DATA_REL", DATA_RELEASE, "data release version number"),
        ("OBJECT", f"TIC {tic_id}", "string version of target id"),
        ("TICID", tic_id, "unique tess target identifier"),
        ("SECTOR", scene.ccd_id.sector, "Observing sector"),
        ("CAMERA", scene.ccd_id.camera, "Camera number"),
        ("CCD", scene.ccd_id.ccd, "CCD chip number"),
        ("RADESYS", "ICRS", "reference frame of celestial coordinates"),
        ("RA_OBJ", ra, "[deg] right ascension"),
        ("DEC_OBJ", dec, "[deg] declination"),
        ("EQUINOX", 2000.0, "equinox of celestial coordinate system"),
        ("PMRA", float(stars.pm_ra[0]), "[mas/yr] RA proper motion"),
        ("PMDEC", float(stars.pm_dec[0]), "[mas/yr] Dec proper motion"),
        ("TESSMAG", float(stars.tmag[0]), "[mag] TESS magnitude"),
        ("TEFF", teff if np.isfinite(teff) else None, "[K] Effective temperature"),
        ("TICVER", 8, "TICVER"),
        ("CRMITEN", _drops_frames(scene), "spacecraft cosmic ray mitigation enabled"),
        ("CRBLKSZ", 10, "[exposures] s/c cosmic ray block size"),
        ("CRSPOC", not _drops_frames(scene), "SPOC cosmic ray cleaning enabled"),
    ]


def _target_cards(scene: StampScene, star: int, at: tuple[float, float]) -> list[tuple]:
    tic_id = int(scene.stars.tic_id[star])
    return [
        ("INHERIT", True, "inherit the primary header"),
        ("SIMDATA", True, "file is based on simulated data"),
        ("TELESCOP", "TESS", "telescope"),
        ("INSTRUME", "TESS Photometer", "detector type"),
        ("OBJECT", f"TIC {tic_id}", "string version of target id"),
        ("TICID", tic_id, "unique tess target identifier"),
        ("RADESYS", "ICRS", "reference frame of celestial coordinates"),
        ("RA_OBJ", at[0], "[deg] right ascension"),
        ("DEC_OBJ", at[1], "[deg] declination"),
        ("EQUINOX", 2000.0, "equinox of celestial coordinate system"),
    ]


def _exposure_cards(scene: StampScene, correction: NDArray) -> list[tuple]:
    half = 0.5 * scene.exposure_days
    times = scene.middles + correction
    start, stop = float(times[0] - half), float(times[-1] + half)
    dead_time = _n_kept(scene) * detector.INT_TIME / scene.settings.cadence_seconds
    exposed = scene.n_images * scene.exposure_days
    return [
        *time_cards(start, stop, dead_time * exposed, dead_time * (stop - start)),
        ("DEADC", dead_time, "deadtime correction"),
        ("TIMEPIXR", 0.5, "bin time beginning=0 middle=0.5 end=1"),
        ("INT_TIME", detector.INT_TIME, "[s] photon accumulation time per frame"),
        ("READTIME", detector.READ_TIME, "[s] readout time per frame"),
        ("FRAMETIM", detector.FRAME_TIME, "[s] frame time (INT_TIME + READTIME)"),
        ("NUM_FRM", _n_frames(scene), "number of frames per time stamp"),
        ("TIMEDEL", scene.exposure_days, "[d] time resolution of data"),
        ("BACKAPP", True, "background is subtracted"),
        ("DEADAPP", True, "deadtime applied"),
        ("VIGNAPP", True, "vignetting or collimator correction applied"),
        *((f"GAIN{o}", g, "[electrons/count]") for o, g in zip("ABCD", detector.GAIN, strict=True)),
        *(
            (f"READNOI{output}", noise, "[electrons] read noise")
            for output, noise in zip("ABCD", detector.READ_NOISE, strict=True)
        ),
        ("NREADOUT", _n_kept(scene), "number of read per cadence"),
    ]


def _n_frames(scene: Scene) -> int:
    return round(scene.settings.cadence_seconds / detector.FRAME_TIME)


def _drops_frames(scene: Scene) -> bool:
    """On board, against cosmic rays: only in exposures of 120 s and more."""
    return scene.settings.cadence_seconds >= 120


def _n_kept(scene: Scene) -> int:
    kept = detector.KEPT_FRAMES if _drops_frames(scene) else 1.0
    return round(kept * _n_frames(scene))
