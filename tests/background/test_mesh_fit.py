"""The background: known surfaces are found again, stars do not matter, errors are right."""

from itertools import pairwise

import numpy as np
import pytest
from photutils.background import Background2D

from tessphot_lib.background.mesh_fit import SkySampler, fit_background
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.mesh import Mesh, evaluate_background

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


def positions(window):
    return np.mgrid[window.row0 : window.row1, window.column0 : window.column1].astype(float)


def no_mask(window):
    return np.zeros(window.shape, dtype=bool)


def fitted(image, window, mask=None, box_size=64):
    """Background in the window, (model, error, image of the background)."""
    mesh = Mesh.over(window, box_size)
    sampler = SkySampler.from_mask(mesh, no_mask(window) if mask is None else mask)
    model, error = fit_background(image.astype(np.float32), sampler)
    return model, error, evaluate_background(model, mesh, window)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_constant(window):
    model, error, background = fitted(np.full(window.shape, 137.5), window)
    np.testing.assert_allclose(background, 137.5, rtol=1e-6)
    np.testing.assert_allclose(error, 0.0, atol=1e-4)
    assert model.shape == error.shape == Mesh.over(window, 64).shape


@pytest.mark.parametrize("window", [WINDOW, WINDOWS[1], WINDOWS[5]], ids=str)
def test_tilted_plane(window):
    row, column = positions(window)
    plane = 100 + 0.05 * (row - window.row0) - 0.02 * (column - window.column0)
    *_, background = fitted(plane, window)
    cell_of_one = np.array(Mesh.over(window, 64).shape) == 1  # no slope can be seen along it
    if cell_of_one[1]:
        plane = plane.mean(axis=1, keepdims=True) + 0 * plane
    np.testing.assert_allclose(background, plane, atol=0.1)


def test_smooth_surface():
    row, column = positions(WINDOW)
    surface = 200 + 60 * np.sin(row / 150.0) * np.cos(column / 110.0) + column / 50
    *_, background = fitted(surface, WINDOW)
    # The spline has no curvature at its ends; farther inside it follows better.
    inner = (slice(110, -110), slice(140, -140))
    assert np.abs(background - surface)[inner].max() < 1.0
    assert np.abs(background - surface).max() < 9.0
    assert np.std(background - surface) < 2.0  # the surface itself has 30


def test_means_over_the_cells_are_kept():
    """The value at a cell's centre is not the cell's mean where the sky is curved."""
    window = Window(96, 288, 320, 608)
    row, column = positions(window)
    surface = 0.025 * (row + 100) ** 2 - 0.02 * (column + 200) ** 2
    *_, background = fitted(surface, window, box_size=32)
    difference = (background - surface).reshape(6, 32, 9, 32).mean(axis=(1, 3))
    np.testing.assert_allclose(difference, 0, atol=0.01)  # 1.7 if taken for the centres


def test_row_and_column_are_not_swapped():
    row, column = positions(WINDOW)
    *_, background = fitted(50 + 0.0 * column + 0.3 * (row - 100), WINDOW)
    assert background[-20].mean() - background[20].mean() == pytest.approx(0.3 * 250, rel=0.02)
    assert np.ptp(background, axis=1).max() < 0.5


def star_field(window, seed=0, spacing=14):
    """Stars of all brightness, (light, mask of their cores and wings)."""
    rng = np.random.default_rng(seed)
    row, column = positions(window)
    light, mask = np.zeros(window.shape), no_mask(window)
    n_stars = window.shape[0] * window.shape[1] // spacing**2
    for flux in 10 ** rng.uniform(1.5, 5, n_stars):
        at_row = rng.uniform(window.row0, window.row1)
        at_column = rng.uniform(window.column0, window.column1)
        near = (np.abs(row - at_row) < 9) & (np.abs(column - at_column) < 9)
        distance2 = (row[near] - at_row) ** 2 + (column[near] - at_column) ** 2
        star = flux / (2 * np.pi) * np.exp(-0.5 * distance2)
        light[near] += star
        mask[near] |= star > 0.02
    return light, mask


def test_masked_stars_leave_no_trace():
    row, column = positions(WINDOW)
    light, mask = star_field(WINDOW)
    assert 0.2 < mask.mean() < 0.8
    sky = 90 + 0.03 * (row - 100) + 0.01 * (column - 1000)
    noise = np.random.default_rng(1).normal(0, 2.0, WINDOW.shape)
    *_, background = fitted(sky + light + noise, WINDOW, mask)
    assert np.std(background - sky) < 0.12
    assert abs(np.mean(background - sky)) < 0.03


def test_unmasked_stars_are_clipped():
    light, _ = star_field(WINDOW, seed=2, spacing=28)
    noise = np.random.default_rng(3).normal(0, 2.0, WINDOW.shape)
    *_, background = fitted(90 + light + noise, WINDOW)
    assert light.mean() > 5
    assert abs(np.mean(background - 90)) < 0.5


def test_mask_on_one_side_of_the_cells_does_not_tilt_the_plane():
    row, column = positions(WINDOW)
    plane = 100 + 0.2 * (row - 245) + 0.1 * (column - 1230)
    mask = (row % 64 < 40) | (column % 64 < 30)
    *_, background = fitted(plane, WINDOW, mask)
    assert np.abs(background - plane).max() < 1.0  # a cell spans 13 and 6


def test_missing_pixels_do_not_count():
    row, column = positions(WINDOW)
    plane = 100 + 0.05 * (row - 100)
    image = plane + np.random.default_rng(2).normal(0, 0.5, WINDOW.shape)
    holes = (row + 3 * column) % 7 == 0
    *_, whole = fitted(image, WINDOW)
    image[holes] = np.nan
    *_, background = fitted(image, WINDOW)
    assert np.isfinite(background).all()
    np.testing.assert_allclose(background, whole, atol=0.3)


def test_cell_without_sky_is_filled_from_its_neighbors():
    image = np.full(WINDOW.shape, 80.0) + np.random.default_rng(2).normal(0, 1, WINDOW.shape)
    mask = no_mask(WINDOW)
    mask[:160, :200] = True  # some cells whole
    image[mask] = 1e5
    image[-40:, -80:] = np.nan
    model, error, background = fitted(image, WINDOW, mask)
    assert np.isfinite(model).all()
    np.testing.assert_allclose(background, 80.0, atol=1.0)
    mesh = Mesh.over(WINDOW, 64)
    blind = (mesh.row_edges[1:] <= WINDOW.row0 + 160)[:, None] & (
        mesh.column_edges[1:] <= WINDOW.column0 + 200
    )
    assert blind.any()
    assert (error[blind] == error.max()).all()


def test_ring_on_most_of_the_sky_that_stars_leave_is_not_background():
    """One cell is nearly all stars; a reflection lies on what is left of it."""
    row, column = positions(WINDOW)
    sky = 100 + 0.03 * (row - 100) + 0.02 * (column - 1000)
    image = sky + np.random.default_rng(6).normal(0, 1.5, WINDOW.shape)
    mask = no_mask(WINDOW)
    mask[117:164, 152:216] = True
    ring = 150 * np.exp(-0.5 * ((row - 205) / 6.0) ** 2)
    *_, background = fitted(image + ring, WINDOW, mask)
    assert np.abs(background - sky).max() < 12  # the ring is clipped in all cells but one
    *_, open_sky = fitted(image + ring, WINDOW)
    near = slice(70, 190), slice(130, 240)
    assert np.abs(background - open_sky)[near].max() < 6


@pytest.mark.parametrize("width", [120.0, 200.0])
def test_uneven_scattered_light_is_background_all_the_same(width):
    """A bump of some cells, on one side of the window."""
    row, column = positions(WINDOW)
    bump = 3000 * np.exp(-0.5 * ((row - 110) ** 2 + (column - 1100) ** 2) / width**2)
    image = 100 + bump + np.random.default_rng(7).normal(0, 2, WINDOW.shape)
    *_, background = fitted(image, WINDOW)
    mesh = Mesh.over(WINDOW, 64)
    means = [
        image[a - 100 : b - 100, c - 1000 : d - 1000].mean()
        for a, b in pairwise(mesh.row_edges)
        for c, d in pairwise(mesh.column_edges)
    ]
    found = [
        background[a - 100 : b - 100, c - 1000 : d - 1000].mean()
        for a, b in pairwise(mesh.row_edges)
        for c, d in pairwise(mesh.column_edges)
    ]
    np.testing.assert_allclose(found, means, rtol=0.02, atol=3)


@pytest.mark.parametrize("what", ["all masked", "all missing"])
def test_no_sky_at_all(what):
    image, mask = np.full(WINDOW.shape, 5.0), no_mask(WINDOW)
    if what == "all masked":
        mask[:] = True
    else:
        image[:] = np.nan
    model, error, background = fitted(image, WINDOW, mask)
    assert np.isnan(model).all()
    assert np.isnan(error).all()
    assert np.isnan(background).all()


def test_a_bright_cell_that_is_even_is_background():
    """Only where a cell scatters more than its neighbors, too, something lies on it."""
    rng = np.random.default_rng(9)
    window = Window(0, 320, 64, 448)
    image = 100 + rng.normal(0, 0.5, window.shape)
    cell = (slice(128, 192), slice(192, 256))
    image[cell] += 5.0
    *_, background = fitted(image, window)
    assert background[cell].mean() == pytest.approx(105.0, abs=0.1)


def test_error_is_that_of_the_cells_means():
    """Over many images the means of the cells scatter as their errors say."""
    window, n_images = Window(0, 128, 64, 192), 300
    mesh = Mesh.over(window, 64)
    mask = np.zeros(window.shape, dtype=bool)
    mask[:64, :64] = True
    mask[:64:3, :64:3] = False  # a cell with 484 pixels; the others have more
    sampler = SkySampler.from_mask(mesh, mask)
    rng = np.random.default_rng(8)
    means, errors = [], []
    for _ in range(n_images):
        image = rng.normal(100, 5.0, window.shape).astype(np.float32)
        model, error = fit_background(image, sampler)
        background = evaluate_background(model, mesh, window)
        means.append(background.reshape(2, 64, 2, 64).mean(axis=(1, 3)))
        errors.append(error)
    means, errors = np.array(means), np.mean(errors, axis=0)
    assert errors[0, 0] == pytest.approx(5 / 22, rel=0.05)
    np.testing.assert_allclose(means.mean(axis=0), 100, atol=0.05)
    # Clipping and the cells' share of stars are in the scatter: 15 % are allowed.
    np.testing.assert_allclose(means.std(axis=0), errors, rtol=0.15)


def test_window_has_the_background_of_the_whole():
    """Cells are fixed on the CCD, so that the inside of a window does not know of its edges."""
    outer, inner = Window(0, 640, 0, 768), Window(64, 576, 128, 704)
    row, column = positions(outer)
    rng = np.random.default_rng(4)
    image = 100 + row / 20 + column / 40 + rng.normal(0, 1.5, outer.shape)
    cut = inner.slices_in(outer)
    _, outer_error, whole = fitted(image, outer)
    _, inner_error, part = fitted(image[cut], inner)
    np.testing.assert_array_equal(inner_error, outer_error[1:9, 2:11])
    far = (slice(224, -224), slice(224, -224))  # the spline's memory of the edge fades
    np.testing.assert_allclose(part[far], whole[cut][far], atol=0.01)


def test_scale_and_offset_go_through():
    light, mask = star_field(WINDOW, seed=6)
    image = 100 + light + np.random.default_rng(1).normal(0, 3, WINDOW.shape)
    model, error, background = fitted(image, WINDOW, mask)
    model2, error2, background2 = fitted(4 * image, WINDOW, mask)
    np.testing.assert_allclose(model2, 4 * model, rtol=1e-5)
    np.testing.assert_allclose(error2, 4 * error, rtol=1e-3)
    np.testing.assert_allclose(background2, 4 * background, rtol=1e-5)


def test_image_is_left_as_it_was():
    image = np.random.default_rng(1).normal(100, 3, WINDOW.shape).astype(np.float32)
    before = image.copy()
    fit_background(image, SkySampler.from_mask(Mesh.over(WINDOW, 64), no_mask(WINDOW)))
    np.testing.assert_array_equal(image, before)


def test_mask_must_fit_the_window():
    with pytest.raises(ValueError, match=r"mask is \(477, 290\), the window \(290, 477\)"):
        SkySampler.from_mask(Mesh.over(WINDOW, 64), np.zeros((477, 290), dtype=bool))


def test_agrees_with_photutils():
    """An independent estimate of the same sky, as good as that is between its cells."""
    window = Window(0, 512, 0, 448)
    row, column = positions(window)
    rng = np.random.default_rng(12)
    truth = 120 + row / 40 + 8 * np.sin(column / 90)
    image = truth + rng.normal(0, 1.0, window.shape)
    mask = rng.random(window.shape) < 0.2
    image[mask] += 500
    mesh = Mesh.over(window, 64)
    model, _ = fit_background(image.astype(np.float32), SkySampler.from_mask(mesh, mask))
    ours = evaluate_background(model, mesh, window)
    theirs = Background2D(image, 64, mask=mask, filter_size=1, exclude_percentile=90).background
    assert np.abs(np.median(ours - theirs)) < 0.05
    inner = (slice(64, -64), slice(64, -64))
    assert np.std((ours - truth)[inner]) < np.std((theirs - truth)[inner])
    np.testing.assert_allclose(ours[inner], theirs[inner], atol=1.0)
