"""Each product tells which software made it of what, with which settings."""

import json
import sqlite3
from contextlib import closing

import h5py
import pytest
from astropy.io import fits
from pipeline_run import CCD

from tessphot_lib.core.provenance import software_version
from tessphot_lib.io.files.ecsv import read_ecsv

BLOCKS = [f"b000807{number}.hdf5" for number in (1, 2, 3)]
OF_THE_LIST = ["list_check.ecsv", "unlisted.ecsv"]
FOR_STARS = [
    "pixels.hdf5",
    "catalog.sqlite",
    "todo.sqlite",
    "prf.fits",
    *OF_THE_LIST,
    "moving.ecsv",
    "transients.ecsv",
]
# By the path below the folder of the CCD: the settings that are in it, and the inputs (None:
# its rows tell them).
PRODUCTS = {
    "ffis.ecsv": ({"input"}, None),
    "catalog.sqlite": ({"catalog", "window"}, ["ffis.ecsv", "tic.csv"]),
    **{
        f"blocks/{name}": (
            {"background", "motion", "compression_error"},
            ["ffis.ecsv", "catalog.sqlite"],
        )
        for name in BLOCKS
    },
    "average_image.fits": (
        {"bad_quality", "background", "average"},
        [*BLOCKS, "catalog.sqlite", "jitter.ecsv"],
    ),
    "jitter.ecsv": ({"bad_quality", "flags"}, BLOCKS),
    "foreign_light.hdf5": (
        {"bad_quality", "background", "average"},
        [*BLOCKS, "catalog.sqlite", "jitter.ecsv"],
    ),
    "../spacecraft_sector14.ecsv": (set(), ["ffis.ecsv"]),
    "pixels.hdf5": (
        {"smoothing", "flags"},
        [
            *("average_image.fits", "foreign_light.hdf5", "jitter.ecsv", "catalog.sqlite"),
            "spacecraft_sector14.ecsv",
        ],
    ),
    "prf.fits": ({"prf"}, ["pixels.hdf5", "catalog.sqlite"]),
    **{name: ({"prf"}, ["pixels.hdf5", "catalog.sqlite", "prf.fits"]) for name in OF_THE_LIST},
    **{
        name: ({"moving"}, ["pixels.hdf5", "prf.fits", "catalog.sqlite", "unlisted.ecsv"])
        for name in ("moving.ecsv", "transients.ecsv")
    },
    "todo.sqlite": (
        {"todo", "photometry"},
        ["pixels.hdf5", "catalog.sqlite", "prf.fits", *OF_THE_LIST, "transients.ecsv"],
    ),
    "trends.hdf5": ({"correction"}, FOR_STARS),
    **{
        f"diagnostics/{tile}.ecsv": ({"photometry", "output"}, [*FOR_STARS, "trends.hdf5"])
        for tile in ("r13c0", "r14c0")
    },
    "../todo.sqlite": (set(), [f"{CCD}/todo.sqlite"]),
}
BESIDE = {"lightcurves", "pictures", "report", "cbv"}  # folders
NO_PRODUCTS = {"tic.csv", "truth.hdf5"}  # of the simulator


def recorded(path):
    """What a product says of its making: software, settings and inputs."""
    if path.suffix == ".hdf5":
        with h5py.File(path) as file:
            return dict(file.attrs)
    if path.suffix == ".ecsv":
        return read_ecsv(path).meta
    if path.suffix == ".fits":
        header = fits.getheader(path)
        return {"software": header["CREATOR"]} | {
            key: header[key.upper()] for key in ("settings", "inputs")
        }
    table = "catalog_info" if path.name == "catalog.sqlite" else "todo_info"
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute(f"SELECT key, value FROM {table}"))


@pytest.mark.parametrize("name", PRODUCTS)
def test_product_tells_how_it_was_made(small_run, name):
    path = small_run.ccd / name
    settings, inputs = PRODUCTS[name]
    found = recorded(path)
    assert found["software"] == f"tessphot {software_version()}"
    assert settings <= set(json.loads(found["settings"]))
    assert str(small_run.home) not in json.dumps({key: str(found[key]) for key in found})
    if inputs is None:
        assert len(read_ecsv(path)) == len(small_run.images())
    else:
        assert json.loads(found["inputs"]) == inputs


def test_no_product_is_left_out(small_run):
    """All that lies in the results, but for light curves, pictures and the records of the run."""
    known = {(small_run.ccd / name).resolve() for name in PRODUCTS}
    known |= {small_run.ccd / name for name in NO_PRODUCTS}
    known |= {small_run.results / name for name in ("summary.txt", "run.json")}
    others = [
        path
        for path in small_run.results.rglob("*")
        if path.is_file() and not BESIDE & {part.name for part in path.parents}
    ]
    assert {path.resolve() for path in others} == {path.resolve() for path in known}


def test_blocks_list_their_images_and_the_cube_its_blocks(small_run):
    names = []
    for name in BLOCKS:
        with h5py.File(small_run.ccd / "blocks" / name) as file:
            names += [text.decode() for text in file["images/name"]]
    assert names == [image.name for image in small_run.images()]
    with h5py.File(small_run.ccd / "pixels.hdf5") as file:
        listed = [text.decode().rsplit("/", 1)[1] for text in file["blocks/path"]]
    assert listed == BLOCKS


def test_settings_in_the_products_are_those_of_the_run(small_run):
    record = json.loads((small_run.results / "run.json").read_text())
    tile = json.loads(recorded(small_run.ccd / "diagnostics" / "r13c0.ecsv")["settings"])
    assert tile["photometry"] == record["settings"]["photometry"]
    block = json.loads(recorded(small_run.ccd / "blocks" / BLOCKS[0])["settings"])
    for name, value in block.items():
        assert value == record["settings"]["prepare"][name], name


def test_equal_runs_have_equal_records_but_for_times(small_run, tmp_path):
    run = small_run.copy(tmp_path)
    (run.results / "run.json").unlink()
    assert run.finish() == {"check": 1, "report": 1}
    first, second = (json.loads((one.results / "run.json").read_text()) for one in (small_run, run))
    assert set(first) == set(second)
    differing = {key for key in first if first[key] != second[key]}
    assert differing == set()  # this command has measured nothing
