"""One star of a run: its light curve, pixels, PRF and neighbors; measured with any aperture."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import ConfigError, InputDataError
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.lightcurve import LightCurve
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.renamed_keys import with_new_names
from tessphot_lib.core.settings import METHODS, OutputSettings, PhotometrySettings
from tessphot_lib.io.products.lightcurve_fits import read_light_curve
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.prf_fits import read_prf
from tessphot_lib.io.products.todo_apertures import read_apertures
from tessphot_lib.io.products.todo_tables import ccd_of_row
from tessphot_lib.io.stars.catalog_sqlite import read_catalog_window
from tessphot_lib.photometry.left_background import subtract_as_in_run
from tessphot_lib.photometry.products import StarFrame
from tessphot_lib.prf.scene import scene_image
from tessphot_lib.steps.lightcurve import run_light_curve

if TYPE_CHECKING:
    import lightkurve

MARGIN = 3  # [pixels] around the aperture, in `Star.pixels`
BORDER = 6.0  # [pixels] around these within which neighbors count


@dataclass(frozen=True, repr=False)
class Pixels:
    """The pixels of a window in all images.

    Attributes
    ----------
    window : Window
        Science pixels; ``window.row0`` is the row of the first one, and so on.
    time : (n_images,) array
        Barycentric for the star [BTJD].
    flux, flux_err : (n_images, n_rows, n_columns) arrays
        Background subtracted [e-/s]; NaN where there is no pixel.
    quality : (n_images,) int array
        Flags of the images, see `tessphot_lib.core.flags.CadenceFlag`.
    is_good : (n_images,) bool array
        Images without flags that make them bad for all stars.
    """

    window: Window
    time: NDArray
    flux: NDArray
    flux_err: NDArray
    quality: NDArray
    is_good: NDArray

    def __repr__(self) -> str:
        """Say what it holds."""
        return (
            f"<Pixels: {counted(len(self.time), 'image')}, "
            f"rows {self.window.row0}-{self.window.row1 - 1}, "
            f"columns {self.window.column0}-{self.window.column1 - 1}>"
        )


@dataclass(frozen=True, repr=False)
class Measured:
    """A light curve from an aperture of one's own.

    Attributes
    ----------
    time : (n_images,) array
        [BTJD]
    flux, flux_err : (n_images,) arrays
        [e-/s]; NaN where a pixel of the aperture is missing.
    quality : (n_images,) int array
        Flags of the images, see `tessphot_lib.core.flags.CadenceFlag`.
    is_good : (n_images,) bool array
        Images without flags that make them bad for all stars.
    weights : (n_rows, n_columns) array
        Fraction of each pixel of ``window`` that is in the aperture.
    window : Window
    flfrcsap, crowdsap : float
        Fraction of the star's light in the aperture, and of the light in it that is the star's,
        by PRF and catalog.
    """

    time: NDArray
    flux: NDArray
    flux_err: NDArray
    quality: NDArray
    is_good: NDArray
    weights: NDArray
    window: Window
    flfrcsap: float
    crowdsap: float

    def __repr__(self) -> str:
        """Say what it is."""
        return (
            f"<Measured: {counted(len(self.time), 'image')}, {self.weights.sum():.2f} pixels, "
            f"FLFRCSAP {self.flfrcsap:.3f}, CROWDSAP {self.crowdsap:.3f}>"
        )


class Star:
    """One star on one CCD of a run, in images or target pixel files: see `tessphot_lib.Run.star`.

    Attributes
    ----------
    tic_id : int
    ccd_id : CcdId
    tmag, row, column : float
        Magnitude, and position on the CCD [science pixels].
    path : Path or None
        Its light curve; None where it has none.
    """

    def __init__(self, folder: Path, row: dict[str, Any], path: Path | None) -> None:
        self.folder, self.path = folder, path
        self.tic_id, self.tmag = int(row["tic_id"]), float(row["tmag"])
        self.ccd_id = ccd_of_row(row)
        self.row, self.column = float(row["row"]), float(row["column"])
        self._priority = int(row["ccd_priority"])
        self._files = CcdFiles.in_folder(folder)

    def __repr__(self) -> str:
        """Say who and where it is."""
        measured = "measured" if self.path else "no light curve"
        return (
            f"<Star TIC {self.tic_id}: Tmag {self.tmag:.2f}, {self.ccd_id}, row {self.row:.1f}, "
            f"column {self.column:.1f}, {measured}>"
        )

    def light_curve(self) -> LightCurve:
        """Read the light curve.

        Raises
        ------
        InputDataError
            If it has none.
        """
        return read_light_curve(self._light_curve_path())[0]

    def to_lightkurve(self, **options: Any) -> "lightkurve.LightCurve":
        """Read the light curve by lightkurve; ``options`` are those of ``lightkurve.read``."""
        try:
            import lightkurve
        except ImportError as error:
            raise ConfigError("the package lightkurve is needed: pip install lightkurve") from error
        return lightkurve.read(str(self._light_curve_path()), **options)

    @property
    def aperture(self) -> Aperture:
        """The aperture that was chosen: ``window``, and ``mask`` in it."""
        found = read_apertures(self._files.todo, [self._priority])
        if self._priority not in found:
            raise InputDataError(f"{self._files.todo}: TIC {self.tic_id} has no aperture")
        return found[self._priority]

    @property
    def window(self) -> Window:
        """The aperture's pixels with a margin, as far as there are pixels."""
        own = self.aperture.window
        with PixelCube(self._files.pixels) as cube:
            known = cube.window
        return Window(
            max(own.row0 - MARGIN, known.row0),
            min(own.row1 + MARGIN, known.row1),
            max(own.column0 - MARGIN, known.column0),
            min(own.column1 + MARGIN, known.column1),
        )

    def pixels(self, window: Window | None = None) -> Pixels:
        """Read pixels in all images, background subtracted.

        Parameters
        ----------
        window : Window, optional
            `Star.window` by default.

        Raises
        ------
        TypeError
            If it is no Window.
        ValueError
            If it leaves the pixels of the CCD.
        """
        window = self.window if window is None else window
        if not isinstance(window, Window):
            raise TypeError(
                "window must be a tessphot_lib.core.geometry.Window(row0, row1, column0, "
                f"column1), not {type(window).__name__}: {window!r}"
            )
        with PixelCube(self._files.pixels) as cube:
            if self.ccd_id.has_stamps:
                subtract_as_in_run(cube, window, self._files, self._photometry_settings())
            flux = cube.read("flux", window).astype(float) - cube.background_in(window)
            frame = StarFrame.of(cube, self._catalog_row())
            return Pixels(
                window=window,
                time=frame.time[0],
                flux=flux,
                flux_err=cube.read("flux_err", window).astype(float),
                quality=np.array(cube.quality),
                is_good=cube.is_good(),
            )

    def prf(self, window: Window | None = None) -> NDArray:
        """Return the PRF at the star, (n_rows, n_columns): the fraction of its light per pixel."""
        window = self.window if window is None else window
        position = np.array([self.row]), np.array([self.column])
        return scene_image(read_prf(self._files.prf), window, *position, np.ones(1))

    def neighbors(self, radius: float = BORDER) -> pd.DataFrame:
        """Return the other stars within ``radius`` [pixels] of `Star.window`, brightest first."""
        stars = self._stars_near(self.window, radius)
        stars = stars[stars["tic_id"] != self.tic_id]
        away = np.hypot(stars["row"] - self.row, stars["column"] - self.column)
        return stars.assign(distance=away).sort_values("tmag", ignore_index=True)

    def measure(self, aperture: Any = None, *, method: str | None = None) -> Any:
        """Measure the star again.

        Parameters
        ----------
        aperture : (n_rows, n_columns) array, float or photutils aperture, optional
            Pixels of `Star.window`, as a bool mask or as the fraction of each that counts; or
            the radius of a circle around the star [pixels]; or a photutils aperture such as
            ``CircularAperture((x, y), r)`` in pixels of `Star.window`. Circles are summed with
            exact overlap.
        method : str, optional
            A method of the run instead, such as ``linpsf``.

        Returns
        -------
        Measured or LightCurve
            By an aperture, or by a method.

        Raises
        ------
        ConfigError
            If neither or both are given, or the method is not known.
        ValueError
            If a mask has another shape than `Star.window`.
        """
        if (aperture is None) == (method is None):
            raise ConfigError("measure() needs either an aperture or a method")
        if method is not None:
            return self._by_method(method)
        pixels = self.pixels()
        weights = self._weights(aperture, pixels.window)
        used = weights > 0
        if not used.any():
            raise ValueError(f"the aperture has no pixel of {pixels.window.as_list()}")
        fraction = weights[used]
        stars = self._stars_near(pixels.window, BORDER)
        with PixelCube(self._files.pixels):
            model = read_prf(self._files.prf)
        flux = np.asarray(flux_of(stars["tmag"].to_numpy(), model.zeropoint))
        position = stars["row"].to_numpy(), stars["column"].to_numpy()
        known = float((scene_image(model, pixels.window, *position, flux)[used] * fraction).sum())
        captured = float((self.prf(pixels.window)[used] * fraction).sum())
        own = captured * float(flux_of(self.tmag, model.zeropoint))
        return Measured(
            time=pixels.time,
            flux=pixels.flux[:, used] @ fraction,
            flux_err=np.sqrt(pixels.flux_err[:, used] ** 2 @ fraction**2),
            quality=pixels.quality,
            is_good=pixels.is_good,
            weights=weights,
            window=pixels.window,
            flfrcsap=captured,
            crowdsap=own / known if known > 0 else np.nan,
        )

    def _weights(self, aperture: Any, window: Window) -> NDArray:
        """Fraction of each pixel of a window that is in an aperture."""
        if isinstance(aperture, int | float) and not isinstance(aperture, bool):
            from photutils.aperture import CircularAperture

            position = self.column - window.column0, self.row - window.row0
            aperture = CircularAperture(position, float(aperture))
        if hasattr(aperture, "to_mask"):
            image = aperture.to_mask(method="exact").to_image(window.shape)
            return np.zeros(window.shape) if image is None else image
        weights = np.asarray(aperture)
        if weights.shape != window.shape:
            raise ValueError(
                f"the aperture is {weights.shape}, Star.window has {window.shape} pixels"
            )
        return weights.astype(float)

    def _photometry_settings(self) -> PhotometrySettings:
        """Those of ``run.json``; the defaults if no run has come to its end."""
        record = self.folder.parent / "run.json"
        if not record.is_file():
            return PhotometrySettings()
        said = json.loads(record.read_text(encoding="utf-8"))["settings"]
        return PhotometrySettings.from_mapping(with_new_names(said, record.name)[0]["photometry"])

    def _by_method(self, method: str) -> LightCurve:
        if method not in ("auto", *METHODS):
            raise ConfigError(f"method: {method!r} is none of auto, {', '.join(METHODS)}")
        record = json.loads((self.folder.parent / "run.json").read_text())["settings"]
        with tempfile.TemporaryDirectory() as scratch:
            output = Path(scratch) / "star.fits"
            run_light_curve(
                self._files,
                self.ccd_id,
                output=output,
                tic_id=self.tic_id,
                settings=PhotometrySettings.from_mapping(record["photometry"]),
                output_settings=OutputSettings.from_mapping(record["output"]),
                method=method,
            )
            return read_light_curve(output)[0]

    def _light_curve_path(self) -> Path:
        if self.path is None:
            raise InputDataError(f"{self!r}: see Run.stars, column errors")
        return self.path

    def _stars_near(self, window: Window, border: float) -> pd.DataFrame:
        return read_catalog_window(
            self._files.catalog,
            window.row0 - border,
            window.row1 + border,
            window.column0 - border,
            window.column1 + border,
        )

    def _catalog_row(self) -> pd.DataFrame:
        near = self._stars_near(Window(), 2000.0)
        return near[near["tic_id"] == self.tic_id].reset_index(drop=True)
