"""Step: pixels and moving objects of a CCD -> light curves of the objects."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tessphot_lib.aperture.selection import aperture_flags
from tessphot_lib.core.flags import LightCurveFlag
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.identifiers import MAX_NUMBER, MOVING, identifier
from tessphot_lib.core.lightcurve import LightCurve, Stamp, StarFluxes
from tessphot_lib.core.magnitudes import magnitude_of
from tessphot_lib.core.provenance import provenance
from tessphot_lib.core.settings import OutputSettings
from tessphot_lib.core.wcs import ffi_wcs, pixel_to_sky
from tessphot_lib.io.files.atomic import complete_folder
from tessphot_lib.io.products.lightcurve_fits import light_curve_name, write_light_curve
from tessphot_lib.io.products.lightcurve_template import LightCurveTemplate
from tessphot_lib.io.products.moving_ecsv import read_moving
from tessphot_lib.io.products.moving_objects_ecsv import NAME, write_moving_objects
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.prf_fits import read_prf
from tessphot_lib.lightcurves.correction import PPM, relative_flux
from tessphot_lib.photometry.moving_light import (
    ObjectTrack,
    follow,
    middle_aperture,
    object_tracks,
)
from tessphot_lib.photometry.products import make_template
from tessphot_lib.quality.light_curve_flags import star_pixel_quality, star_quality
from tessphot_lib.times.barycenter import track_time_correction

log = logging.getLogger(__name__)


def run_moving_photometry(
    pixels: Path,
    prf: Path,
    moving: Path,
    output: Path,
    ccd_id: CcdId,
    *,
    output_settings: OutputSettings,
) -> None:
    """Measure moving objects along their tracks.

    Parameters
    ----------
    pixels, prf, moving : Path
        ``pixels.hdf5``, ``prf.fits``, ``moving.ecsv``.
    output : Path
        Folder for the light curves, and a table of the objects.
    output_settings : OutputSettings
        ``version``, ``origin`` and ``hlsp`` of them.
    """
    model, rows = read_prf(prf), []
    with PixelCube(pixels) as cube, complete_folder(output) as folder:
        template = make_template(cube, output_settings, model)
        for number, track in enumerate(object_tracks(cube, read_moving(moving)), start=1):
            if number > MAX_NUMBER or not (cube.grid.part_at(track.row, track.column) >= 0).any():
                continue
            star_id = identifier(MOVING, ccd_id, number)
            fluxes, captured = follow(cube, track, model)
            if not np.isfinite(fluxes.flux).any():
                continue
            name = light_curve_name(
                star_id, ccd_id, template.cadence_seconds, template.data_rel, template.version
            )
            light_curve, sky = _light_curve(cube, track, fluxes, star_id)
            flux = float(np.nanmedian(light_curve.flux)) / captured
            tmag = float(magnitude_of(flux, model.zeropoint)) if flux > 0 else np.nan
            _write(folder / name, cube, track, light_curve, sky, captured, tmag, template)
            rows.append(
                {
                    "number": star_id,
                    "object": track.name,
                    "source": track.source,
                    "lightcurve": name,
                    "n_points": int(np.isfinite(light_curve.flux).sum()),
                    "mean_flux": flux,
                    "tmag": tmag,
                    "speed": track.speed,
                }
            )
        made_by = provenance({"output": output_settings.as_mapping()}, [pixels, prf, moving])
        write_moving_objects(folder / NAME, pd.DataFrame(rows), ccd_id, made_by)
    log.info("%s: light curves of %d moving objects", ccd_id, len(rows))


def _light_curve(
    cube: PixelCube, track: ObjectTrack, fluxes: StarFluxes, star_id: int
) -> tuple[LightCurve, tuple[float, float]]:
    """Put the light curve together; and where the object is on average (ra, dec) [deg]."""
    wcs = ffi_wcs(str(cube.attributes["wcs"]))
    every = np.arange(cube.n_cadences)
    row, column = (np.interp(every, track.image, axis) for axis in (track.row, track.column))
    ra, dec = pixel_to_sky(wcs, row, column)
    # Times are those of where it is in each image.
    timecorr = track_time_correction(cube.observatory_position, ra, dec)
    area = np.pi * track.radius**2
    flags = json.loads(str(cube.attributes["settings"]))["flags"]
    quality = star_quality(
        cube.quality.astype(np.int32),
        fluxes.pixel_flags,
        fluxes.flux,
        fluxes.background / area,
        bad_quality=int(cube.attributes["bad_quality"]),
        straylight_factor=float(flags["straylight_factor"]),
    )[0]
    flux, flux_err = fluxes.flux[0], fluxes.flux_err[0]
    good = quality & int(LightCurveFlag.FLAGGED_BAD) == 0
    relative, relative_err = relative_flux(flux, flux_err, good)
    unknown = np.full(cube.n_cadences, np.nan)
    whole_row, whole_column = cube.pointing.whole.T
    on_detector = (
        fluxes.centroid_row[0] + whole_row,
        fluxes.centroid_column[0] + whole_column,
    )
    light_curve = LightCurve(
        tic_id=star_id,
        time=cube.time - cube.timecorr + timecorr,
        timecorr=timecorr,
        cadenceno=cube.cadenceno.astype(np.int32),
        flux=flux,
        flux_err=flux_err,
        background=fluxes.background[0],
        flux_corr=unknown,
        flux_corr_err=unknown,
        flux_relative=1 + relative / PPM,
        flux_relative_err=relative_err / PPM,
        quality=quality,
        pixel_quality=star_pixel_quality(cube.quality, fluxes.pixel_flags[0], quality),
        centroid_row=on_detector[0],
        centroid_column=on_detector[1],
        pos_corr_row=on_detector[0] - np.nanmean(on_detector[0]),
        pos_corr_column=on_detector[1] - np.nanmean(on_detector[1]),
    )
    middle = int(track.image[len(track.image) // 2])
    return light_curve, (float(ra[middle]), float(dec[middle]))


def _write(
    path: Path,
    cube: PixelCube,
    track: ObjectTrack,
    light_curve: LightCurve,
    sky: tuple[float, float],
    captured: float,
    tmag: float,
    template: LightCurveTemplate,
) -> None:
    """Write one light curve; stamp and position are those of the middle of the track."""
    aperture = middle_aperture(cube, track)
    average = cube.average_image(aperture.window)
    star: dict[str, Any] = dict.fromkeys(("pm_ra", "pm_dec", "teff"))
    write_light_curve(
        path,
        light_curve,
        Stamp(
            aperture.window,
            average,
            aperture_flags(aperture, average, np.zeros(average.shape, dtype=bool)),
        ),
        star | {"ra_j2000": sky[0], "dec_j2000": sky[1], "tmag": tmag},
        template=template,
        method="aperture",
        method_settings={
            "MOVNAME": (track.name, "name of the moving object"),
            "MOVSRC": (track.source, "its track: found in the images, or predicted"),
            "MOVSPEED": (round(track.speed, 3), "[pixels] from one image to the next"),
            "MOVRADIU": (round(track.radius, 3), "[pixels] radius of the aperture"),
            "CROWDSAP": (1.0, "the average image is taken off"),
            "FLFRCSAP": captured,
        },
    )
