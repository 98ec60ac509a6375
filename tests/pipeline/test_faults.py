"""Blocks and images that are not what they were: told by name, with what to do; never used."""

import os
import shutil

import h5py
import pytest
from pipeline_run import CCD, link_image

from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.settings import OutputSettings, PhotometrySettings, PrepareSettings
from tessphot_lib.steps.average_image import run_average_image
from tessphot_lib.steps.backgrounds import run_backgrounds
from tessphot_lib.steps.hdf5 import run_hdf5
from tessphot_lib.steps.jitter import run_jitter
from tessphot_lib.steps.photometry import run_photometry

BLOCKS = [f"blocks/b000807{number}.hdf5" for number in (1, 2, 3)]
CCD_ID = CcdId.from_string(CCD)


@pytest.fixture
def ccd(small_run, tmp_path):
    """Copy of the products of a CCD."""
    shutil.copytree(small_run.ccd, tmp_path / CCD)
    shutil.copy(small_run.results / "spacecraft_sector14.ecsv", tmp_path)
    return tmp_path / CCD


def blocks(ccd):
    return [ccd / name for name in BLOCKS]


def average(ccd):
    run_average_image(
        blocks(ccd),
        ccd / "catalog.sqlite",
        ccd / "jitter.ecsv",
        ccd / "new",
        CCD_ID,
        foreign_light=ccd / "new_too",
        settings=PrepareSettings(),
    )


def jitter(ccd):
    run_jitter(blocks(ccd), ccd / "new", CCD_ID, settings=PrepareSettings())


def hdf5(ccd):
    run_hdf5(
        blocks(ccd),
        CCD_ID,
        average_image=ccd / "average_image.fits",
        foreign_light=ccd / "foreign_light.hdf5",
        jitter=ccd / "jitter.ecsv",
        catalog=ccd / "catalog.sqlite",
        spacecraft=ccd.parent / "spacecraft_sector14.ecsv",
        output=ccd / "new",
        settings=PrepareSettings(),
    )


def photometry(ccd):
    run_photometry(
        CcdFiles.in_folder(ccd),
        CCD_ID,
        light_curves=ccd / "new",
        diagnostics=ccd / "new.ecsv",
        tile="r14c0",
        settings=PhotometrySettings(tiles=[16, 1]),
        output_settings=OutputSettings(),
        threads=1,
    )


def flip_a_byte(block, dataset):
    """In the middle of the last chunk that is there."""
    with h5py.File(block) as file:
        chunks = file[dataset].id
        chunk = chunks.get_chunk_info(chunks.get_num_chunks() - 1)
    with block.open("r+b") as file:
        file.seek(chunk.byte_offset + chunk.size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0xFF]))


def truncate(block):
    os.truncate(block, block.stat().st_size - 1000)


def remove(block):
    block.unlink()


def assert_told(step, ccd, block, *words):
    """The step ends with one line that names the block, and nothing is written."""
    with pytest.raises(InputDataError) as caught:
        step(ccd)
    message = str(caught.value)
    for word in (block.name, *words):
        assert word in message
    assert "\n" not in message
    assert not [path for path in ccd.iterdir() if path.name.startswith("new")]


@pytest.mark.parametrize("damage", [truncate, remove])
@pytest.mark.parametrize("step", [average, jitter, hdf5, photometry])
def test_block_that_is_not_whole_is_named(ccd, step, damage):
    block = BLOCKS[1]
    damage(ccd / block)
    assert_told(step, ccd, ccd / block, f"snakemake ... -- {ccd / block}")


@pytest.mark.parametrize(
    ("step", "dataset"),
    [(average, "flux"), (hdf5, "pixel_flags"), (photometry, "flux")],
)
def test_damaged_chunk_names_its_block(ccd, step, dataset):
    block = blocks(ccd)[1]
    flip_a_byte(block, dataset)
    assert_told(step, ccd, block, f"delete it and make it again: snakemake ... -- {block}")


@pytest.mark.parametrize("step", [jitter, hdf5, photometry])
def test_swapped_blocks_are_noticed(ccd, step):
    first, second, _ = blocks(ccd)
    first.rename(ccd / "aside")
    second.rename(first)
    (ccd / "aside").rename(second)
    with pytest.raises(InputDataError, match=r"b000807[123]\.hdf5.*snakemake"):
        step(ccd)


def backgrounds(small_run, images, ccd):
    run_backgrounds(
        images,
        ccd / "ffis.ecsv",
        ccd / "catalog.sqlite",
        ccd / "new",
        CCD_ID,
        window=Window.from_config(small_run.config["input"]["window"]),
        settings=PrepareSettings(),
        on_bad_image="error",
    )


def test_image_that_vanishes_before_its_job(small_run, ccd, tmp_path):
    images = [*small_run.images()[8:10], tmp_path / small_run.images()[10].name]
    with pytest.raises(InputDataError, match=rf"{images[2].name}: .*[Nn]o such file"):
        backgrounds(small_run, images, ccd)
    assert not (ccd / "new").exists()


def test_image_that_is_another_one_when_its_job_comes(small_run, ccd, tmp_path):
    """The file has the time of another exposure than when the table was made."""
    images = small_run.images()[8:10]
    other = tmp_path / images[1].name
    link_image(str(small_run.images()[12]), str(other))
    with pytest.raises(InputDataError, match=rf"{other.name}: .*ffis\.ecsv"):
        backgrounds(small_run, [images[0], other], ccd)
