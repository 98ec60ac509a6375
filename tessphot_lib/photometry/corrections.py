"""FLUX_CORR: which correction is asked for, and what it takes for one star."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.settings import PhotometrySettings
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.trends_hdf5 import read_trends
from tessphot_lib.lightcurves.correction import correct_flux, motion_regressors
from tessphot_lib.lightcurves.trends import Trends


@dataclass(frozen=True)
class Correction:
    """How light curves of a CCD are corrected.

    Attributes
    ----------
    method : str
        ``none``, ``motion`` or ``trends`` (which includes the motion).
    trends : Trends
        None of them unless the method is ``trends``.
    """

    method: str
    trends: Trends

    @classmethod
    def of(cls, cube: PixelCube, settings: PhotometrySettings, trends: Path | None) -> "Correction":
        """Prepare what the settings ask for.

        Raises
        ------
        InputDataError
            If trends are asked for, and there is no file of them.
        """
        method = settings.correction.method
        if method != "trends":
            return cls(method, Trends.none(cube.n_cadences, ""))
        if trends is None:
            raise InputDataError(f"{cube.path}: photometry.correction needs the file of the trends")
        arrays, remark = read_trends(trends, cube.cadenceno)
        return cls(method, Trends(**arrays, remark=remark))

    def cards(self) -> dict[str, Any]:
        """Header cards that say what was done."""
        used = "motion" if self.method == "trends" and not self.trends.n_trends else self.method
        return {"CORRMETH": used, "CORRNTR": self.trends.n_trends}

    def apply(
        self,
        star: Mapping[str, Any],
        time: NDArray,
        flux: NDArray,
        flux_err: NDArray,
        good: NDArray,
        position: tuple[NDArray, NDArray],
    ) -> tuple[NDArray, NDArray]:
        """Correct one light curve [ppm], see `tessphot_lib.lightcurves.correction.correct_flux`."""
        if self.method == "none":
            return np.full(len(flux), np.nan), np.full(len(flux), np.nan)
        regressors = motion_regressors(*position)
        if self.trends.n_trends:
            place = float(star["row"]), float(star["column"]), int(star["tic_id"])
            regressors = regressors.joined(self.trends.regressors_at(*place))
        corrected, error, _ = correct_flux(time, flux, flux_err, good, regressors)
        return corrected, error
