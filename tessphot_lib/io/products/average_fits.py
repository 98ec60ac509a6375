"""``average_image.fits``: mean image of a CCD, with its WCS and the number of images per pixel."""

from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from tessphot_lib.core.catalog_shift import CatalogShift
from tessphot_lib.core.constants import FIRST_SCIENCE_COLUMN
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.files.fits_provenance import note_provenance


def write_average_image(
    path: Path,
    average: NDArray,
    count: NDArray,
    window: Window,
    ccd_id: CcdId,
    *,
    wcs: str,
    is_averaged: NDArray,
    offset: NDArray,
    straps: NDArray,
    static_light: NDArray,
    attributes: dict[str, str],
    catalog_shift: NDArray | None = None,
) -> None:
    """Write the image.

    ``is_averaged`` (n_images,) bool tells which images it is the mean of.
    ``wcs`` is the text of the reference image's WCS in full-image pixels,
    ``offset`` what has to be subtracted from all backgrounds (its nodes; of
    any shape, empty for none), ``straps`` the response of the columns (empty: all alike),
    ``static_light`` what has to be added to all backgrounds in each pixel (empty: nothing),
    ``catalog_shift`` by what the catalog is off (array of a
    `tessphot_lib.preparation.catalog_check.CatalogShift`; None: nothing).
    """
    primary = fits.PrimaryHDU()
    for key, value, comment in (
        ("TELESCOP", "TESS", "telescope"),
        ("SECTOR", ccd_id.sector, "observing sector"),
        ("CAMERA", ccd_id.camera, "camera number (1-4)"),
        ("CCD", ccd_id.ccd, "CCD number (1-4)"),
        ("NIMAGES", int(is_averaged.sum()), "number of images averaged"),
    ):
        primary.header[key] = (value, comment)
    numbers = np.zeros(0) if catalog_shift is None else catalog_shift
    shift = CatalogShift.from_array(numbers)
    if shift.n_stars:
        for key, value in (("CATDROW", shift.d_row), ("CATDCOL", shift.d_column)):
            primary.header[key] = (round(value, 4), "[pixels] the catalog is off by, middle")
        primary.header["CATSTARS"] = (shift.n_stars, "stars that show it")
    note_provenance(primary.header, attributes)
    header = fits.Header.fromstring(wcs, sep="\n")
    if header.get("RADESYS") == "ICRS":  # which has no equinox
        header.remove("EQUINOX", ignore_missing=True)
    header["CRPIX1"] -= FIRST_SCIENCE_COLUMN + window.column0
    header["CRPIX2"] -= window.row0
    header["ROW0"] = (window.row0, "first science row of this image (zero-based)")
    header["COLUMN0"] = (window.column0, "first science column of this image")
    header["BUNIT"] = ("electron/s", "background-subtracted")
    image = fits.ImageHDU(average.astype(np.float32), header=header, name="AVERAGE")
    counts = fits.ImageHDU(count.astype(np.int32), header=header, name="COUNT")
    del counts.header["BUNIT"]
    with complete_file(path) as partial:
        more = [
            fits.ImageHDU(values, name=name)
            for name, values in (
                ("SKYOFFSET", offset),
                ("STRAPS", straps),
                ("STATICLIGHT", static_light.astype(np.float32)),
                ("CATALOGSHIFT", numbers),
                ("AVERAGED", is_averaged.astype(np.uint8)),
            )
        ]
        hdus = fits.HDUList([primary, image, counts, *more])
        hdus.writeto(partial, checksum=True, overwrite=True)


def read_average_image(path: Path) -> tuple[NDArray, NDArray, Window]:
    """Read the mean image [e-/s], the number of images per pixel, and the window they cover."""
    try:
        with fits.open(path, memmap=False) as hdus:
            header = hdus["AVERAGE"].header
            average = hdus["AVERAGE"].data.astype(np.float64)
            count = hdus["COUNT"].data.astype(np.int32)
    except (OSError, KeyError) as err:
        raise InputDataError(f"{path}: cannot be read: {err}") from err
    row0, column0 = header["ROW0"], header["COLUMN0"]
    window = Window(row0, row0 + average.shape[0], column0, column0 + average.shape[1])
    return average, count, window


def read_sky_offset(path: Path) -> NDArray:
    """Read what has to be subtracted from all backgrounds: nodes, empty for nothing."""
    return _read_array(path, "SKYOFFSET")


def read_straps(path: Path) -> NDArray:
    """Read the response of the columns to the background, empty where all are alike."""
    return _read_array(path, "STRAPS")


def read_static_light(path: Path) -> NDArray:
    """Read what has to be added to all backgrounds in each pixel, empty for nothing."""
    return _read_array(path, "STATICLIGHT")


def read_catalog_shift(path: Path) -> NDArray:
    """Read by what the catalog is off: array of a `CatalogShift`, empty for nothing."""
    return _read_array(path, "CATALOGSHIFT")


def read_averaged(path: Path) -> NDArray:
    """Read which of all images the average image is the mean of, (n_images,) bool."""
    return _read_array(path, "AVERAGED").astype(bool)


def _read_array(path: Path, name: str) -> NDArray:
    """Read an extension as float64; without data it is empty."""
    try:
        with fits.open(path, memmap=False) as hdus:
            data = hdus[name].data
    except (OSError, KeyError) as err:
        raise InputDataError(f"{path}: cannot be read: {err}") from err
    return np.zeros(0) if data is None else data.astype(np.float64)
