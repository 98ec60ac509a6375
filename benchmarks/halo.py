"""Halo photometry of each star of a simulated CCD against the truth and the photon noise.

python benchmarks/halo.py <folder of a CCD>

The floor is the scatter in one hour of the best weighted sum of the pixels that
the halo used, their own noise alone; what is left beside the true variation is
the scatter in one hour of what no factor times the true variation explains.
"""

import sys
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.quality import all_diagnostics, per_hour_of, rms_of_whole_hours
from tessphot_lib.core.geometry import Window
from tessphot_lib.io.products.lightcurve_fits import read_light_curve
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.todo_sqlite import read_todo
from tessphot_lib.simulation.scene import light_curve_truth
from tessphot_lib.simulation.stars import CONSTANT, VARIABILITY_NAMES
from tessphot_lib.simulation.truth_file import read_scene

MIN_VARIATION = 1e-4  # rms, for a slope against the truth


def floor_of(cube: PixelCube, box: Window, used: NDArray, per_hour: float) -> float:
    """Scatter in one hour of the best weighted sum of pixels [ppm]; ``used`` is of ``box``."""
    good = cube.is_good()
    light = cube.read("flux", box)[good][:, used] - cube.background_in(box)[good][:, used]
    noise = cube.read("flux_err", box)[good][:, used]
    ratio = np.nanmedian(light, axis=0) / np.nanmedian(noise, axis=0)
    return float(1e6 / np.sqrt(per_hour * np.sum(ratio**2)))


def main() -> None:
    """Print a line per star, the brightest first."""
    folder = Path(sys.argv[1])
    scene = read_scene(folder / "truth.hdf5")
    stars = read_todo(folder / "todo.sqlite").merge(
        all_diagnostics(folder), on="priority", suffixes=("", "_measured")
    )
    stars = stars[stars["lightcurve"].notna()].sort_values("tmag")
    per_hour = per_hour_of(scene)
    print("Tmag  star        floor   1 h [ppm]   1 h / floor   chi2   slope   variation [ppm]")
    with PixelCube(folder / "pixels.hdf5") as cube:
        for star in stars.itertuples():
            index = scene.star_index(star.tic_id)
            kind = int(scene.stars.variability[index])
            path = folder / star.lightcurve
            with fits.open(path) as hdus:
                if "WEIGHTMAP" not in hdus:
                    continue
                used = (hdus["WEIGHTMAP"].data > 0).any(axis=0)
            curve, stamp, _ = read_light_curve(path)
            time, flux, error = curve.time, curve.flux, curve.flux_err
            good = (curve.quality == 0) & np.isfinite(flux)
            images = np.searchsorted(scene.cadencenos, curve.cadenceno)[good]
            measured = flux[good] / np.median(flux[good]) - 1
            truth = np.zeros(len(measured))
            if kind != CONSTANT:
                truth = light_curve_truth(scene, star.tic_id)[images]
                truth = truth / np.median(truth) - 1
            slope, variation = np.nan, float(np.std(truth))
            rest = measured - np.mean(measured)
            if variation > MIN_VARIATION:
                away = truth - truth.mean()
                slope = float(away @ rest / (away @ away))
                rest = rest - slope * away
            scatter = 1e6 * rms_of_whole_hours(time[good], rest, per_hour)
            relative = error[good] / np.median(flux[good])
            chi2 = (1.4826 * np.median(np.abs(rest - np.median(rest)) / relative)) ** 2
            floor = floor_of(cube, stamp.window, used, per_hour)
            print(
                f"{star.tmag:4.2f}  {VARIABILITY_NAMES[kind]:10s} {floor:6.1f} {scatter:9.1f} "
                f"{scatter / floor:13.2f} {chi2:8.2f} {slope:8.4f} {1e6 * variation:10.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
