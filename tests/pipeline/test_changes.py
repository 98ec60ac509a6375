"""What runs again in a finished run when a setting or an image changes."""

import os

import pytest
from pipeline_run import Run, by_tic_id, changed

from tessphot_lib.io.images.ffi_table import read_ffi_table

END = {"collect": 1, "check": 1, "pictures": 1, "ccd_report": 1, "report": 1}
TILES = {"tile_photometry": 2} | END
FROM_TODO = {"ccd_todo": 1, "trends": 1} | TILES
FROM_PIXELS = {"hdf5": 1, "prf": 1, "moving": 1} | FROM_TODO
FROM_BLOCKS = {"backgrounds": 3, "average_image": 1, "jitter": 1} | FROM_PIXELS


@pytest.mark.parametrize(
    ("section", "values", "again"),
    [
        ("todo", {"faint_limit": 14.0}, FROM_TODO),
        ("photometry", {"aperture": {"threshold": 4.0}}, FROM_TODO),
        ("prepare", {"block_size": 10, "smoothing": {"hours": 3.0}}, FROM_PIXELS),
        ("prepare", {"block_size": 10, "background": {"box_size": 32}}, FROM_BLOCKS),
        ("catalog", {"buffer": 0.1}, {"ccd_catalog": 1} | FROM_BLOCKS),
        ("prf", {"n_stars": 200}, {"prf": 1, "moving": 1} | FROM_TODO),
        ("output", {"version": 2}, TILES),
    ],
)
def test_setting_reruns_only_what_depends_on_it(small_run, tmp_path, section, values, again):
    """As a dry run tells; the run itself is not touched."""
    folder = tmp_path / "run"
    folder.symlink_to(small_run.folder)
    run = Run(tmp_path, changed(small_run.config, **{section: values}))
    assert run.plan("--nolock") == again


def test_another_version_is_in_names_and_headers_and_leaves_no_old_files(small_run, tmp_path):
    run = small_run.copy(tmp_path, output={"version": 23, "pictures": False})
    assert run.finish() == {"tile_photometry": 2} | {
        name: END[name] for name in END if name != "pictures"
    }
    found = by_tic_id(run.ccd / "lightcurves")
    assert set(found) == set(small_run.light_curves)
    assert {path.name.split("-")[-2] for path in run.light_curves.values()} == {"v23"}
    assert len(list((run.ccd / "lightcurves").rglob("*.fits.gz"))) == len(found)
    assert run.plan() == {}


def test_another_image_reruns_its_block_and_what_follows(small_run, tmp_path):
    """An image that comes later, in a folder of its own; the other blocks stay as they are."""
    images = small_run.images()
    (tmp_path / "ffi").mkdir()
    for image in [*images[:4], *images[9:14]]:
        os.link(image, tmp_path / "ffi" / image.name)
    config = changed(
        small_run.config,
        input={"source": "ffi", "ffi_dir": "../ffi"},
        catalog={"source": "file", "file": str(small_run.ccd / "tic.csv")},
        photometry={"tiles": [1, 1]},
        output={"pictures": False},
    )
    run = Run(tmp_path, config)
    assert run.finish("--until", "hdf5")["backgrounds"] == 2
    blocks = sorted((run.ccd / "blocks").glob("*.hdf5"))
    before = [block.stat().st_mtime_ns for block in blocks]

    os.link(images[14], tmp_path / "ffi" / images[14].name)
    again = (
        {"ffi_table": 1, "spacecraft": 1} | FROM_BLOCKS | {"backgrounds": 1, "tile_photometry": 1}
    )
    del again["pictures"]
    assert run.plan() == again
    run.finish("--until", "hdf5")
    after = [block.stat().st_mtime_ns for block in blocks]
    assert after[0] == before[0]
    assert after[1] > before[1]
    assert len(read_ffi_table(run.ccd / "ffis.ecsv")) == 10
    again = {"prf": 1, "moving": 1} | FROM_TODO | {"tile_photometry": 1}
    del again["pictures"]
    assert run.plan() == again
