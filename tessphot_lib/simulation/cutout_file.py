"""Simulated images -> cutouts as TESScut makes them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from tessphot_lib.core.constants import FIRST_SCIENCE_COLUMN
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.wcs import ffi_wcs, pixel_to_sky

OF_ALL = ("CAMERA", "CCD", "DATA_REL", "CRMITEN", "CRBLKSZ", "CRSPOC", "SIMDATA")
OF_IMAGES = ("DEADC", "INT_TIME", "READTIME", "FRAMETIM", "NUM_FRM", "NREADOUT", "EXPOSURE")
OF_IMAGES += tuple(f"{key}{output}" for key in ("GAIN", "READNOI") for output in "ABCD")
GRID = 4  # points per axis that the linear WCS of a cutout is fitted to


@dataclass
class CutoutMaker:
    """Collects the pixels of a window, image by image.

    Attributes
    ----------
    ccd_id : CcdId
    window : Window
    """

    ccd_id: CcdId
    window: Window
    flux: list[NDArray] = field(default_factory=list)
    flux_err: list[NDArray] = field(default_factory=list)
    headers: list[fits.Header] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def add(self, path: Path) -> None:
        """Cut the window from a full-frame image."""
        window, first = self.window, FIRST_SCIENCE_COLUMN
        cut = (
            slice(window.row0, window.row1),
            slice(window.column0 + first, window.column1 + first),
        )
        with fits.open(path) as hdus:
            self.flux.append(np.array(hdus[1].section[cut], dtype=np.float32))
            self.flux_err.append(np.array(hdus[2].section[cut], dtype=np.float32))
            header = hdus[0].header.copy()
            header.update(hdus[1].header)
        self.headers.append(header)
        self.names.append(path.name.removesuffix(".fits"))

    def write(self, folder: Path) -> Path:
        """Write the cutout; returns its path, with the name that TESScut gives it."""
        n_rows, n_columns = self.window.shape
        middle = self.headers[len(self.headers) // 2]
        wcs = self._linear_wcs(middle)
        ra, dec = (
            float(value) for value in wcs.all_pix2world((n_columns - 1) / 2, (n_rows - 1) / 2, 0)
        )
        aperture = fits.ImageHDU(np.ones((n_rows, n_columns), dtype=np.int32), name="APERTURE")
        aperture.header.update(wcs.to_header())
        hdus = [self._primary(middle, ra, dec), self._table(middle), aperture]
        one = self.ccd_id
        position = f"{ra:.6f}_{dec:.6f}_{n_columns}x{n_rows}"
        path = folder / f"tess-s{one.sector:04d}-{one.camera}-{one.ccd}_{position}_astrocut.fits"
        fits.HDUList(hdus).writeto(path, overwrite=True)
        return path

    def _linear_wcs(self, header: fits.Header) -> object:
        """The WCS of an image on the window, without its distortion."""
        from astropy.coordinates import SkyCoord
        from astropy.wcs.utils import fit_wcs_from_points

        n_rows, n_columns = self.window.shape
        rows, columns = (
            axis.ravel()
            for axis in np.meshgrid(
                np.linspace(0, n_rows - 1, GRID), np.linspace(0, n_columns - 1, GRID)
            )
        )
        sky = pixel_to_sky(ffi_wcs(header), rows + self.window.row0, columns + self.window.column0)
        return fit_wcs_from_points((columns, rows), SkyCoord(*sky, unit="deg"), projection="TAN")

    def _primary(self, middle: fits.Header, ra: float, dec: float) -> fits.PrimaryHDU:
        first, last = self.headers[0], self.headers[-1]
        primary = fits.PrimaryHDU()
        primary.header["CREATOR"] = "astrocut"
        primary.header["SECTOR"] = self.ccd_id.sector
        primary.header["TSTART"] = first["TSTART"] - first["BARYCORR"]
        primary.header["TSTOP"] = last["TSTOP"] - last["BARYCORR"]
        primary.header["RA_OBJ"], primary.header["DEC_OBJ"] = ra, dec
        primary.header["FFIINDEX"] = first["FFIINDEX"]
        for key in OF_ALL:
            if key in middle:
                primary.header[key] = middle[key]
        return primary

    def _table(self, middle: fits.Header) -> fits.BinTableHDU:
        n_rows, n_columns = self.window.shape

        def of_images(key: str) -> NDArray:
            return np.array([header[key] for header in self.headers])

        def pixels(name: str, values: Sequence[NDArray]) -> fits.Column:
            form, dim = f"{n_rows * n_columns}E", f"({n_columns}, {n_rows})"
            return fits.Column(name, form, "e-/s", dim=dim, array=np.array(values))

        columns = [
            fits.Column("TIME", "D", array=0.5 * (of_images("TSTART") + of_images("TSTOP"))),
            fits.Column("TIMECORR", "E", array=of_images("BARYCORR")),
            fits.Column("CADENCENO", "J", array=of_images("FFIINDEX")),
            pixels("FLUX", self.flux),
            pixels("FLUX_ERR", self.flux_err),
            fits.Column("QUALITY", "J", array=of_images("DQUALITY")),
            fits.Column("FFI_FILE", "60A", array=np.array(self.names)),
        ]
        table = fits.BinTableHDU.from_columns(columns, name="PIXELS")
        table.header["1CRV4P"] = self.window.column0 + FIRST_SCIENCE_COLUMN + 1
        table.header["2CRV4P"] = self.window.row0 + 1
        for key in OF_IMAGES:
            if key in middle:
                table.header[key] = middle[key]
        table.header["WCS_FFI"] = f"{self.names[len(self.names) // 2]}.fits"
        table.header["TIMEDEL"] = float(np.median(of_images("TSTOP") - of_images("TSTART")))
        return table
