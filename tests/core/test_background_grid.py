"""Mesh and patches answer the same questions, each in its way."""

import inspect
from dataclasses import replace

import numpy as np
import pytest

from tessphot_lib.core.background_grid import BackgroundGrid
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.mesh import Mesh
from tessphot_lib.core.patches import N_TERMS, Patches

WINDOW = Window(100, 163, 2000, 2048)
MESH = Mesh.over(WINDOW, 32)
# Two cutouts that overlap, and a third.
PATCHES = Patches.of([Window(10, 20, 30, 45), Window(40, 50, 60, 71), Window(45, 55, 65, 80)])


@pytest.mark.parametrize("grid", [Mesh, Patches])
def test_all_questions_are_answered(grid):
    for name, asked in vars(BackgroundGrid).items():
        if name.startswith("_") or not inspect.isfunction(asked):
            continue
        answered = getattr(grid, name)
        assert list(inspect.signature(answered).parameters) == list(
            inspect.signature(asked).parameters
        ), name


def test_a_mesh_is_one_part():
    assert MESH.is_continuous
    assert MESH.windows == [WINDOW]
    row, column = np.array([99.4, 99.6, 162.4, 130, np.nan]), np.array([2010.0, 2010, 2047, 10, 1])
    assert MESH.part_at(row, column).tolist() == [-1, 0, 0, -1, -1]


def test_each_patch_is_a_part():
    assert not PATCHES.is_continuous
    assert PATCHES.windows == [Window(10, 20, 30, 45), Window(40, 55, 60, 80)]
    row, column = np.array([12.0, 41, 52, 41, np.nan]), np.array([31.0, 61, 79, 79, 61])
    assert PATCHES.part_at(row, column).tolist() == [0, 1, 1, -1, -1]


def test_cells_of_a_mesh_are_aligned_with_the_ccd():
    row, column = (
        np.array([127.4, 127.6, 90.0, 162.4, 300]),
        np.array([2000.0, 2040, 2000, 2015, 1]),
    )
    found = MESH.cells_at(row, column, 64)
    # What is off the window counts to the cell of the nearest pixel.
    assert [(cell.as_list(), members.tolist()) for cell, members in found] == [
        ([64, 128, 1984, 2048], [0, 2]),
        ([128, 192, 1984, 2048], [1, 3, 4]),
    ]


def test_cells_end_with_the_ccd():
    ((cell, members),) = MESH.cells_at(np.array([120.0]), np.array([2047.0]), 100)
    assert (cell, members.tolist()) == (Window(100, 200, 2000, 2048), [0])


def test_patches_are_cells_and_leave_out_what_is_beside_them():
    row, column = np.array([50.0, 12, 30, 41]), np.array([70.0, 31, 31, 60])
    found = PATCHES.cells_at(row, column, 64)
    assert [(cell.as_list(), members.tolist()) for cell, members in found] == [
        ([10, 20, 30, 45], [1]),
        ([40, 55, 60, 80], [0, 3]),
    ]


def test_errors_beside_a_patch_are_those_of_the_patch():
    """In the corner between two stamps, where the middle of a bent aperture lies, and at edges."""
    error = np.array([[1.0, 2.0], [3.0, 4.0]])
    row, column = np.array([12.0, 41, 53, 9.2, 30, 70]), np.array([31.0, 61, 62, 30, 52, 70])
    assert PATCHES.part_at(row, column).tolist() == [0, 1, -1, -1, -1, -1]
    expected = [[1, 2, 2, 1, np.nan, np.nan], [3, 4, 4, 3, np.nan, np.nan]]
    np.testing.assert_array_equal(PATCHES.error_at(error, row, column), expected)
    nowhere = PATCHES.error_at(error, np.array([np.nan]), np.array([31.0]))
    assert np.isnan(nowhere).all()


def test_what_is_read_together():
    region = Window(110, 130, 2010, 2020)
    assert MESH.read_together(region) == [region]
    assert PATCHES.read_together(Window(0, 100, 0, 100)) == PATCHES.windows
    assert PATCHES.read_together(Window(15, 41, 40, 60)) == PATCHES.windows[:1]
    assert PATCHES.read_together(region) == []
    assert MESH.read_together(None) == PATCHES.read_together(None) == []


def test_levels():
    nodes, coefficients = np.arange(24.0).reshape(4, 2, 3), np.arange(48.0).reshape(4, 2, 6)
    np.testing.assert_array_equal(MESH.levels(nodes), nodes)
    assert PATCHES.levels(coefficients).tolist() == [[0, 6], [12, 18], [24, 30], [36, 42]]


def test_groups_of_images():
    """Patches 0 and 2 have backgrounds in the same images, 1 and 3 by themselves."""
    model = np.zeros((5, 4, N_TERMS))
    model[1, 1] = np.nan
    model[3, [0, 2], 5] = np.nan
    groups = {tuple(group.tolist()) for group in PATCHES.groups_of_images(model)}
    assert groups == {(0, 2), (1,), (3,)}
    nodes = np.arange(30.0).reshape(5, 2, 3)
    (everything,) = MESH.groups_of_images(nodes)
    np.testing.assert_array_equal(nodes[:, everything], nodes)


@pytest.mark.parametrize("strapped", [False, True])
@pytest.mark.parametrize("grid", [MESH, PATCHES], ids=["mesh", "patches"])
def test_built_again_from_arrays(grid, strapped):
    shape = {"mesh": (48,), "patches": (2, 20)}[grid.kind]
    straps = np.random.default_rng(1).normal(0, 0.02, shape) if strapped else None
    grid = replace(grid, straps=straps)
    found = type(grid).from_arrays(grid.window, grid.arrays())
    assert ("straps" in grid.arrays()) == strapped
    assert found.windows == grid.windows
    for name, values in grid.arrays().items():
        np.testing.assert_array_equal(found.arrays()[name], values)


@pytest.mark.parametrize(
    ("grid", "shape", "region"),
    [
        (MESH, (2, 2), Window(110, 114, 2030, 2045)),
        (PATCHES, (2, 3), Window(41, 44, 61, 66)),
        (PATCHES, (2, 3), Window(15, 45, 40, 65)),  # two patches, and what is between them
    ],
)
def test_some_pixels_are_those_of_their_region(grid, shape, region):
    model = np.random.default_rng(5).normal(100, 9, (4, *shape)).astype(np.float32)
    used = np.random.default_rng(6).permutation(region.shape[0] * region.shape[1])[:50]
    found = grid.evaluate_pixels(model, region, used)
    expected = grid.evaluate(model, region).reshape(4, -1)[:, used].T
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.isfinite(found).any()
