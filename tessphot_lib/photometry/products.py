"""What is made of a measured star: its light-curve file, and its row of the diagnostics."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy.io import fits
from numpy.typing import NDArray

from tessphot_lib.aperture.selection import aperture_flags, edge_flux
from tessphot_lib.catalog.star_mask import star_mask
from tessphot_lib.core.catalog_shift import CatalogShift
from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import MeasurementError
from tessphot_lib.core.flags import LightCurveFlag
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.lightcurve import Cards, LightCurve, Stamp, StarFluxes
from tessphot_lib.core.medians import median_of_known, medians_of_known
from tessphot_lib.core.noise_model import NoiseModel
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.core.settings import OutputSettings, PhotometrySettings
from tessphot_lib.core.star_warnings import NEGATIVE_FLUX, NO_ERRORS, NO_GOOD_CADENCE, NO_NUMBERS
from tessphot_lib.io.products.lightcurve_fits import light_curve_name, write_light_curve
from tessphot_lib.io.products.lightcurve_template import LightCurveTemplate, light_curve_template
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.todo_sqlite import Status
from tessphot_lib.lightcurves.correction import PPM, relative_flux
from tessphot_lib.lightcurves.metrics import CDPP_HOURS, cdpp, light_curve_diagnostics, savgol_cdpp
from tessphot_lib.photometry.average_positions import motion_of_stars
from tessphot_lib.photometry.choice import choice_cards, warnings_of
from tessphot_lib.photometry.corrections import Correction
from tessphot_lib.photometry.extra_apertures import ExtraFluxes
from tessphot_lib.photometry.failures import attempt
from tessphot_lib.photometry.left_background import (
    LeftBackground,
    left_background,
    left_background_of,
)
from tessphot_lib.photometry.methods import method_cards
from tessphot_lib.photometry.moving_objects import disturbed_points
from tessphot_lib.photometry.regions import tile_region
from tessphot_lib.photometry.targets import StarList
from tessphot_lib.quality.light_curve_flags import star_pixel_quality, star_quality
from tessphot_lib.times.barycenter import star_time_correction

DATA_REL_UNKNOWN = 0
CDPP_KEYWORDS = dict(zip(CDPP_HOURS, ("CDPP0_5", "CDPP1_0", "CDPP2_0", "CDPP6_0"), strict=True))
CDPP_KEYWORDS["cdpp_sg_6h"] = "CDPPSG6"


@dataclass(frozen=True)
class Products:
    """All that is needed to write the light curves of some stars.

    Attributes
    ----------
    cube : PixelCube
    targets : StarList
    fluxes : StarFluxes
        Of the targets, in their order.
    frame : StarFrame
    quality : (n_stars, n_cadences) int32 array
    correction : Correction
    template : LightCurveTemplate
    settings : PhotometrySettings
    extra : ExtraFluxes or None
        Their fluxes in further apertures, if any are asked for.
    subtracted : dict or None
        What of the background was subtracted after all, see `subtract_left_background`.
    sky_of : callable
        Sky pixels of a stamp.
    path_of : callable
        Path of a light curve from its standard name and the TIC number.
    """

    cube: PixelCube
    targets: StarList
    fluxes: StarFluxes
    frame: "StarFrame"
    quality: NDArray
    correction: Correction
    template: LightCurveTemplate
    settings: PhotometrySettings
    extra: ExtraFluxes | None
    subtracted: dict[int, LeftBackground] | None
    sky_of: Callable[[Window], NDArray]
    path_of: Callable[[str, int], Path]

    def write(self, index: int) -> dict[str, Any]:
        """Write the light curve of one star; return its diagnostics.

        Whatever fails ends up in ``errors``, with status 2.
        """
        star = self.targets.stars.iloc[index].to_dict()
        aperture, note = self.targets.apertures[index], self.fluxes.notes[index]
        height, width = aperture.window.shape
        row = {
            "priority": star["priority"],
            "tic_id": star["tic_id"],
            "lightcurve": None,
            "worker_wait_time": 0.0,
            "mask_size": int(aperture.mask.sum()),
            "stamp_height": height,
            "stamp_width": width,
            "stamp_resizes": 0,
        }
        failed = {"status": int(Status.ERROR), "method_used": "error"}
        if note.failure is not None:
            return row | failed | {"errors": note.failure}
        found, failure = attempt(star["tic_id"], lambda: self._write(index, star))
        if found is None:
            return row | failed | {"errors": failure}
        negative = NEGATIVE_FLUX if found["mean_flux"] <= 0 else None
        left = found.pop("background_left")
        listed = warnings_of(aperture, star["method"])
        warnings = [text for text in (listed, note.warning, negative, left) if text]
        return (
            row
            | found
            | {
                "status": int(Status.WARNING if warnings else Status.OK),
                "method_used": star["method"],
                "errors": " ".join(warnings) or None,
            }
        )

    def _write(self, index: int, star: Mapping[str, Any]) -> dict[str, Any]:
        """Write one light curve; return its diagnostics."""
        aperture, note = self.targets.apertures[index], self.fluxes.notes[index]
        light_curve, correction_cards = self.light_curve(index, star)
        good = light_curve.quality & int(LightCurveFlag.FLAGGED_BAD) == 0
        if not np.isfinite(light_curve.flux[good]).any():
            raise MeasurementError(NO_GOOD_CADENCE)
        average = self.cube.average_image(aperture.window)
        found = tasoc_numbers(light_curve, good)
        noise = cdpp(light_curve.time, light_curve.flux, good)
        noise["cdpp_sg_6h"] = savgol_cdpp(light_curve.time, light_curve.flux, good)
        found |= noise
        found["edge_flux"] = edge_flux(aperture, average)
        for axis in ("row", "column"):  # where the catalog has it, if there is no centroid
            centroid = median_of_known(getattr(light_curve, f"centroid_{axis}")[good])
            found[f"pos_{axis}"] = centroid if np.isfinite(centroid) else float(star[axis])
        left = self._left_background(aperture.window)
        path = self._path(star["tic_id"])
        write_light_curve(
            path,
            light_curve,
            Stamp(
                aperture.window,
                average,
                aperture_flags(aperture, average, self.sky_of(aperture.window)),
            ),
            star,
            template=self.template,
            method=star["method"],
            method_settings={
                **method_cards(star["method"], self.settings),
                **(choice_cards(self.settings) if aperture.is_automatic else {}),
                **note.header,
                **correction_cards,
                **(left.cards() if left is not None else {}),
                **{CDPP_KEYWORDS[key]: noise[key] for key in noise},
                **({} if self.extra is None else self.extra.cards(index)),
            },
            extra_images=note.images,
            extra_columns=() if self.extra is None else self.extra.columns(index),
        )
        found |= note.diagnostics
        if not np.isfinite(found.get("contamination", np.nan)):
            found["contamination"] = 1.0  # no light in the aperture is known to be the target's
        n_pixels = int(aperture.mask.sum())
        told = left.warning(n_pixels, found["mean_flux"]) if left is not None else None
        return found | {"lightcurve": path.name, "background_left": told}

    def _left_background(self, stamp: Window) -> LeftBackground | None:
        """What SPOC's background leaves at a star; None if it is that of this package."""
        if not self.cube.ccd_id.has_stamps:
            return None
        if self.subtracted is not None:
            return left_background_of(self.subtracted, self.cube, stamp)
        return left_background(self.cube, stamp, self.targets.neighbors, self.targets.prf)

    def light_curve(self, index: int, star: Mapping[str, Any]) -> tuple[LightCurve, dict[str, Any]]:
        """Light curve of one star, FLUX_CORR where its quality is 0, and cards about that."""
        cube, fluxes, frame = self.cube, self.fluxes, self.frame
        flux_corr, flux_corr_err, cards = self.correction.apply(
            star,
            frame.time[index],
            fluxes.flux[index],
            fluxes.flux_err[index],
            self.quality[index] == 0,
            (frame.moved_row[index], frame.moved_column[index]),
        )
        missing = ~np.isfinite(fluxes.flux[index])
        relative, relative_err = self._relative(index, flux_corr, flux_corr_err)
        whole_row, whole_column = cube.pointing.whole.T
        light_curve = LightCurve(
            tic_id=star["tic_id"],
            time=frame.time[index],
            timecorr=frame.timecorr[index],
            cadenceno=cube.cadenceno.astype(np.int32),
            flux=fluxes.flux[index],
            flux_err=np.where(missing, np.nan, fluxes.flux_err[index]),
            background=fluxes.background[index],
            flux_corr=flux_corr,
            flux_corr_err=flux_corr_err,
            flux_relative=relative,
            flux_relative_err=relative_err,
            quality=self.quality[index],
            pixel_quality=star_pixel_quality(
                cube.quality, fluxes.pixel_flags[index], self.quality[index]
            ),
            centroid_row=fluxes.centroid_row[index] + whole_row,
            centroid_column=fluxes.centroid_column[index] + whole_column,
            pos_corr_row=frame.pos_row[index],
            pos_corr_column=frame.pos_column[index],
        )
        return light_curve, cards

    def _relative(
        self, index: int, flux_corr: NDArray, flux_corr_err: NDArray
    ) -> tuple[NDArray, NDArray]:
        """FLUX_CORR, or the flux if no correction is asked for, with a median of one."""
        if self.correction.method == "none":
            flux_corr, flux_corr_err = relative_flux(
                self.fluxes.flux[index], self.fluxes.flux_err[index], self.quality[index] == 0
            )
        return 1 + flux_corr / PPM, flux_corr_err / PPM

    def _path(self, tic_id: int) -> Path:
        template = self.template
        name = light_curve_name(
            tic_id,
            template.ccd_id,
            template.cadence_seconds,
            template.data_rel,
            template.version,
        )
        return self.path_of(name, tic_id)


@dataclass(frozen=True)
class StarFrame:
    """Times and motions of all stars in all images, (n_stars, n_cadences) each.

    ``moved`` is the motion in the pixels as they are read, ``pos`` that on the detector.
    """

    time: NDArray
    timecorr: NDArray
    pos_row: NDArray
    pos_column: NDArray
    moved_row: NDArray
    moved_column: NDArray

    @classmethod
    def of(cls, cube: PixelCube, stars: pd.DataFrame) -> "StarFrame":
        """Compute them from the positions of the stars."""
        timecorr = star_time_correction(
            cube.observatory_position,
            stars["ra"].to_numpy(dtype=float),
            stars["dec"].to_numpy(dtype=float),
        )
        moved = [one.T for one in motion_of_stars(cube, stars)]
        pos = [one + whole for one, whole in zip(moved, cube.pointing.whole.T, strict=True)]
        return cls(cube.time - cube.timecorr + timecorr, timecorr, *pos, *moved)


def tasoc_numbers(light_curve: LightCurve, good: NDArray) -> dict[str, float]:
    """Numbers that TASOC's programs expect of each measured star; none of them is NaN.

    Raises
    ------
    MeasurementError
        If the good points do not give all of them.
    """
    found = light_curve_diagnostics(light_curve.time, light_curve.flux, light_curve.flux_err, good)
    unknown = [name for name, value in found.items() if not np.isfinite(value)]
    if unknown:
        good = good & np.isfinite(light_curve.flux)
        reason = NO_NUMBERS if (light_curve.flux_err[good] > 0).any() else NO_ERRORS
        numbers = counted(int(good.sum()), "good cadence"), found["mean_flux"], ", ".join(unknown)
        raise MeasurementError(reason.format(*numbers))
    return found


def make_template(
    cube: PixelCube,
    output_settings: OutputSettings,
    prf: Prf,
) -> LightCurveTemplate:
    """Prepare what the files of all stars of a CCD share."""
    image_header = json.loads(str(cube.attributes["image_header"]))
    return light_curve_template(
        cube.ccd_id,
        wcs=fits.Header.fromstring(str(cube.attributes["wcs"]), sep="\n"),
        image_header=image_header,
        cadence_seconds=float(cube.attributes["cadence_seconds"]),
        data_rel=int(image_header.get("DATA_REL", DATA_REL_UNKNOWN)),
        version=output_settings.version,
        origin=output_settings.origin,
        hlsp=output_settings.hlsp,
        tic_version=str(cube.attributes["ticver"]),
        simulated=bool(image_header.get("SIMDATA", False)),
        settings={
            "EPHEMSRC": str(cube.attributes["position_source"]),
            "TIMEERR": float(f"{cube.attributes['time_error']:.3g}"),
            "TIMESHFT": round(float(cube.attributes["time_shift"]), 4),
            "ZEROPNT": (round(prf.zeropoint, 4), "[mag] Tmag of a star of 1 e-/s"),
            "ZPERR": (round(prf.zeropoint_error, 4), "[mag] its 1-sigma error"),
            "ZPSTARS": (prf.zeropoint_stars, "stars it is measured from; 0: assumed"),
            **(error_cards(cube.noise) if cube.noise is not None else {}),
            **_catalog_cards(cube),
        },
    )


def _catalog_cards(cube: PixelCube) -> Cards:
    """By what the catalog was set right, if it was."""
    shift = CatalogShift.from_array(cube.attributes.get("catalog_shift", np.zeros(0)))
    if not shift.n_stars:
        return {}
    return {
        "CATDROW": (round(shift.d_row, 4), "[pixels] shift of the catalog, mid-CCD"),
        "CATDCOL": (round(shift.d_column, 4), "[pixels] shift of the catalog, mid-CCD"),
        "CATSTARS": (shift.n_stars, "stars that show it"),
    }


def error_cards(noise: NoiseModel) -> Cards:
    """Header cards of the errors of pixels; see `NoiseModel`."""
    faint, bright = (
        round(value, 3) if np.isfinite(value) else None for value in (noise.faint, noise.bright)
    )
    return {
        "ERRSRC": (noise.source, "of errors: images | pixels (scatter) | formula"),
        "ERRFAINT": (faint, "those of the images / scatter, sky pixels"),
        "ERRBRIGH": (bright, "those of the images / scatter, bright pixels"),
        "ERRBROKN": (round(noise.broken, 4), "fraction of them that is none, replaced"),
        "ERRMOTN": (round(1e3 * noise.motion, 3), "[mpix] unmeasured motion, in the errors"),
    }


def quality_of(cube: PixelCube, targets: StarList, fluxes: StarFluxes) -> NDArray:
    """QUALITY of all stars in all images, (n_stars, n_cadences) int32."""
    size = np.array([max(int(one.mask.sum()), 1) for one in targets.apertures], dtype=float)
    flags = json.loads(str(cube.attributes["settings"]))["flags"]
    quality = star_quality(
        cube.quality.astype(np.int32),
        fluxes.pixel_flags,
        fluxes.flux,
        fluxes.background / size.reshape(-1, 1),
        bad_quality=int(cube.attributes["bad_quality"]),
        straylight_factor=float(flags["straylight_factor"]),
        sky_error=_relative_sky_error(cube, targets, fluxes, size),
    )
    if len(targets.moving):
        disturbed = disturbed_points(
            targets.moving, targets.apertures, fluxes.flux_err, cube.cadenceno, targets.prf
        )
        quality[disturbed] |= int(LightCurveFlag.MOVING_OBJECT)
    return quality


def _relative_sky_error(
    cube: PixelCube, targets: StarList, fluxes: StarFluxes, size: NDArray
) -> NDArray | float:
    """Error of the fluxes on cutouts by their backgrounds, over the usual error of all of it."""
    if cube.grid.is_continuous:
        return 0.0
    good = cube.is_good()
    if not good.any():
        return 0.0
    at = (targets.stars[name].to_numpy(dtype=float) for name in ("row", "column"))
    error = cube.grid.error_at(cube.background_error, *at).T * size.reshape(-1, 1)
    usual = medians_of_known(fluxes.flux_err[:, good].T)
    return error / np.where(usual > 0, usual, np.nan)[:, None]


def sky_lookup(
    cube: PixelCube, neighbors: pd.DataFrame, tile: Window | None
) -> Callable[[Window], NDArray]:
    """Return a function that gives the sky pixels of a stamp, (n_rows, n_columns) bool."""
    scale = float(cube.attributes["mask_radius_scale"])
    stars = [neighbors[name].to_numpy(dtype=float) for name in ("row", "column", "tmag")]
    near = cube.grid.read_together(tile_region(tile, cube.window))

    @cache
    def sky_in(region: Window) -> NDArray:
        return ~star_mask(region, *stars, radius_scale=scale)

    def sky_of(stamp: Window) -> NDArray:
        for region in near:
            if region.intersect(stamp) == stamp:
                return sky_in(region)[stamp.slices_in(region)]
        return sky_in(stamp)

    return sky_of
