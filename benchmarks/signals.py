"""How much of what stars do is in their light curves: variations, and the motion of the image.

python benchmarks/signals.py <folder of a CCD>
"""

import sys
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.quality import Row, all_diagnostics
from tessphot_lib.io.todo_sqlite import read_todo
from tessphot_lib.simulation.scene import light_curve_truth, motion_truth
from tessphot_lib.simulation.stars import VARIABILITY_NAMES
from tessphot_lib.simulation.truth_file import read_scene

CROWDING = ((0.0, 0.05), (0.05, 0.3), (0.3, 0.7))  # contamination, from and to
BRIGHT = 10.0  # [Tmag] whose centroids are looked at
MIN_SIGNAL = 5.0  # of the true variation over its error, for a star to count


def signals_quality(folder: Path) -> list[Row]:
    """Slope of the measured variation against the true one; centroids against the motion.

    FLUX_RAW is freed of other stars' light by CROWDSAP; FLUX_CORR as it is.
    """
    scene = read_scene(folder / "truth.hdf5")
    stars = read_todo(folder / "todo.sqlite").merge(
        all_diagnostics(folder), on="priority", suffixes=("", "_measured")
    )
    stars = stars[stars["lightcurve"].notna()]
    slopes: dict[tuple[str, str, int], list[float]] = {}
    residuals = []
    motion_at = motion_truth(scene)
    for star in stars.itertuples():
        index = scene.star_index(star.tic_id)
        kind = VARIABILITY_NAMES[scene.stars.variability[index]]
        if kind == "constant" and star.tmag > BRIGHT:
            continue
        data, header = _read(folder / star.lightcurve)
        good = (data["QUALITY"] == 0) & np.isfinite(data["FLUX_RAW"])
        images = np.searchsorted(scene.cadencenos, data["CADENCENO"])[good]
        if star.tmag < BRIGHT:
            moved = motion_at(scene.stars.row[[index]], scene.stars.column[[index]])
            residuals.append(_centroid_residual(data[good], moved, images))
        if kind == "constant":
            continue
        true = light_curve_truth(scene, star.tic_id)[images]
        level = next((n for n, (a, b) in enumerate(CROWDING) if a <= star.contamination < b), None)
        for column in ("FLUX_RAW", "FLUX_CORR"):
            slope = _slope(data[good], column, header.get("CROWDSAP", 1.0), true)
            if slope is not None and level is not None:
                slopes.setdefault((kind, column, level), []).append(slope)
    rows = [
        (
            f"{kind}, {column}, contamination {CROWDING[level][0]}-{CROWDING[level][1]}",
            float(np.median(values)),
            f"of the truth; half within {np.subtract(*np.quantile(values, [0.75, 0.25])) / 2:.3f}"
            f" ({len(values)} stars)",
        )
        for (kind, column, level), values in sorted(slopes.items())
        if len(values) >= 5
    ]
    if residuals:
        rms = 1e3 * float(np.median(residuals))
        rows.append((f"centroids against the motion, Tmag < {BRIGHT:g}", rms, "mpx rms"))
    return rows


def _read(path: Path) -> tuple[NDArray, fits.Header]:
    """Table and primary header of a light curve."""
    with fits.open(path) as hdus:
        return np.array(hdus["LIGHTCURVE"].data), hdus[0].header


def _slope(data: NDArray, column: str, crowdsap: float, true: NDArray) -> float | None:
    """Measured variation by the true one; None where the noise hides it."""
    if column == "FLUX_CORR":
        measured, error = 1e-6 * data[column], 1e-6 * data["FLUX_CORR_ERR"]
    else:
        flux = data[column].astype(float)
        own = flux - (1 - crowdsap) * np.median(flux)
        measured, error = own / np.median(own), data["FLUX_RAW_ERR"] / np.median(own)
    usable = np.isfinite(measured) & np.isfinite(error)
    if usable.sum() < 20:
        return None
    varying = true[usable] / np.median(true[usable]) - 1
    weight = 1 / error[usable] ** 2
    varying = varying - np.average(varying, weights=weight)
    power = np.sum(weight * varying**2)
    if not power > MIN_SIGNAL**2:
        return None
    return float(np.sum(weight * varying * measured[usable]) / power)


def _centroid_residual(data: NDArray, moved: tuple[NDArray, NDArray], images: NDArray) -> float:
    """Scatter of the centroid's motion about the true one, both axes [pixels]."""
    squares = []
    for name, axis in (("MOM_CENTR2", 0), ("MOM_CENTR1", 1)):
        difference = data[name] - moved[axis][images, 0]
        squares.append((1.4826 * np.nanmedian(np.abs(difference - np.nanmedian(difference)))) ** 2)
    return float(np.sqrt(np.mean(squares)))


def main() -> None:
    """Print the table for the folder of a CCD."""
    for what, value, unit in signals_quality(Path(sys.argv[1])):
        print(f"{what:58s} {value:10.4g}  {unit}", flush=True)


if __name__ == "__main__":
    main()
