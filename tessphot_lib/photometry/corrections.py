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

    def apply(
        self,
        star: Mapping[str, Any],
        time: NDArray,
        flux: NDArray,
        flux_err: NDArray,
        good: NDArray,
        position: tuple[NDArray, NDArray],
    ) -> tuple[NDArray, NDArray, dict[str, Any]]:
        """Correct one light curve, see `tessphot_lib.lightcurves.correction.correct_flux`.

        Returns
        -------
        flux_corr, flux_corr_err : (n_cadences,) float64 arrays
            [ppm]; NaN where not good, and everywhere if no correction is asked for.
        cards : dict
            Header cards that say what was done to this star.
        """
        if self.method == "none":
            unknown = np.full(len(flux), np.nan)
            return unknown, unknown.copy(), _cards("none", 0, np.nan, "not asked for")
        regressors = motion_regressors(*position)
        n_motion = regressors.values.shape[1]
        sets: tuple[int, ...] = (n_motion,)
        if self.trends.n_trends:
            place = float(star["row"]), float(star["column"]), int(star["tic_id"])
            regressors = regressors.joined(self.trends.regressors_at(*place))
            sets += (regressors.values.shape[1],)
        found = correct_flux(time, flux, flux_err, good, regressors, sets=sets)
        n_trends = max(len(found.coefficients) - n_motion, 0)
        method = "none" if found.reason else "trends" if n_trends else "motion"
        return found.flux, found.flux_err, _cards(method, n_trends, found.evidence, found.reason)


def _cards(method: str, n_trends: int, evidence: float, reason: str) -> dict[str, Any]:
    """What the header says of a correction; without the evidence where there is none."""
    cards = {"CORRMETH": method, "CORRNTR": n_trends}
    if np.isfinite(evidence):
        cards["CORREVID"] = round(float(evidence), 1)
    return cards | ({"CORRWHY": reason} if reason else {})
