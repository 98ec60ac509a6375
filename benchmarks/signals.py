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
from tessphot_lib.io.products.todo_sqlite import read_todo
from tessphot_lib.simulation.scene import Scene, light_curve_truth, motion_truth
from tessphot_lib.simulation.stars import VARIABILITY_NAMES
from tessphot_lib.simulation.truth_file import read_scene

CROWDING = ((0.0, 0.05), (0.05, 0.3), (0.3, 0.7))  # contamination, from and to
PAIRS = 1.5, 3.0  # [pixels] distance of a neighbor
EQUAL = 0.75  # [mag] that is about as bright
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
    slopes: dict[tuple[str, str, str], list[float]] = {}
    residuals, bias = [], []
    motion_at = motion_truth(scene)
    for star in stars.itertuples():
        index = scene.star_index(star.tic_id)
        kind = VARIABILITY_NAMES[scene.stars.variability[index]]
        paired = _has_equal_neighbor(scene, index)
        if kind == "constant" and star.tmag > BRIGHT and not paired:
            continue
        data, header = _read(folder / star.lightcurve)
        good = (data["QUALITY"] == 0) & np.isfinite(data["FLUX_RAW"])
        images = np.searchsorted(scene.cadencenos, data["CADENCENO"])[good]
        if star.tmag < BRIGHT:
            moved = motion_at(scene.stars.row[[index]], scene.stars.column[[index]])
            residuals.append(_centroid_residual(data[good], moved, images))
        if kind == "constant":
            if paired:
                bias.append(_bias(data[good], header, float(scene.stars.flux[index])))
            continue
        true = light_curve_truth(scene, star.tic_id)[images]
        groups = [
            f"contamination {low}-{high}"
            for low, high in CROWDING
            if low <= star.contamination < high
        ]
        groups += [f"equal neighbor at {PAIRS[0]:g}-{PAIRS[1]:g} px"] if paired else []
        for column in ("FLUX_RAW", "FLUX_CORR"):
            slope = _slope(data[good], column, header.get("CROWDSAP", 1.0), true)
            for group in groups if slope is not None else []:
                slopes.setdefault((kind, column, group), []).append(slope)
    rows = [
        (
            f"{kind}, {column}, {group}",
            float(np.median(values)),
            f"of the truth; half within {np.subtract(*np.quantile(values, [0.75, 0.25])) / 2:.3f}"
            f" ({len(values)} stars)",
        )
        for (kind, column, group), values in sorted(slopes.items())
        if len(values) >= 5
    ]
    if bias:
        worst = 100 * np.quantile(np.abs(bias), 0.9)
        note = f"%; 90 % within {worst:.1f} % ({len(bias)} stars)"
        rows.append(("flux bias with an equal neighbor", 100 * float(np.median(bias)), note))
    if residuals:
        rms = 1e3 * float(np.median(residuals))
        rows.append((f"centroids against the motion, Tmag < {BRIGHT:g}", rms, "mpx rms"))
    return rows


def _has_equal_neighbor(scene: Scene, index: int) -> bool:
    """Tell whether a star about as bright stands close by, and none of the kind nearer."""
    stars = scene.stars
    alike = np.abs(stars.tmag - stars.tmag[index]) < EQUAL
    distance = np.hypot(stars.row - stars.row[index], stars.column - stars.column[index])[alike]
    near = np.sort(distance[distance < PAIRS[1]])[1:]  # without itself
    return bool(near.size and near[0] >= PAIRS[0])


def _bias(data: NDArray, header: fits.Header, true_flux: float) -> float:
    """Error of the mean flux of the star itself, as a share of it."""
    median = float(np.median(data["FLUX_RAW"]))
    return median * header.get("CROWDSAP", 1.0) / header.get("FLFRCSAP", 1.0) / true_flux - 1


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
