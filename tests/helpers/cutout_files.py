"""Cutouts in TESScut's format: windows of full-frame images that the simulator made, or by hand."""

from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs.utils import fit_wcs_from_points

from tessphot_lib.core.wcs import ffi_wcs

FIRST_COLUMN = 44  # of the science pixels in the full image
KEYWORDS = ("DATA_REL", "CRMITEN", "CRBLKSZ", "CRSPOC", "PROCVER", "SIMDATA")
IMAGE_KEYWORDS = ("DEADC", "INT_TIME", "READTIME", "FRAMETIM", "NUM_FRM", "NREADOUT", "EXPOSURE")
IMAGE_KEYWORDS += tuple(f"{key}{output}" for key in ("GAIN", "READNOI") for output in "ABCD")


def read_images(paths, window):
    """Pixels and headers of full-frame images, as `write_cutout` takes them.

    ``window`` is [row0, row1, column0, column1] of science pixels, as much as is needed.
    """
    row0, row1, column0, column1 = window
    cut = slice(row0, row1), slice(column0 + FIRST_COLUMN, column1 + FIRST_COLUMN)
    images = {"window": window, "flux": [], "flux_err": [], "header": [], "name": []}
    for path in sorted(paths):
        with fits.open(path) as hdus:
            images["flux"].append(hdus[1].section[cut].astype(np.float32))
            images["flux_err"].append(hdus[2].section[cut].astype(np.float32))
            header = hdus[0].header.copy()
            header.update(hdus[1].header)
            images["header"].append(header)
        images["name"].append(path.name.removesuffix(".fits"))
    images["flux"], images["flux_err"] = np.array(images["flux"]), np.array(images["flux_err"])
    return images


def linear_wcs(header, window):
    """Linear WCS of a window, zero-based pixels of the cutout, from the header of an image."""
    row0, row1, column0, column1 = window
    rows, columns = np.meshgrid(
        np.linspace(row0, row1 - 1, 4), np.linspace(column0, column1 - 1, 4)
    )
    sky = ffi_wcs(header).all_pix2world(columns.ravel() + FIRST_COLUMN, rows.ravel(), 0)
    points = columns.ravel() - column0, rows.ravel() - row0
    return fit_wcs_from_points(points, SkyCoord(*sky, unit="deg"), projection="TAN")


def write_cutout(
    folder, images, window, *, rounded=False, numbered=True, use=slice(None), **change
):
    """Write the cutout of a window; returns its path.

    Parameters
    ----------
    images : dict
        From `read_images`.
    window : [row0, row1, column0, column1]
        Beyond the pixels of ``images`` it is padded, as by TESScut.
    rounded : bool
        Means of starts and stops rounded to float32, as in cutouts of 2019.
    numbered : bool
        CADENCENO filled, as in newer cutouts; else the header has the first one.
    use : slice
        Which images.
    change : keywords to set, or to remove (None); ``name`` sets the file's name, ``columns``
        maps names of columns to functions of their values (None removes the column).
    """
    images = images | {key: images[key][use] for key in ("flux", "flux_err", "header", "name")}
    name, columns = change.pop("name", None), _columns(images, window, rounded, numbered)
    for column, function in change.pop("columns", {}).items():
        form, values = columns.pop(column)
        if function is not None:
            columns[column] = form, function(np.array(values))
    headers = images["header"]
    middle = headers[len(headers) // 2]
    wcs = linear_wcs(next(one for one in [middle, *headers] if has_wcs(one)), window)
    centre = wcs.all_pix2world((window[3] - window[2] - 1) / 2, (window[1] - window[0] - 1) / 2, 0)
    primary = _primary_hdu(images, middle, *map(float, centre))
    table = _pixel_hdu(images, middle, window, columns)
    shape = window[1] - window[0], window[3] - window[2]
    aperture = fits.ImageHDU(np.ones(shape, dtype=np.int32), name="APERTURE")
    aperture.header.update(wcs.to_header())
    _change(primary.header, table.header, change)
    path = Path(folder) / (name or _name(images, middle, centre, shape))
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList([primary, table, aperture]).writeto(path, overwrite=True)
    return path


def _columns(images, window, rounded, numbered):
    """Columns of the pixel table: name to format, of one element, and values."""
    headers = images["header"]
    time = 0.5 * (_keywords(headers, "TSTART") + _keywords(headers, "TSTOP"))
    flux, flux_err = (
        _padded(images[key], images["window"], window) for key in ("flux", "flux_err")
    )
    return {
        "TIME": ("D", _rounded(headers) if rounded else time),
        "TIMECORR": ("E", _keywords(headers, "BARYCORR")),
        "CADENCENO": ("J", [header["FFIINDEX"] * numbered for header in headers]),
        "FLUX": ("E", flux),
        "FLUX_ERR": ("E", flux_err),
        "QUALITY": ("J", _keywords(headers, "DQUALITY")),
        "FFI_FILE": ("60A", images["name"]),
    }


def _rounded(headers):
    start, stop = (_keywords(headers, key).astype(np.float32) for key in ("TSTART", "TSTOP"))
    return 0.5 * (start.astype(np.float64) + stop)


def _keywords(headers, key):
    return np.array([header[key] for header in headers])


def _pixel_hdu(images, middle, window, columns):
    """The extension PIXELS, with the place of the window on the CCD."""
    table = fits.BinTableHDU.from_columns(
        [_fits_column(name, form, values) for name, (form, values) in columns.items()],
        name="PIXELS",
    )
    number = list(columns).index("FLUX") + 1 if "FLUX" in columns else 4
    table.header[f"1CRV{number}P"] = window[2] + FIRST_COLUMN + 1
    table.header[f"2CRV{number}P"] = window[0] + 1
    for key in IMAGE_KEYWORDS:
        if key in middle:
            table.header[key] = middle[key]
    names, headers = images["name"], images["header"]
    table.header["WCS_FFI"] = f"{names[len(names) // 2]}.fits"
    length = _keywords(headers, "TSTOP") - _keywords(headers, "TSTART")
    table.header["TIMEDEL"] = float(np.median(length))
    return table


def _fits_column(name, form, values):
    """A column of numbers, or of images."""
    if np.ndim(values) != 3:
        return fits.Column(name, form, array=values)
    _, n_rows, n_columns = np.shape(values)
    return fits.Column(
        name, f"{n_rows * n_columns}{form}", dim=f"({n_columns}, {n_rows})", array=values
    )


def _primary_hdu(images, middle, ra, dec):
    """What is known of all images, and of the middle of the window."""
    first, last = images["header"][0], images["header"][-1]
    primary = fits.PrimaryHDU()
    primary.header["CREATOR"] = "astrocut"
    primary.header["SECTOR"] = int(images["name"][0].split("-s")[1][:4])
    # At the telescope, as in the primary headers of full-frame images.
    primary.header["TSTART"] = first["TSTART"] - first["BARYCORR"]
    primary.header["TSTOP"] = last["TSTOP"] - last["BARYCORR"]
    primary.header["RA_OBJ"], primary.header["DEC_OBJ"] = ra, dec
    primary.header["FFIINDEX"] = first["FFIINDEX"]
    for key in ("CAMERA", "CCD", *KEYWORDS):
        if key in middle:
            primary.header[key] = middle[key]
    return primary


def _change(primary, table, change):
    """Set keywords, or remove them (None), in the header where they are."""
    for key, value in change.items():
        header = table if key in table else primary
        if value is None:
            header.remove(key)
        else:
            header[key] = value


def _name(images, middle, centre, shape):
    """The name that TESScut gives; its place is the middle of the window."""
    sector = images["name"][0].split("-s")[1][:4]
    return (
        f"tess-s{sector}-{middle['CAMERA']}-{middle['CCD']}_{float(centre[0]):.6f}_"
        f"{float(centre[1]):.6f}_{shape[1]}x{shape[0]}_astrocut.fits"
    )


def has_wcs(header):
    """Tell whether the simulator left the WCS of an image whole."""
    return "CRVAL1" in header and abs(header.get("CD1_1", 0.0)) < 0.01 and header["CRVAL1"] != 0


def blank_images(n_images, window, *, seconds=1800, ccd="14-3-4", level=150.0, noise=5.0, seed=0):
    """Images of sky alone, with headers, for cutouts that no simulator is needed for."""
    sector, camera, number = map(int, ccd.split("-"))
    rng = np.random.default_rng(seed)
    shape = n_images, window[1] - window[0], window[3] - window[2]
    wcs = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 280.0, "CRVAL2": 35.0}
    wcs |= {"CRPIX1": 1045.0, "CRPIX2": 1001.0, "CD1_1": -0.0058, "CD1_2": 0.0, "CD2_1": 0.0}
    wcs |= {"CD2_2": 0.0058, "CUNIT1": "deg", "CUNIT2": "deg"}
    headers, names = [], []
    for index in range(n_images):
        header = fits.Header(wcs | {"CAMERA": camera, "CCD": number, "FFIINDEX": 5000 + index})
        at_telescope = 1683.35 + index * seconds / 86400
        header["BARYCORR"] = 0.004 + 1e-7 * index
        header["TSTART"] = at_telescope + header["BARYCORR"]
        header["TSTOP"] = at_telescope + seconds / 86400 + header["BARYCORR"]
        header["DQUALITY"], header["EXPOSURE"] = 0, 0.792 * seconds / 86400
        headers.append(header)
        stamp = np.datetime64("2019-07-18T20:22:00") + np.timedelta64(index * seconds, "s")
        day = (stamp - np.datetime64("2018-12-31")).astype("timedelta64[D]").astype(int)
        clock = str(stamp)[11:].replace(":", "")
        names.append(f"tess2019{day:03d}{clock}-s{sector:04d}-{camera}-{number}-0150-s_ffic")
    flux = rng.normal(level, noise, shape).astype(np.float32)
    err = np.full(shape, noise, np.float32)
    return {"window": window, "flux": flux, "flux_err": err, "header": headers, "name": names}


def _padded(cube, known, window):
    """The pixels of a window; NaN where ``known`` does not reach."""
    shape = len(cube), window[1] - window[0], window[3] - window[2]
    result = np.full(shape, np.nan, dtype=np.float32)
    row0, row1 = max(window[0], known[0]), min(window[1], known[1])
    column0, column1 = max(window[2], known[2]), min(window[3], known[3])
    result[:, row0 - window[0] : row1 - window[0], column0 - window[2] : column1 - window[2]] = (
        cube[:, row0 - known[0] : row1 - known[0], column0 - known[2] : column1 - known[2]]
    )
    return result
