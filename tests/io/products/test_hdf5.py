"""Blocks and the cube over them: every pixel of every image has its own value."""

import shutil

import h5py
import hdf5plugin  # noqa: F401  (registers the filters)
import numpy as np
import pytest
from pixel_cube import open_cube

from tessphot_lib.catalog.saturation import saturation_flags
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.flags import PixelFlag
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.mesh import Mesh
from tessphot_lib.core.pointing import Pointing
from tessphot_lib.io.products.block_hdf5 import (
    IMAGE_COLUMNS,
    CubeBuffer,
    quantize,
    read_all_images,
    read_common_flags,
    read_flags,
    read_flux,
    read_identity,
    read_images,
    read_motion_stars,
    read_patches,
    read_sums,
    rounded_errors,
    write_block,
)
from tessphot_lib.io.products.pixels_hdf5 import PER_IMAGE, PixelCube
from tessphot_lib.io.products.pixels_summary import (
    read_image_quality,
    read_noise,
    read_pointing_summary,
)
from tessphot_lib.io.products.pixels_writer import BlockIdentity, write_pixels

CCD = CcdId(14, 2, 3)
WINDOW = Window(1000, 1070, 300, 341)  # no multiple of the chunks of 32
LENGTHS = (3, 2)
MESH_SHAPE = (2, 1)


def unique_flux(n_images, window=WINDOW, first=0):
    """Whole numbers, small enough for float32, all different."""
    size = n_images * window.shape[0] * window.shape[1]
    start = first * window.shape[0] * window.shape[1]
    return (start + np.arange(size)).reshape(n_images, *window.shape).astype(np.float32)


def image_values(n_images, first=0):
    """A value for each column, one number per image."""
    numbers = np.arange(first, first + n_images)
    values = {name: numbers + 100.0 * index for index, name in enumerate(IMAGE_COLUMNS)}
    values["name"] = np.array([f"image{number}" for number in numbers])
    values["cadenceno"] = values["quality"] = numbers
    values["is_averaged"] = numbers % 2 == 0
    for name in ("background", "background_error"):
        values[name] = numbers[:, None, None] + np.zeros((n_images, *MESH_SHAPE))
    values["header_motion"] = numbers[:, None] + np.zeros((n_images, 6))
    values["star_row"] = values["star_column"] = numbers[:, None] + np.zeros((n_images, 4))
    return values


def make_block(path, n_images, first=0, compression_error=0.0):
    cubes = CubeBuffer(WINDOW, n_images, compression_error)
    for index, image in enumerate(unique_flux(n_images, first=first)):
        cubes.put(index, image, np.sqrt(image + 1))
    cubes.pixel_flags[0, 3, 40] = 8
    cubes.pixel_flags[n_images - 1, 69, 0] = 16
    return write(path, cubes, n_images, first)


def write(path, cubes, n_images, first=0):
    write_block(
        path,
        cubes,
        CCD,
        images=image_values(n_images, first),
        flux_sum=np.full(WINDOW.shape, 7.0 + first),
        flux_count=np.full(WINDOW.shape, n_images),
        motion_stars={
            "tic_id": np.array([5, 6, 7, 8]),
            "row": np.arange(4.0),
            "column": np.ones(4),
        },
        attributes={"software": "tessphot 0"},
    )
    return path


def make_cube(folder, **more):
    """``pixels.hdf5`` over two blocks in a folder of their own."""
    blocks = [
        make_block(folder / "blocks" / "b0.hdf5", 3),
        make_block(folder / "blocks" / "b1.hdf5", 2, 3),
    ]
    n_images = sum(LENGTHS)
    images = {name: np.arange(n_images) + 10.0 * index for index, name in enumerate(PER_IMAGE)}
    images["background"] = np.arange(n_images)[:, None, None] + np.zeros((n_images, *MESH_SHAPE))
    images["motion"] = np.arange(6.0 * n_images).reshape(n_images, 6)
    write_pixels(
        folder / "pixels.hdf5",
        CCD,
        WINDOW,
        blocks=blocks,
        identities=[identity_of(block) for block in blocks],
        images=images,
        names=np.array([f"image{index}" for index in range(n_images)]),
        average_image=unique_flux(1)[0],
        average_count=np.full(WINDOW.shape, 5, dtype=np.int32),
        grid=Mesh(WINDOW, np.array([1000, 1064, 1070]), np.array([300, 341])),
        attributes={"cadence_seconds": 1800, "bad_quality": 4335, "wcs": "CRVAL1  = 1.0"},
        **more,
    )
    return folder / "pixels.hdf5"


def identity_of(block):
    identity = read_identity(block)
    return BlockIdentity(**{key: identity[key] for key in ("name", "size", "digest", "n_images")})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ccd")
    make_cube(folder)
    return folder


@pytest.fixture
def copy(made, tmp_path):
    """The folder, moved to another place."""
    return shutil.copytree(made, tmp_path / "elsewhere") / "pixels.hdf5"


# -- rounding -----------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0.02, 0.1, 0.5])
def test_rounding_loses_less_than_allowed(limit):
    rng = np.random.default_rng(0)
    flux = rng.uniform(-50, 3e4, 200_000).astype(np.float32)
    flux_err = (10 ** rng.uniform(-0.3, 2.5, flux.size)).astype(np.float32)
    loss = (quantize(flux, flux_err, limit).astype(float) - flux) / flux_err
    assert abs(loss.mean()) < 0.01 * limit
    assert 0.5 * limit < np.sqrt(np.mean(loss**2)) < limit
    for low in (0.5, 3.0, 40.0, 200.0):  # ... at any size of the error
        near = (flux_err > low) & (flux_err < 1.1 * low)
        assert np.sqrt(np.mean(loss[near] ** 2)) < 1.02 * limit


def test_rounding_to_a_power_of_two_by_hand():
    # Error 10, limit 0.1: steps up to 3.46, the power of two below is 2.
    flux = np.array([100.9, 101.1, -3.2, 0.4], dtype=np.float32)
    rounded = quantize(flux, np.full(4, 10.0, dtype=np.float32), 0.1)
    assert rounded.tolist() == [100.0, 102.0, -4.0, 0.0]
    assert rounded.dtype == np.float32


def test_rounding_leaves_what_has_no_error():
    flux = np.array([np.nan, 1.2345, 1.2345, 1.2345, 1.2345, np.inf, 3e38], dtype=np.float32)
    flux_err = np.array([1, 0, np.nan, np.inf, -1e-30, 1, 1e-36], dtype=np.float32)
    before = flux.copy(), flux_err.copy()
    np.testing.assert_array_equal(quantize(flux, flux_err, 0.1), flux)
    np.testing.assert_array_equal((flux, flux_err), before)
    np.testing.assert_array_equal(quantize(flux, np.ones_like(flux), 0.0), flux)


def test_rounding_twice_is_rounding_once():
    rng = np.random.default_rng(1)
    flux = rng.normal(100, 50, 1000).astype(np.float32)
    flux_err = rng.uniform(1, 20, 1000).astype(np.float32)
    once = quantize(flux, flux_err, 0.1)
    np.testing.assert_array_equal(quantize(once, flux_err, 0.1), once)


def test_rounded_errors_by_hand():
    """Steps of 1/128 from 1 to 2, of 1/32 from 4 to 8; what is no number is none."""
    error = np.array([1.003, 1.005, 5.01, 5.02, np.nan, np.inf, 0.0], dtype=np.float32)
    error[4:5].view(np.uint32)[0] = 0x7FFFFFFF  # a NaN that rounding up would make a number
    before = error.copy()
    found = rounded_errors(error)
    np.testing.assert_array_equal(found, [1, 1 + 1 / 128, 5, 5 + 1 / 32, np.nan, np.nan, 0])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(error.view(np.uint32), before.view(np.uint32))
    np.testing.assert_array_equal(rounded_errors(found), found)


def test_errors_keep_eight_bits(tmp_path):
    rng = np.random.default_rng(2)
    flux_err = (10 ** rng.uniform(-3, 5, WINDOW.shape)).astype(np.float32)
    flux_err[3, 4], flux_err[5, 6], flux_err[7, 8] = np.nan, 0.0, np.inf
    cubes = CubeBuffer(WINDOW, 2, 0.1)
    cubes.put(0, np.ones(WINDOW.shape, dtype=np.float32), np.ones(WINDOW.shape, dtype=np.float32))
    cubes.put(1, np.ones(WINDOW.shape, dtype=np.float32), flux_err)
    write(tmp_path / "b.hdf5", cubes, 2)
    with h5py.File(tmp_path / "b.hdf5") as file:
        kept = file["flux_err"][()]
    assert (kept[0] == 1.0).all()
    positive = np.isfinite(flux_err) & (flux_err > 0)
    ratio = kept[1][positive] / flux_err[positive]
    np.testing.assert_allclose(ratio, 1, rtol=1 / 256)
    assert abs(ratio.mean() - 1) < 2e-4  # rounded, not cut off
    assert np.isnan(kept[1][~np.isfinite(flux_err)]).all()
    assert kept[1][5, 6] == 0.0


def test_full_pixels_are_flagged():
    flux = np.array([[89_999.0, 90_001.0], [np.nan, 2e5]], dtype=np.float32)
    full = int(PixelFlag.SATURATED)
    assert saturation_flags(flux, 9e4).tolist() == [[0, full], [0, full]]


# -- one block ----------------------------------------------------------------------------------


def test_block_is_read_back(made):
    path = made / "blocks" / "b1.hdf5"
    images = read_images(path)
    assert set(images) == set(IMAGE_COLUMNS)
    for name, values in image_values(2, first=3).items():
        np.testing.assert_array_equal(images[name], values, name)
    flux_sum, flux_count = read_sums(path)
    assert (flux_sum == 10.0).all()
    assert (flux_count == 2).all()
    assert flux_sum.shape == flux_count.shape == WINDOW.shape
    assert read_motion_stars(path)["tic_id"].tolist() == [5, 6, 7, 8]
    identity = read_identity(path)
    assert (identity["name"], identity["n_images"]) == ("b1.hdf5", 2)
    assert (identity["window"], identity["ccd"]) == (WINDOW, str(CCD))
    assert identity["size"] == path.stat().st_size


def test_block_is_the_same_each_time_and_another_one_differs(tmp_path):
    first = identity_of(make_block(tmp_path / "a" / "b.hdf5", 2))
    again = identity_of(make_block(tmp_path / "c" / "b.hdf5", 2))
    other = identity_of(make_block(tmp_path / "d" / "b.hdf5", 2, first=1))
    assert first == again
    assert first.digest != other.digest
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["b.hdf5"]


def test_columns_of_a_block_must_be_complete(tmp_path):
    images = image_values(1)
    del images["timecorr"]
    cubes = CubeBuffer(WINDOW, 1, 0.0)
    nothing = np.zeros(WINDOW.shape)
    with pytest.raises(ValueError, match="timecorr"):
        write_block(
            tmp_path / "b.hdf5",
            cubes,
            CCD,
            images=images,
            flux_sum=nothing,
            flux_count=nothing,
            motion_stars={},
            attributes={},
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, b"", b"no HDF5" * 100])
def test_block_that_is_none(tmp_path, content):
    path = tmp_path / "b.hdf5"
    if content is not None:
        path.write_bytes(content)
    for read in (read_images, read_identity, read_sums, read_motion_stars):
        with pytest.raises(InputDataError, match=r"b\.hdf5: the block cannot be read"):
            read(path)


# -- the cube -----------------------------------------------------------------------------------


def test_cube_joins_the_blocks(made):
    expected = np.concatenate([unique_flux(3), unique_flux(2, first=3)])
    with PixelCube(made / "pixels.hdf5") as cube:
        np.testing.assert_array_equal(cube.read("flux"), expected)
        np.testing.assert_allclose(cube.read("flux_err"), np.sqrt(expected + 1), rtol=1 / 256)
        flags = cube.read("pixel_flags")
        assert flags.dtype == np.uint8
        assert [tuple(map(int, where)) for where in np.argwhere(flags)] == [
            (0, 3, 40),
            (2, 69, 0),
            (3, 3, 40),
            (4, 69, 0),
        ]
        assert [cubes for cubes in cube.block_slices()] == [slice(0, 3), slice(3, 5)]
        assert (cube.n_cadences, cube.window, cube.ccd_id) == (5, WINDOW, CCD)
        assert cube.attributes["cadence_seconds"] == 1800
        for index, name in enumerate(PER_IMAGE):
            if name not in ("background", "motion"):
                np.testing.assert_array_equal(getattr(cube, name), np.arange(5) + 10.0 * index)
        assert cube.background.shape == (5, *MESH_SHAPE)
        assert cube.grid.row_edges.tolist() == [1000, 1064, 1070]
        assert cube.grid.column_edges.tolist() == [300, 341]


def test_displaced_images_are_read_from_elsewhere(tmp_path):
    """Every pixel has a value of its own; a step within the second block."""
    displacement = np.array([[0, 0], [0, 0], [2.3, -1.2], [2.3, -1.2], [0, 0]])
    pointing = Pointing(displacement, np.array([True, True, False, False, True]))
    expected = np.concatenate([unique_flux(3), unique_flux(2, first=3)])
    for image in (2, 3):
        moved = np.full(WINDOW.shape, np.nan)
        moved[:-2, 1:] = expected[image, 2:, :-1]
        expected[image] = moved
    region = Window(1025, 1040, 328, 341)
    with PixelCube(make_cube(tmp_path, pointing=pointing)) as cube:
        np.testing.assert_array_equal(cube.read("flux"), expected)
        error = cube.read("flux_err", region, slice(1, 4))
        np.testing.assert_allclose(error, np.sqrt(expected[1:4, 25:40, 28:41] + 1), rtol=1 / 256)
        motion = np.arange(30.0).reshape(5, 6)
        motion[2:4] -= [2, 0, 0, -1, 0, 0]
        np.testing.assert_array_equal(cube.motion, motion)
        assert cube.pointing.is_usual.tolist() == pointing.is_usual.tolist()
        # Of a plane: nodes are the number of the image.
        level = cube.background_in(region)
        np.testing.assert_allclose(level, np.arange(5)[:, None, None] + np.zeros(level.shape))
        assert cube.background_in(region, slice(2, 2)).shape == (0, *region.shape)


def test_stamp_over_chunks_and_blocks(made):
    expected = np.concatenate([unique_flux(3), unique_flux(2, first=3)])
    region = Window(1025, 1040, 328, 341)
    with PixelCube(made / "pixels.hdf5") as cube:
        stamp = cube.read("flux", region, slice(2, 4))
        np.testing.assert_array_equal(stamp, expected[2:4, 25:40, 28:41])
        np.testing.assert_array_equal(cube.average_image(region), expected[0, 25:40, 28:41])
        with pytest.raises(ValueError, match=r"\[1025, 1071, 328, 341\] leaves the window"):
            cube.read("flux", Window(1025, 1071, 328, 341))


def test_plain_h5py_reads_it(made):
    with h5py.File(made / "pixels.hdf5") as file:
        assert file["flux"].shape == (5, *WINDOW.shape)
        assert file["flux"].dtype == np.float32
        assert file["flux"].is_virtual
        assert file["flux"][3, 69, 40] == unique_flux(2, first=3)[0, 69, 40]
        assert file["image_name"].asstr()[()].tolist() == [f"image{index}" for index in range(5)]
        assert all(not name.startswith("/") for name in file["blocks/path"].asstr()[()])


def test_moved_folder_still_works(copy, made, monkeypatch):
    shutil.move(copy.parent, copy.parent.with_name("moved"))
    moved = copy.parent.with_name("moved")
    monkeypatch.chdir(moved)
    for path in (moved / "pixels.hdf5", "pixels.hdf5"):
        with PixelCube(path) as cube:
            assert cube.read("flux")[4, 69, 40] == unique_flux(2, first=3)[1, 69, 40]


def test_missing_block_is_named(copy):
    (copy.parent / "blocks" / "b1.hdf5").unlink()
    with pytest.raises(InputDataError, match=r"its block .*b1\.hdf5 is missing"):
        PixelCube(copy)


def test_truncated_block_is_named(copy):
    block = copy.parent / "blocks" / "b0.hdf5"
    block.write_bytes(block.read_bytes()[:-100])
    with pytest.raises(InputDataError, match=r"its block .*b0\.hdf5 has \d+ bytes, not \d+"):
        PixelCube(copy)


def test_changed_block_of_the_same_size_is_named(copy):
    block = copy.parent / "blocks" / "b0.hdf5"
    with h5py.File(block, "r+") as file:
        digest = str(file.attrs["digest"])
        file.attrs["digest"] = digest[::-1]
    assert digest != digest[::-1]
    assert block.stat().st_size == identity_of(block).size
    with pytest.raises(InputDataError, match=r"its block .*b0\.hdf5 is not the one it was made"):
        PixelCube(copy)


def test_blocks_that_changed_places_are_noticed(copy):
    folder = copy.parent / "blocks"
    shutil.copy(folder / "b0.hdf5", folder / "b1.hdf5")
    with pytest.raises(InputDataError, match=r"b1\.hdf5"):
        PixelCube(copy)


def test_damaged_pixels_are_not_returned(copy):
    block = copy.parent / "blocks" / "b0.hdf5"
    with h5py.File(block) as file:
        chunk = file["flux"].id.get_chunk_info_by_coord((0, 0, 0))
    content = bytearray(block.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 0xFF
    block.write_bytes(content)
    with PixelCube(copy) as cube:
        assert np.isfinite(cube.read("flux", Window(1064, 1070, 300, 310))).all()
        with pytest.raises(InputDataError, match=r"b0\.hdf5: .* cannot be read .* snakemake"):
            cube.read("flux", Window(1000, 1002, 300, 310))


@pytest.mark.parametrize("name", ["average_image", "common_flags"])
def test_damaged_images_of_the_file_are_named(copy, name):
    with h5py.File(copy) as file:
        chunk = file[name].id.get_chunk_info(0)
    content = bytearray(copy.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    copy.write_bytes(content)
    with PixelCube(copy) as cube:
        message = rf"pixels\.hdf5: {name} cannot be read .* snakemake \.\.\. "
        with pytest.raises(InputDataError, match=message):
            cube.average_image() if name == "average_image" else cube.flags()


def test_quality_of_the_images_needs_no_blocks(copy):
    with PixelCube(copy) as cube:
        expected = cube.quality
    for block in copy.parent.rglob("b*.hdf5"):
        block.unlink()
    quality, bad_quality = read_image_quality(copy)
    np.testing.assert_array_equal(quality, expected)
    assert bad_quality == 4335


def test_displaced_images_are_told_from_those_of_another_pointing(tmp_path):
    """The last image is changed, but stays where its pointing is; the second one does not."""
    displacement = np.array([[0, 0], [0, 0], [2.3, -1.2], [2.3, -1.2], [2.3, -1.2]])
    pointing = Pointing(displacement, np.array([True, True, False, False, False]))
    path = make_cube(tmp_path, pointing=pointing)
    with h5py.File(path, "r+") as file:
        del file["motion"], file["quality"]
        file["motion"] = np.zeros((5, 6))
        file["motion"][:, 0], file["motion"][:, 3] = displacement.T
        file["motion"][1, 3] = 0.8
        file["quality"] = np.array([0, 4194304, 0, 0, 4194304])
    found = read_pointing_summary(path)
    assert (found.n_displaced, found.displacement) == (1, pytest.approx(0.8))


def test_not_a_cube(copy, tmp_path):
    with pytest.raises(InputDataError, match=r"none\.hdf5: cannot be read"):
        PixelCube(tmp_path / "none.hdf5")
    with pytest.raises(InputDataError, match=r"none\.hdf5: cannot be read"):
        read_image_quality(tmp_path / "none.hdf5")
    with h5py.File(copy, "r+") as file:
        del file["motion"]
    with pytest.raises(InputDataError, match=r"pixels\.hdf5: not a pixels.hdf5 of this version"):
        PixelCube(copy)


OF_ANOTHER_VERSION = (
    r"{}: format version {}, but this version of tessphot reads 1; "
    r"delete the file and make it again: snakemake \.\.\. -- .*{}$"
)


@pytest.mark.parametrize("read", [PixelCube, read_image_quality, read_noise, read_pointing_summary])
@pytest.mark.parametrize("version", [0, 2, None])
def test_pixels_of_another_format_version_are_refused(copy, read, version):
    with h5py.File(copy, "r+") as file:
        del file.attrs["format_version"]
        if version is not None:
            file.attrs["format_version"] = version
        del file["quality"]  # whatever else is in there
    found = "unknown" if version is None else version
    message = OF_ANOTHER_VERSION.format(r"pixels\.hdf5", found, r"pixels\.hdf5")
    with pytest.raises(InputDataError, match=message):
        read(copy)


PIXEL = (slice(0, 1), slice(0, 1))


@pytest.mark.parametrize("images", [[0, 2, 3], [1], [2, 3, 4], [0, 1, 2, 3, 4], []])
def test_some_images_of_a_block(tmp_path, images):
    """Wherever they are, and none."""
    (tmp_path / "blocks").mkdir()
    path = make_block(tmp_path / "blocks" / "b.hdf5", 5)
    rows, columns = slice(2, 9), slice(30, 41)
    wanted = np.array(images, dtype=int)
    found = read_flux(path, (rows, columns), wanted)
    np.testing.assert_array_equal(found, unique_flux(5)[wanted][:, rows, columns])
    flags = read_flags(path, (rows, columns), wanted)
    assert flags.shape == found.shape
    assert flags.any() == (0 in images)


READ_BLOCK = {
    "images": read_images,
    "all images": lambda path: read_all_images([path], ["time"]),
    "sums": read_sums,
    "flux": lambda path: read_flux(path, PIXEL),
    "flags": lambda path: read_flags(path, PIXEL),
    "common flags": read_common_flags,
    "patches": read_patches,
    "motion stars": read_motion_stars,
    "identity": read_identity,
    "cube": lambda path: PixelCube(path.parents[1] / "pixels.hdf5").close(),
}


@pytest.mark.parametrize("read", READ_BLOCK.values(), ids=READ_BLOCK)
def test_block_of_another_format_version_is_refused(copy, read):
    block = copy.parent / "blocks" / "b0.hdf5"
    with h5py.File(block, "r+") as file:
        file.attrs["format_version"] = 2
    message = OF_ANOTHER_VERSION.format(r"b0\.hdf5", 2, r"b0\.hdf5")
    with pytest.raises(InputDataError, match=message):
        read(block)


@pytest.mark.parametrize("read", READ_BLOCK.values(), ids=READ_BLOCK)
def test_block_without_a_format_version_is_of_the_first(copy, read):
    size = (copy.parent / "blocks" / "b0.hdf5").stat().st_size
    with h5py.File(copy.parent / "blocks" / "b0.hdf5", "r+") as file:
        del file.attrs["format_version"]
    assert (copy.parent / "blocks" / "b0.hdf5").stat().st_size == size
    read(copy.parent / "blocks" / "b0.hdf5")


def test_number_of_images_must_be_that_of_the_blocks(made, tmp_path):
    block = make_block(tmp_path / "blocks" / "b0.hdf5", 3)
    with pytest.raises(ValueError, match="time has 2 entries, the blocks 3"):
        write_pixels(
            tmp_path / "pixels.hdf5",
            CCD,
            WINDOW,
            blocks=[block],
            identities=[identity_of(block)],
            images={name: np.zeros(2) for name in PER_IMAGE},
            names=np.array(["a", "b"]),
            average_image=np.zeros(WINDOW.shape),
            average_count=np.zeros(WINDOW.shape),
            grid=Mesh.over(WINDOW, 64),
            attributes={},
        )
    assert not (tmp_path / "pixels.hdf5").exists()


def test_blocks_that_were_closed_are_read_again(tmp_path):
    flux = np.random.default_rng(2).uniform(1, 9, (3, 4, 5)).astype("f4")
    with open_cube(tmp_path, Window(100, 104, 200, 205), flux) as cube:
        for _ in range(2):
            np.testing.assert_array_equal(cube.read("flux"), flux)
            cube.close_blocks()
            cube.close_blocks()
            with h5py.File(tmp_path / "block.hdf5", "r+"):  # it is not open any longer
                pass


def test_a_closed_cube_says_so(tmp_path):
    window = Window(100, 104, 200, 205)
    cube = open_cube(tmp_path, window, np.ones((3, 4, 5)))
    cube.flags()
    cube.close()
    cube.close()
    asked = [
        lambda: cube.read("flux"),
        lambda: cube.read("pixel_flags"),
        cube.flags,
        cube.average_image,
        lambda: [*cube.block_slices()],
    ]
    for ask in asked:
        with pytest.raises(InputDataError, match=r"pixels\.hdf5: the file is closed; read it"):
            ask()
    assert cube.n_cadences == 3  # what has been read stays
