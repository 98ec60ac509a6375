"""Cutouts in TESScut's format: windows of full-frame images that the simulator made, or by hand."""

from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs.utils import fit_wcs_from_points

from tessphot_lib.io.ffi import ffi_wcs

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
        Times rounded to float32, as in cutouts of 2019.
    numbered : bool
        CADENCENO filled, as in newer cutouts; else the header has the first one.
    use : slice
        Which images.
    change : keywords to set, or to remove (None); ``name`` sets the file's name, ``columns``
        maps names of columns to functions of their values (None removes the column).
    """
    headers, names = images["header"][use], images["name"][use]
    flux, flux_err = (
        _padded(images[key][use], images["window"], window) for key in ("flux", "flux_err")
    )
    start, stop, correction = (
        np.array([header[key] for header in headers]) for key in ("TSTART", "TSTOP", "BARYCORR")
    )
    time = 0.5 * (start + stop)
    columns = {
        "TIME": ("D", time.astype(np.float32) if rounded else time),
        "TIMECORR": ("E", correction),
        "CADENCENO": ("J", [header["FFIINDEX"] * numbered for header in headers]),
        "FLUX": ("E", flux),
        "FLUX_ERR": ("E", flux_err),
        "QUALITY": ("J", [header["DQUALITY"] for header in headers]),
        "FFI_FILE": ("60A", names),
    }
    for name, function in change.pop("columns", {}).items():
        form, values = columns.pop(name)
        if function is not None:
            columns[name] = form, function(np.array(values))
    size = flux.shape[1] * flux.shape[2]
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column(
                name, f"{size}{form}", dim=f"({flux.shape[2]}, {flux.shape[1]})", array=values
            )
            if np.ndim(values) == 3
            else fits.Column(name, form, array=values)
            for name, (form, values) in columns.items()
        ],
        name="PIXELS",
    )
    number = list(columns).index("FLUX") + 1 if "FLUX" in columns else 4
    table.header[f"1CRV{number}P"] = window[2] + FIRST_COLUMN + 1
    table.header[f"2CRV{number}P"] = window[0] + 1
    middle = headers[len(headers) // 2]
    wcs = linear_wcs(next(one for one in [middle, *headers] if has_wcs(one)), window)
    centre = wcs.all_pix2world((window[3] - window[2] - 1) / 2, (window[1] - window[0] - 1) / 2, 0)
    primary = fits.PrimaryHDU()
    primary.header["CREATOR"] = "astrocut"
    primary.header["SECTOR"] = int(names[0].split("-s")[1][:4])
    # At the telescope, as in the primary headers of full-frame images.
    primary.header["TSTART"] = start[0] - correction[0]
    primary.header["TSTOP"] = stop[-1] - correction[-1]
    primary.header["RA_OBJ"], primary.header["DEC_OBJ"] = map(float, centre)
    primary.header["FFIINDEX"] = headers[0]["FFIINDEX"]
    for key in ("CAMERA", "CCD", *KEYWORDS):
        if key in middle:
            primary.header[key] = middle[key]
    for key in IMAGE_KEYWORDS:
        if key in middle:
            table.header[key] = middle[key]
    table.header["WCS_FFI"] = f"{names[len(names) // 2]}.fits"
    table.header["TIMEDEL"] = float(np.median(stop - start))
    aperture = fits.ImageHDU(np.ones(flux.shape[1:], dtype=np.int32), name="APERTURE")
    aperture.header.update(wcs.to_header())
    name = change.pop("name", None) or (
        f"tess-s{primary.header['SECTOR']:04d}-{middle['CAMERA']}-{middle['CCD']}_"
        f"{float(centre[0]):.6f}_{float(centre[1]):.6f}_{flux.shape[2]}x{flux.shape[1]}_astrocut.fits"
    )
    for key, value in change.items():
        hdu = table if key in table.header else primary
        if value is None:
            hdu.header.remove(key)
        else:
            hdu.header[key] = value
    folder.mkdir(parents=True, exist_ok=True)
    path = Path(folder) / name
    fits.HDUList([primary, table, aperture]).writeto(path, overwrite=True)
    return path


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
