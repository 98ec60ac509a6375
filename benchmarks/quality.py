"""How close the products of a simulated CCD come to the truth.

Each function takes the folder of a CCD (``results/s0014-cam1-ccd1``) and
returns rows of a table: (what, value, unit).
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy import ndimage

from tessphot_lib.core.affine import displacement
from tessphot_lib.core.flags import CadenceFlag, PixelFlag
from tessphot_lib.core.mesh import evaluate_background
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.todo_sqlite import read_diagnostics, read_todo
from tessphot_lib.simulation.diffuse import scattered_level
from tessphot_lib.simulation.prf import form_of, prf_stamp
from tessphot_lib.simulation.render import star_image, uncatalogued_light
from tessphot_lib.simulation.scene import Scene, background_truth, motion_truth, noise_truth
from tessphot_lib.simulation.stars import CONSTANT
from tessphot_lib.simulation.truth_file import read_scene

Row = tuple[str, float, str]
TRUE_BAD = ("zero", "nan", "coarse", "dump")
CAMERA_CENTRE = {1: (2097, 2105), 2: (2099, -59), 3: (2097, 2105), 4: (2099, -59)}  # row, column
CONTRAST = 20.0  # [e-/s per pixel] of a reflection that should be found
BESIDE = 20  # [pixels] beside a reflection: "ring"
GLOW_RADIUS = 2400.0  # [pixels] from the camera centre
CONTAMINATED = 0.1  # stars with more light of others are counted apart
LOCAL = 64  # [pixels] over which the light of unknown stars counts as background
FLOOR_HALF = 7  # [pixels] half side of the stamp in which the perfect fit is made
HOUR = 1 / 24


def background_quality(folder: Path) -> list[Row]:
    """Background minus truth in the field and the corner, in good and in scattered-light images."""
    scene = read_scene(folder / "truth.hdf5")
    unknown = ndimage.uniform_filter(uncatalogued_light(scene), LOCAL, mode="nearest")
    corner = _corner(scene)
    plain = replace(scene, settings=replace(scene.settings, reflection_level=0.0))
    rows = []
    with PixelCube(folder / "pixels.hdf5") as cube:
        mesh = cube.grid
        groups: dict[str, list] = {"field": [], "corner": [], "ring": [], "scattered": []}
        reflection = []
        at_stars = []
        indices = _scene_indices(scene, cube)
        stars = scene.stars.select(scene.stars.known & (scene.stars.tmag < 13))
        inside = scene.window.contains(stars.row, stars.column)
        star_pixels = (
            np.round(stars.row[inside]).astype(int) - scene.window.row0,
            np.round(stars.column[inside]).astype(int) - scene.window.column0,
        )
        flagged_bright, flagged_dim = [], []
        for number, index in enumerate(indices):
            if scene.kind(index) in ("zero", "nan"):
                continue
            truth = background_truth(scene, index) + unknown
            model = evaluate_background(cube.background[number], mesh, cube.window)
            error = model - truth
            light = truth - unknown - background_truth(plain, index)
            if scene.kind(index) == "quiet" and (light > CONTRAST).any():
                flags = cube.read("pixel_flags", cadences=slice(number, number + 1))[0]
                found = (flags & int(PixelFlag.BACKGROUND_ANOMALY)) != 0
                reflection.append((found[light > CONTRAST].mean(), found[light < 1].mean()))
            near = ndimage.binary_dilation(light > 1, iterations=2)
            factor = scattered_level(scene.ccd_id, index, scene.settings) / scene.settings.sky_level
            straylight = bool(cube.quality[number] & int(CadenceFlag.STRAYLIGHT_MEASURED))
            (flagged_bright if factor > 10 else flagged_dim if factor < 3 else []).append(
                straylight
            )
            if factor > 3:
                scattered = scattered_level(scene.ccd_id, index, scene.settings)
                groups["scattered"].append(np.sqrt(np.mean(error[~near] ** 2)) / scattered)
            elif factor < 0.1:
                groups["field"].append(_median_rms(error[~corner & ~near]))
                if near.any():
                    beside = ndimage.binary_dilation(near, iterations=BESIDE) & ~near
                    groups["ring"].append(_median_rms(error[beside]))
                if corner.any():
                    groups["corner"].append(_median_rms(error[corner]))
                at_stars.append(error[star_pixels])
    for name in ("field", "corner", "ring"):
        if groups[name]:
            median, rms = np.median(np.array(groups[name]), axis=0)
            rows += [(f"background, {name}: median", median, "e-/s/px")]
            rows += [(f"background, {name}: rms", rms, "e-/s/px")]
    if groups["scattered"]:
        shares = 100 * np.array(groups["scattered"])
        rows.append(("background, scattered light 3-30 x sky: rms", np.median(shares), "% of it"))
        rows.append(("the same, worst image", shares.max(), f"%, of {len(shares)} images"))
    if flagged_bright:
        share = 100 * float(np.mean(flagged_bright))
        rows.append(("images with scattered light over 10 x sky, flagged", share, "%"))
    rows.append(("images below 3 x sky, flagged", 100 * float(np.mean(flagged_dim)), "%"))
    if reflection:
        found, false = np.median(np.array(reflection), axis=0)
        rows.append((f"pixels of a reflection over {CONTRAST:.0f} e-/s found", 100 * found, "%"))
        rows.append(("other pixels taken for it", float(false), ""))
    if len(at_stars) > 1:
        change = np.abs(np.diff(np.array(at_stars), axis=0))
        rows.append(("background at stars: change, MAD", float(np.median(change)), "e-/s/px"))
    return rows


def background_error_quality(folder: Path, *, n_points: int = 2000, seed: int = 1) -> list[Row]:
    """Errors of the background that are stated, against those found, away from reflections."""
    scene = read_scene(folder / "truth.hdf5")
    rng = np.random.default_rng(seed)
    window = scene.window
    row = rng.integers(window.row0, window.row1, n_points)
    column = rng.integers(window.column0, window.column1, n_points)
    at = row - window.row0, column - window.column0
    plain = replace(scene, settings=replace(scene.settings, reflection_level=0.0))
    with PixelCube(folder / "pixels.hdf5") as cube:
        mesh = cube.grid
        indices = _scene_indices(scene, cube)
        truth = np.array([background_truth(plain, index)[at] for index in indices])
        light = np.array([background_truth(scene, index)[at] for index in indices]) - truth
        found = mesh.evaluate_at(cube.background, row, column) - truth
        stated = mesh.error_at(cube.background_error, row, column)
    near = (light > 0.1).any(axis=0)
    found, stated = found[:, ~near], stated[:, ~near]
    levels = [scattered_level(scene.ccd_id, index, scene.settings) for index in indices]
    factor = np.array(levels) / scene.settings.sky_level
    usable = ~np.isin([scene.kind(index) for index in indices], ("zero", "nan"))
    constant = np.median(found[usable & (factor < 0.1)], axis=0)
    rows = [("background, constant part of the error: scatter", _robust(constant), "e-/s/px")]
    for name, low, high in (("quiet", 0.0, 0.1), ("3-30 x sky", 3.0, np.inf)):
        chosen = usable & (factor >= low) & (factor < high)
        if chosen.any():
            rest = found[chosen] - constant
            rms = float(np.sqrt(np.mean(rest**2)))
            rows.append((f"background, {name}: the rest, rms", rms, "e-/s/px"))
            rows.append((f"background, {name}: the rest, robust", _robust(rest), "e-/s/px"))
            rows.append((f"background, {name}: stated", float(np.median(stated[chosen])), ""))
    return rows


def motion_quality(folder: Path) -> list[Row]:
    """Error of the image motion at points all over the CCD."""
    scene = read_scene(folder / "truth.hdf5")
    window = scene.window
    row, column = (
        axis.ravel()
        for axis in np.meshgrid(
            np.linspace(window.row0, window.row1 - 1, 9),
            np.linspace(window.column0, window.column1 - 1, 9),
        )
    )
    true_row, true_column = motion_truth(scene)(row, column)
    with PixelCube(folder / "pixels.hdf5") as cube:
        indices = _scene_indices(scene, cube)
        found_row, found_column = displacement(cube.motion, row, column)
        reference = int(np.argmin(np.abs(cube.motion).sum(axis=1)))
    true_row = true_row[indices] - true_row[indices[reference]]
    true_column = true_column[indices] - true_column[indices[reference]]
    kinds = np.array([scene.kind(index) for index in indices])
    rows = []
    for name, chosen in (("good", ~np.isin(kinds, TRUE_BAD)), ("coarse", kinds == "coarse")):
        if not chosen.any():
            continue
        errors, truths = [], []
        for found, true in ((found_row, true_row), (found_column, true_column)):
            difference = (found - true)[chosen]
            # A constant offset is the error of the reference image, the same for all.
            offset = np.nanmedian((found - true)[~np.isin(kinds, TRUE_BAD)], axis=0)
            errors.append(difference - offset)
            truths.append(true[chosen] - np.nanmedian(true[chosen], axis=0))
        error, truth = np.concatenate(errors), np.concatenate(truths)
        rms = 1e3 * float(np.sqrt(np.nanmean(error**2)))
        rows.append((f"image motion, {name} images: rms error", rms, "mpx"))
        if name == "good":
            scale = float(np.nansum(truth * (truth + error)) / np.nansum(truth**2))
            rows.append(("image motion: scale", scale, "found/true"))
    return rows


def photometry_quality(folder: Path, *, per_bin: int = 400, seed: int = 1) -> list[Row]:
    """Bias, scatter over the floor and chi2 of constant stars, by magnitude.

    Fluxes are freed of other stars' light by CROWDSAP; the bias is that of the
    whole light by CROWDSAP and FLFRCSAP. Medians, with their bootstrap errors.
    """
    scene = read_scene(folder / "truth.hdf5")
    todo, diagnostics = folder / "todo.sqlite", all_diagnostics(folder)
    stars = read_todo(todo).merge(diagnostics, on="priority", suffixes=("", "_measured"))
    stars = stars[stars["lightcurve"].notna()]
    sky = background_truth(scene, _quiet_index(scene)) + star_image(scene, scene.stars)
    sigma = noise_truth(scene, sky)
    levels = [scattered_level(scene.ccd_id, i, scene.settings) for i in range(scene.n_images)]
    quiet = np.array(levels) < 0.1 * scene.settings.sky_level
    rng = np.random.default_rng(seed)
    rows = []
    alone = stars["contamination"] <= CONTAMINATED
    for tmag in range(2, 17):
        inside = (stars["tmag"] >= tmag - 0.5) & (stars["tmag"] < tmag + 0.5)
        for name, near in (
            (f"Tmag {tmag}", stars[inside & alone]),
            (f"Tmag {tmag}, in others' light", stars[inside & ~alone]),
        ):
            if len(near) > per_bin:
                near = near.iloc[np.sort(rng.choice(len(near), per_bin, replace=False))]
            found = [measure_star(scene, folder, star, sigma, quiet) for star in near.itertuples()]
            found = [star for star in found if star is not None]
            if len(found) >= 5:
                values = {key: np.array([star[key] for star in found]) for key in found[0]}
                rows += _rows_of_bin(name, values, rng)
    return rows


def _rows_of_bin(bin_name: str, values: dict[str, NDArray], rng: np.random.Generator) -> list[Row]:
    """What is told of the stars of a magnitude."""
    n_stars = len(values["bias"])
    rows = [(f"{bin_name}: share of the flux in the aperture", np.median(values["held"]), "")]
    worst = 100 * np.quantile(np.abs(values["bias"]), 0.9)
    rows.append((f"{bin_name}: flux bias", 100 * np.median(values["bias"]), "%"))
    rows.append((f"{bin_name}: 90 % of stars within", worst, f"% ({n_stars} stars)"))
    rows.append((f"{bin_name}: scatter in 1 h", np.median(values["scatter"]), "ppm"))
    for name, key, over in (
        ("scatter in 1 h / floor", "scatter", "floor"),
        ("scatter in 1 h / floor with neighbors", "scatter", "joint_floor"),
        ("point to point / floor", "ptp", "floor"),
    ):
        ratio, floor = values[key] / values[over], np.median(values[over])
        spread = np.std([np.median(rng.choice(ratio, n_stars)) for _ in range(200)])
        rows.append((f"{bin_name}: {name}", np.median(ratio), f"+- {spread:.3f}, {floor:.0f} ppm"))
    excess = np.sqrt(np.maximum(values["scatter"] ** 2 - values["floor"] ** 2, 0))
    rows.append((f"{bin_name}: above the floor in quadrature", np.median(excess), "ppm"))
    rows.append((f"{bin_name}: chi2 per degree of freedom", np.median(values["chi2"]), ""))
    return rows


def measure_star(
    scene: Scene, folder: Path, star, sigma: NDArray, quiet: NDArray
) -> dict[str, float] | None:
    """Bias, 1-h scatter, floor, point-to-point scatter [ppm] and chi2 of a constant star.

    ``chi2`` is of the median absolute deviation, ``variance`` of the mean square.
    """
    index = scene.star_index(star.tic_id)
    if scene.stars.variability[index] != CONSTANT:
        return None
    with fits.open(folder / star.lightcurve) as hdus:
        data, header = hdus["LIGHTCURVE"].data, hdus[0].header
        time, flux, error = (
            np.array(data[name], dtype=float) for name in ("TIME", "FLUX_RAW", "FLUX_RAW_ERR")
        )
        good = (data["QUALITY"] == 0) & np.isfinite(flux)
        index_of = np.searchsorted(scene.cadencenos, data["CADENCENO"])
    good &= quiet[index_of]  # the floor is that of the quiet sky
    if good.sum() < 5:
        return None
    true_flux = float(scene.stars.flux[index])
    time, flux, error = time[good], flux[good], error[good]
    crowdsap, flfrcsap = header.get("CROWDSAP", 1.0), header.get("FLFRCSAP", 1.0)
    own = flux - (1 - crowdsap) * np.median(flux)
    median = np.median(own)
    floors = _floors(scene, index, sigma)
    if floors is None:
        return None
    per_hour = per_hour_of(scene)
    ptp = 1e6 * 1.4826 * np.median(np.abs(np.diff(own / median))) / np.sqrt(2 * per_hour)
    return {
        "held": float(median / true_flux),
        "bias": float(median / flfrcsap / true_flux) - 1,
        "scatter": 1e6 * rms_of_whole_hours(time, own / median - 1, per_hour),
        "floor": 1e6 * floors[0] / true_flux / np.sqrt(per_hour),
        "joint_floor": 1e6 * floors[1] / true_flux / np.sqrt(per_hour),
        "ptp": ptp,
        "variance": float(own.var(ddof=1) / np.mean(error**2)),
        "chi2": float((1.4826 * np.median(np.abs(own - median) / error)) ** 2),
    }


def rms_of_whole_hours(time: NDArray, relative: NDArray, per_hour: float) -> float:
    """Robust scatter of means over one hour, of hours that have 90 % of their images."""
    hour = np.floor((time - time[0]) / HOUR + 1e-6).astype(int)
    _, inverse, count = np.unique(hour, return_inverse=True, return_counts=True)
    means = (np.bincount(inverse, weights=relative) / count)[count >= 0.9 * round(per_hour)]
    return float(1.4826 * np.median(np.abs(means - np.median(means)))) if means.size else np.nan


def _floors(scene: Scene, index: int, sigma: NDArray) -> tuple[float, float] | None:
    """Cramer-Rao bounds of a star's flux in one image, PRF and positions known [e-/s].

    The first is that of a star whose neighbors do not vary, the second of one
    whose catalogued neighbors may vary by as much as their own flux.
    """
    stars, window = scene.stars, scene.window
    row, column = round(float(stars.row[index])), round(float(stars.column[index]))
    rows = row + np.arange(-FLOOR_HALF, FLOOR_HALF + 1)
    columns = column + np.arange(-FLOOR_HALF, FLOOR_HALF + 1)
    if rows[0] < window.row0 or rows[-1] >= window.row1:
        return None
    if columns[0] < window.column0 or columns[-1] >= window.column1:
        return None
    near = stars.known & (np.abs(stars.row - row) < FLOOR_HALF)
    near = np.flatnonzero(near & (np.abs(stars.column - column) < FLOOR_HALF))
    near = [index, *near[near != index]]
    noise = sigma[np.ix_(rows - window.row0, columns - window.column0)].ravel()
    design = np.array(
        [
            prf_stamp(
                float(stars.row[star]),
                float(stars.column[star]),
                rows,
                columns,
                scene.ccd_id.ccd,
                **form_of(scene.settings),
            ).ravel()
            / noise
            for star in near
        ]
    )
    information = design @ design.T
    alone = 1 / np.sqrt(information[0, 0])
    others = np.arange(1, len(near))
    information[others, others] += 1 / stars.flux[near[1:]] ** 2
    return float(alone), float(np.sqrt(np.linalg.inv(information)[0, 0]))


def per_hour_of(scene: Scene) -> float:
    """Images in an hour."""
    return 3600.0 / scene.settings.cadence_seconds


def all_diagnostics(folder: Path):
    """Diagnostics of all tiles of a CCD."""
    run = folder.parent / "todo.sqlite"
    merged = read_todo(run).merge(read_diagnostics(run), on="priority")
    own = read_todo(folder / "todo.sqlite")[["priority", "tic_id"]]
    merged = merged.drop(columns="priority").merge(own, on="tic_id")
    prefix = f"{folder.name}/"
    merged["lightcurve"] = [
        None if name is None else name.removeprefix(prefix) for name in merged["lightcurve"]
    ]
    names = ["priority", "lightcurve", "contamination", "mask_size", "mean_flux"]
    return merged[names]


def _corner(scene: Scene) -> NDArray:
    """Pixels of the corner that glows, (n_rows, n_columns) bool."""
    centre_row, centre_column = CAMERA_CENTRE[scene.ccd_id.ccd]
    rows = np.arange(scene.window.row0, scene.window.row1)[:, None] - centre_row
    columns = np.arange(scene.window.column0, scene.window.column1) - centre_column
    return np.hypot(rows, columns) > GLOW_RADIUS


def _scene_indices(scene: Scene, cube: PixelCube) -> NDArray:
    """Which image of the scene each image of the cube is."""
    return np.searchsorted(scene.cadencenos, cube.cadenceno)


def _quiet_index(scene: Scene) -> int:
    """First image without scattered light."""
    levels = [scattered_level(scene.ccd_id, i, scene.settings) for i in range(scene.n_images)]
    return int(np.argmin(levels))


def _robust(values: NDArray) -> float:
    """Scatter about the median, from the median absolute deviation."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _median_rms(error: NDArray) -> tuple[float, float]:
    """Median and root mean square."""
    return float(np.median(error)), float(np.sqrt(np.mean(error**2)))


def main() -> None:
    """Print the tables for the folder of a CCD."""
    folder = Path(sys.argv[1])
    functions = background_quality, background_error_quality, motion_quality, photometry_quality
    for function in functions:
        for what, value, unit in function(folder):
            print(f"{what:58s} {value:10.4g}  {unit}", flush=True)


if __name__ == "__main__":
    main()
