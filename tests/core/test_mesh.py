"""The mesh of the background: cells that cover a window, evaluation anywhere in it."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.mesh import (
    Mesh,
    evaluate_background,
    evaluate_background_at,
    evaluate_background_image,
    interpolation_matrix,
)

# Not square, and not aligned with the cells of 64 pixels.
WINDOW = Window(100, 390, 1000, 1477)
WINDOWS = [
    WINDOW,
    Window(0, 128, 0, 256),  # aligned
    Window(70, 90, 200, 600),  # narrower than a cell in rows
    Window(64, 128, 640, 704),  # one cell
    Window(5, 25, 7, 40),  # part of one cell
    Window(1900, 2048, 1999, 2048),  # at the corner of the CCD
]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("box_size", [16, 64, 100])
def test_cells_cover_the_window_once_and_are_not_slivers(window, box_size):
    mesh = Mesh.over(window, box_size)
    for edges, first, last in (
        (mesh.row_edges, window.row0, window.row1),
        (mesh.column_edges, window.column0, window.column1),
    ):
        assert (edges[0], edges[-1]) == (first, last)
        assert (edges[1:-1] % box_size == 0).all()
        sizes = np.diff(edges)
        assert (sizes > 0).all()
        assert (sizes <= 1.5 * box_size).all()
        if len(sizes) > 1:
            assert (sizes >= box_size // 2).all()


def test_evaluation_in_a_region_and_at_positions_is_that_of_the_whole():
    rng = np.random.default_rng(0)
    mesh = Mesh.over(WINDOW, 64)
    models = rng.normal(100, 10, (3, *mesh.shape))
    whole = evaluate_background(models, mesh, WINDOW)
    region = Window(333, 340, 1100, 1111)
    np.testing.assert_allclose(
        evaluate_background(models, mesh, region), whole[:, *region.slices_in(WINDOW)]
    )
    row, column = np.array([100, 389, 205]), np.array([1003, 1476, 1234])
    np.testing.assert_allclose(
        evaluate_background_at(models, mesh, row, column), whole[:, row - 100, column - 1000]
    )
    models[1] = np.nan
    assert np.isnan(evaluate_background(models, mesh, region)[1]).all()
    assert np.isfinite(evaluate_background(models, mesh, region)[::2]).all()


def test_nodes_are_in_the_middle_of_the_pixels_of_their_cells():
    """What rises evenly with row and column is the same again, cells cut by the edge included."""
    window = Window(70, 310, 30, 500)
    mesh = Mesh.over(window, 64)

    def plane(row, column):
        return 100 + 0.3 * np.asarray(row, dtype=float) - 0.2 * np.asarray(column, dtype=float)

    rows, columns = (
        np.array([np.arange(first, last).mean() for first, last in pairwise(edges)])
        for edges in (mesh.row_edges, mesh.column_edges)
    )
    model = plane(rows[:, None], columns)
    region = Window(70, 310, 100, 500)
    at_row, at_column = np.mgrid[70:310, 100:500]
    np.testing.assert_allclose(
        evaluate_background(model, mesh, region), plane(at_row, at_column), rtol=1e-12
    )


def test_errors_between_cells_do_not_overshoot():
    """A cell without sky has a large error; those beside it keep theirs."""
    mesh = Mesh.over(Window(0, 320, 0, 256), 64)
    error = np.full((2, *mesh.shape), 0.1)
    error[1, 2, 1] = 50.0
    row, column = np.array([159.5, 31.5, 159.5, 200.0]), np.array([95.5, 95.5, 159.5, 223.5])
    found = mesh.error_at(error, row, column)
    np.testing.assert_allclose(found[0], 0.1)
    np.testing.assert_allclose(found[1], [50.0, 0.1, 0.1, 0.1])
    between = mesh.error_at(error, np.array([159.5]), np.array([127.5]))
    np.testing.assert_allclose(between[1], 25.05)


def test_static_light_is_added_in_pixels_and_at_positions():
    window = Window(10, 74, 20, 84)
    static = np.random.default_rng(1).normal(size=window.shape)
    plain, mesh = Mesh.over(window, 32), replace(Mesh.over(window, 32), static_light=static)
    model = np.full((3, 2, 2), 7.0)
    region = Window(30, 40, 25, 60)
    added = mesh.evaluate(model, region) - plain.evaluate(model, region)
    np.testing.assert_allclose(added, np.broadcast_to(static[20:30, 5:40], added.shape))
    at = mesh.evaluate_at(model, np.array([33.0, 34.5]), np.array([30.0, 31.0]))
    expected = [static[23, 10], 0.5 * (static[24, 11] + static[25, 11])]
    np.testing.assert_allclose(at, 7.0 + np.broadcast_to(expected, at.shape))
    again = Mesh.from_arrays(window, mesh.arrays())
    np.testing.assert_array_equal(again.static_light, static)
    assert "static_light" not in plain.arrays()
    np.testing.assert_array_equal(
        mesh.without_static().evaluate(model, region), plain.evaluate(model, region)
    )


def test_displaced_mesh_is_that_of_pixels_farther_on():
    """Sky and straps are, static light is not."""
    rng = np.random.default_rng(3)
    window = Window(100, 260, 300, 420)
    static = rng.uniform(0, 5, window.shape)
    mesh = replace(Mesh.over(window, 64), straps=rng.uniform(0, 0.05, 120))
    model = rng.uniform(90, 110, (2, *mesh.shape))
    region, beside = Window(150, 170, 310, 331), Window(153, 173, 308, 329)
    moved = replace(mesh, static_light=static).displaced((3, -2))
    expected = mesh.evaluate(model, beside)
    found = moved.evaluate(model, region) - static[50:70, 10:31]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    alone = evaluate_background_image(model[1], moved, region)
    np.testing.assert_allclose(alone, expected[1], rtol=1e-6)
    at = moved.without_static().evaluate_at(model, np.array([152.0]), np.array([312.0]))
    np.testing.assert_allclose(at[:, 0], expected[:, 2, 2], rtol=1e-12)
    assert mesh.displaced((0, 0)) is mesh


def test_matrices_are_kept_by_value_and_cannot_be_changed():
    edges, position = np.array([3, 9, 14, 30]), np.array([4.0, 11.5])
    first = interpolation_matrix(edges, position)
    assert interpolation_matrix(edges.copy(), position.astype(np.float32)) is first
    position[1] = 12.0
    assert not np.array_equal(interpolation_matrix(edges, position), first)
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 1.0
