"""The catalog and the truth of a scene as files.

``tic.csv`` has the columns of the TIC as MAST names them. ``truth.hdf5``:

===================  =========================================================
attributes           ``ccd_id``, ``window`` [row0, row1, column0, column1],
                     ``faint_limit`` [Tmag], ``settings`` (JSON), ``epoch``
                     [BTJD], ``variability_names``
``stars/<name>``     (n_stars,): the attributes of `stars.Stars`, and ``ra``,
                     ``dec`` [deg, ICRS, epoch 2000.0]
``images/<name>``    (n_images,): ``name``, ``kind``, ``time_start``, ``time``,
                     ``time_stop`` [BTJD at the spacecraft], ``cadenceno``,
                     ``quality``, ``failed_wcs``, ``sky`` (zodiacal, middle of
                     the CCD), ``scattered`` (at its brightest) [e-/s per
                     pixel], ``reflection_row``, ``reflection_column``
                     [pixels]; ``spacecraft`` (n_images, 3) [au];
                     ``motion`` (n_images, 2, 3), see `motion`
===================  =========================================================
"""

import csv
import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import h5py
import numpy as np

from tessphot_lib.core.constants import PIXEL_SCALE_DEG
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.simulation import diffuse
from tessphot_lib.simulation.ffi_file import has_failed_wcs, header_quality
from tessphot_lib.simulation.scene import Scene, build_scene
from tessphot_lib.simulation.schedule import ffi_name, generator
from tessphot_lib.simulation.stars import (
    MARGIN,
    VARIABILITY_NAMES,
    Stars,
    first_tic_id,
    positions_at_j2000,
)

TIC_COLUMNS = (
    "ID", "ra", "dec", "pmRA", "pmDEC", "plx", "Tmag", "Teff", "GAIA", "objType", "disposition",
)  # fmt: skip
FIRST_TWIN = 500_000  # added to the numbers of phantoms
TWIN_DISTANCE = 0.05 * PIXEL_SCALE_DEG  # [deg] 0.05 pixels
PHANTOM_KINDS = ("DUPLICATE", "DUPLICATE", "ARTIFACT")  # the star of the first kind is SPLIT
FIRST_PHANTOM = 9_500_000  # after the identifiers of the stars


def write_tic(path: Path, scene: Scene) -> None:
    """Write the catalog: known stars in and around the window, and phantoms among them.

    Some rows lack the temperature, others the proper motion (these stars do
    not move).
    """
    stars = _as_listed(scene, catalogued(scene))
    ra, dec = positions_at_j2000(stars, scene.wcs, scene.epoch)
    rng = generator(scene.settings, scene.ccd_id, "catalog", per_ccd=True)
    has_pm, has_teff = (stars.pm_ra != 0) | (stars.pm_dec != 0), np.isfinite(stars.teff)
    parallax = 10 ** (0.2 * (10 - stars.tmag)) * 5
    rows = [
        (
            int(stars.tic_id[i]),
            round(float(ra[i]), 12),
            round(float(dec[i]), 12),
            float(stars.pm_ra[i]) if has_pm[i] else "",
            float(stars.pm_dec[i]) if has_pm[i] else "",
            round(float(parallax[i]), 4),
            round(float(stars.tmag[i]), 4),
            round(float(stars.teff[i]), 1) if has_teff[i] else "",
            int(stars.tic_id[i]) * 7 + 10**18,
            "STAR",
            "",
        )
        for i in range(len(stars))
    ]
    n_phantoms = round(scene.settings.phantom_fraction * len(stars))
    first = first_tic_id(scene.ccd_id) + FIRST_PHANTOM
    for number, i in enumerate(rng.integers(0, max(len(stars), 1), n_phantoms)):
        row = list(rows[i])
        row[0] = first + number
        row[1] = (row[1] + rng.normal(0, 1e-3)) % 360.0
        row[2] = float(np.clip(row[2] + rng.normal(0, 1e-3), -90, 90))
        row[-1] = PHANTOM_KINDS[number % len(PHANTOM_KINDS)]
        rows.append(tuple(row))
        if number % len(PHANTOM_KINDS) == 0:
            rows[i] = (*rows[i][:-1], "SPLIT")
    rng = generator(scene.settings, scene.ccd_id, "twins", per_ccd=True)
    is_twin = rng.random(len(stars)) < scene.settings.twin_fraction
    for number, i in enumerate(np.flatnonzero(is_twin)):
        twin = list(rows[i])
        twin[0] = first + FIRST_TWIN + number
        twin[2] = float(np.clip(twin[2] + rng.uniform(-1, 1) * TWIN_DISTANCE, -90, 90))
        twin[8] = ""
        rows.append(tuple(twin))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(TIC_COLUMNS)
        writer.writerows(rows)
    partial.replace(path)


def _as_listed(scene: Scene, stars: Stars) -> Stars:
    """Stars with the positions and magnitudes that the list has, which may be wrong."""
    rng = generator(scene.settings, scene.ccd_id, "list errors", per_ccd=True)
    draws = rng.standard_normal((3, len(stars)))
    position, magnitude = scene.settings.list_position_error, scene.settings.list_magnitude_error
    return replace(
        stars,
        row=stars.row + position * draws[0],
        column=stars.column + position * draws[1],
        tmag=stars.tmag + magnitude * draws[2],
    )


def write_truth(path: Path, scene: Scene) -> None:
    """Write what is true about a scene; ``path`` appears complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with h5py.File(partial, "w", locking=False) as file:
        file.attrs["ccd_id"] = str(scene.ccd_id)
        file.attrs["window"] = scene.window.as_list()
        file.attrs["faint_limit"] = scene.faint_limit
        file.attrs["settings"] = json.dumps(asdict(scene.settings))
        file.attrs["epoch"] = scene.epoch
        file.attrs["variability_names"] = list(VARIABILITY_NAMES)
        _write_stars(file.create_group("stars"), scene)
        _write_images(file.create_group("images"), scene)
    partial.replace(path)


def read_scene(path: Path) -> Scene:
    """Build the scene again that a truth file tells of.

    Raises
    ------
    InputDataError
        If the stars in the file are not those of the scene, because it was
        made by another version of the simulation.
    """
    with h5py.File(path, "r", locking=False) as file:
        settings = SimulationSettings.from_mapping(json.loads(file.attrs["settings"]))
        scene = build_scene(
            CcdId.from_string(file.attrs["ccd_id"]),
            window=Window(*(int(value) for value in file.attrs["window"])),
            settings=settings,
            faint_limit=float(file.attrs["faint_limit"]),
        )
        written = file["stars/row"][:]
    if not np.array_equal(written, scene.stars.row):
        raise InputDataError(f"{path}: made by another version of the simulation")
    return scene


def catalogued(scene: Scene) -> Stars:
    """Return the stars that the catalog lists: known, and within 64 pixels of the window."""
    stars, window = scene.stars, scene.window
    return stars.select(
        stars.known
        & (stars.row > window.row0 - MARGIN)
        & (stars.row < window.row1 + MARGIN)
        & (stars.column > window.column0 - MARGIN)
        & (stars.column < window.column1 + MARGIN)
    )


def _write_stars(group: h5py.Group, scene: Scene) -> None:
    ra, dec = positions_at_j2000(scene.stars, scene.wcs, scene.epoch)
    columns = {f.name: getattr(scene.stars, f.name) for f in fields(Stars)}
    for name, values in {**columns, "ra": ra, "dec": dec}.items():
        group.create_dataset(name, data=values, compression="gzip", shuffle=True)


def _write_images(group: h5py.Group, scene: Scene) -> None:
    settings, ccd_id = scene.settings, scene.ccd_id
    indices = range(scene.n_images)
    elapsed = [scene.elapsed(index) for index in indices]
    ring = np.array([diffuse.reflection_position(ccd_id, days, settings) for days in elapsed])
    text = h5py.string_dtype()
    group.create_dataset(
        "name", data=[ffi_name(ccd_id, start) for start in scene.starts], dtype=text
    )
    group.create_dataset("kind", data=[scene.kind(index) for index in indices], dtype=text)
    columns = {
        "time_start": scene.starts,
        "time": scene.middles,
        "time_stop": scene.starts + scene.exposure_days,
        "cadenceno": scene.cadencenos,
        "spacecraft": scene.spacecraft,
        "quality": [header_quality(scene, index) for index in indices],
        "failed_wcs": [has_failed_wcs(scene, index) for index in indices],
        "sky": [diffuse.sky_level(ccd_id, days, settings) for days in elapsed],
        "scattered": [diffuse.scattered_level(ccd_id, index, settings) for index in indices],
        "reflection_row": ring[:, 0],
        "reflection_column": ring[:, 1],
        "motion": np.stack([scene.motion(index) for index in indices]),
    }
    for name, values in columns.items():
        group.create_dataset(name, data=np.asarray(values))
