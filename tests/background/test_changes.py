"""What changed in an image: sky, stars, foreign light; each known, and the others in the way."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from tessphot_lib.background.changes import BinnedResidual, Segments, Starlight, bin_residual
from tessphot_lib.background.foreign_light import _uneven, judge
from tessphot_lib.background.new_stars import find_new_stars, new_starlight
from tessphot_lib.core.bins import Bins
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.mesh import Mesh

WINDOW = Window(103, 391, 1002, 1262)  # not square, not aligned with cells or bins
MESH, BINS = Mesh.over(WINDOW, 64), Bins.over(WINDOW)
ROW, COLUMN = np.indices(WINDOW.shape)
SIGMA = 0.5
LIMIT = 1.0


def star(row, column, flux, width=0.9):
    """A star with wings."""
    distance = np.hypot(ROW - row, COLUMN - column)
    core = np.exp(-0.5 * (distance / width) ** 2) / (2 * np.pi * width**2)
    return flux * (0.95 * core + 0.05 * 0.5 * 4 / np.pi / (4 + distance**2) ** 1.5)


@pytest.fixture(scope="module")
def starlight():
    rng = np.random.default_rng(5)
    light = np.zeros(WINDOW.shape)
    for row, column in rng.uniform([0, 0], WINDOW.shape, size=(250, 2)):
        light += star(row, column, 10 ** rng.uniform(1.5, 4.5))
    light += star(150.3, 120.6, 3e4)
    return light


def changes_of(starlight, change, background=100.0):
    """Foreign pixels, nodes of the sky and their errors, of an image with some change.

    ``background`` is what has been taken off already: nodes, or a level.
    """
    rng = np.random.default_rng(11)
    residual = change + rng.normal(0, 1, WINDOW.shape) * np.sqrt(SIGMA**2 + starlight / 1000)
    new = find_new_stars(residual, starlight, SIGMA)
    extra = new_starlight(residual, new) if new.row.size else None
    binned = bin_residual(residual, Starlight.of(starlight), extra, BINS)
    judged = judge(binned, BINS, MESH, np.full(MESH.shape, background), limit=LIMIT)
    return BINS.spread(judged.foreign), judged, new


def ghosts():
    radius = np.hypot(ROW - 140, COLUMN - 130)
    angle = np.arctan2(ROW - 140, COLUMN - 130)
    ring = 20 * np.exp(-0.5 * ((radius - 40) / 2.5) ** 2)
    disc = np.where(radius < 40, np.maximum(ring, 8.0), ring)
    return {
        "ring": ring,
        "disc": disc,
        "arc": np.where(np.abs(angle) < 1, ring, 0.0),
        "plate": np.where(radius < 15, 6.0, 0.0),
        "dark": -ring,
    }


@pytest.mark.parametrize("shape", ["ring", "disc", "arc", "plate", "dark"])
def test_ghost_is_flagged_or_is_in_the_sky(starlight, shape):
    light = ghosts()[shape]
    foreign, judged, _ = changes_of(starlight, light)
    sky = MESH.evaluate(judged.sky[None], WINDOW)[0]
    lit = np.abs(light) > 2.0
    told = foreign | (np.abs(sky - light) < 1.0)
    assert told[lit].mean() > 0.95
    assert told[~lit].mean() > 0.99
    assert foreign[distance_transform_edt(~lit) > 8].mean() < 0.01


def test_nothing_changed_and_nothing_is_found(starlight):
    foreign, judged, new = changes_of(starlight, np.zeros(WINDOW.shape))
    assert not foreign.any()
    assert new.row.size == 0
    np.testing.assert_allclose(judged.sky, 0, atol=0.15)
    assert (judged.error < 0.1).all()


def test_sky_follows_smooth_light(starlight):
    smooth = 5 + 0.03 * ROW + 4 * np.sin(COLUMN / 90)
    foreign, judged, _ = changes_of(starlight, smooth)
    sky = MESH.evaluate(judged.sky[None], WINDOW)[0]
    assert not foreign.any()
    assert np.std(sky - smooth) < 0.1


def test_both_sides_of_an_edge_are_flagged(starlight):
    """A spline through 64-px cells swings on both sides of a step."""
    light = np.where(COLUMN > 131, 12.0, 0.0)
    foreign, judged, _ = changes_of(starlight, light)
    off = MESH.evaluate(judged.sky[None], WINDOW)[0] - light
    assert (foreign | (np.abs(off) < 2.0)).mean() > 0.97
    assert foreign[:, 128:131].mean() > 0.8
    assert foreign[:, 133:136].mean() > 0.8


@pytest.mark.parametrize("factor", [-0.9, -0.2, 0.3, 0.9])
def test_variable_star_is_no_reflection(starlight, factor):
    foreign, _, _ = changes_of(starlight, factor * star(150.3, 120.6, 3e4))
    assert not foreign.any()


@pytest.mark.parametrize(("flux", "width"), [(3e3, 0.9), (1e5, 0.9), (1e6, 0.7), (2e4, 1.2)])
def test_outburst_is_no_reflection_and_is_listed(starlight, flux, width):
    foreign, _, new = changes_of(starlight, star(200.2, 60.4, flux, width))
    assert foreign.mean() < 2e-4
    assert len(new.row) == 1
    np.testing.assert_allclose([new.row[0], new.column[0]], [200.2, 60.4], atol=0.15)
    np.testing.assert_allclose(new.flux[0], flux, rtol=0.15)


def test_outburst_on_a_ghost_leaves_the_ghost(starlight):
    light = ghosts()["ring"]
    foreign, _, new = changes_of(starlight, light + star(140.2, 170.1, 2e4))
    assert len(new.row) == 1
    assert foreign[light > 5].mean() > 0.9


def test_ghost_has_no_new_stars(starlight):
    for light in ghosts().values():
        assert changes_of(starlight, 5 * light)[2].row.size == 0


def test_error_is_large_where_foreign_light_hides_the_sky(starlight):
    """No sky is seen in cells that a bright, uneven reflection fills."""
    clouds = 40 * (1.5 + np.sin(ROW / 3) * np.sin(COLUMN / 3.3))
    inside = (np.abs(ROW - 140) < 40) & (np.abs(COLUMN - 130) < 40)
    foreign, judged, _ = changes_of(starlight, np.where(inside, clouds, 0.0))
    assert foreign[inside].mean() > 0.9
    assert judged.error.max() >= LIMIT
    assert np.median(judged.error) < 0.1


@pytest.mark.parametrize("axis", [0, 1])
def test_sky_of_a_covered_cell_goes_on_the_slope_around_it(starlight, axis):
    """Its rough background took 10 e-/s of the reflection for sky; that of others is right."""
    true, covered = 100 + 40.0 * np.indices(MESH.shape)[axis], (2, 2)
    rough = true.copy()
    rough[covered] += 10
    cells = np.zeros(MESH.shape, dtype=bool)
    cells[covered] = True
    rows, columns = (np.diff(edges) for edges in (MESH.row_edges, MESH.column_edges))
    inside = np.repeat(np.repeat(cells, rows, axis=0), columns, axis=1)
    clouds = 40 * (1.5 + np.sin(ROW / 3) * np.sin(COLUMN / 3.3))
    change = MESH.evaluate((true - rough)[None], WINDOW)[0] + np.where(inside, clouds, 0.0)
    foreign, judged, _ = changes_of(starlight, change, rough)
    assert foreign[inside].mean() > 0.98
    np.testing.assert_allclose(rough + judged.sky, true, atol=2)
    assert judged.error[covered] == pytest.approx(np.hypot(LIMIT, 40), rel=0.05)
    assert np.median(judged.error) < 0.5


def test_missing_pixels_and_empty_images(starlight):
    change = np.zeros(WINDOW.shape)
    change[50:80, 60:90] = np.nan
    foreign, judged, _ = changes_of(starlight, change)
    assert not foreign.any()
    assert np.isfinite(judged.sky).all()
    nothing = np.full(WINDOW.shape, np.nan)
    binned = bin_residual(nothing, Starlight.of(starlight), None, BINS)
    judged = judge(binned, BINS, MESH, np.zeros(MESH.shape), limit=LIMIT)
    assert not judged.foreign.any()
    assert np.isnan(judged.error).all()


def judged_bins(mean, mesh, background=100.0, error=0.05):
    """Judge bins that show a change, on a sky of 100 e-/s."""
    known = np.isfinite(mean)
    errors = np.where(known, error, np.inf)
    binned = BinnedResidual(mean, errors, np.where(known, 0.0, np.inf))
    return judge(binned, BINS, mesh, np.full(mesh.shape, background), limit=LIMIT)


@pytest.mark.parametrize("box_size", [8, 9, 10, 13, 16, 24])
def test_small_cells_keep_their_background(box_size):
    """They have 4 to 16 bins: the sky of 100 e-/s must not be cancelled for want of more."""
    mesh = Mesh.over(WINDOW, box_size)
    mean = 0.4 + np.random.default_rng(2).normal(0, 0.05, BINS.shape)
    judged = judged_bins(mean, mesh)
    assert not judged.foreign.any()
    np.testing.assert_allclose(BINS.evaluate(judged.sky, mesh).mean(), 0.4, atol=0.02)
    np.testing.assert_allclose(judged.sky, 0.4, atol=0.6)
    assert np.median(judged.error) < 0.06
    assert (judged.error > 0).all()


def test_sky_under_foreign_light_everywhere_is_not_cancelled():
    """A checkerboard of +-5 e-/s: no bin shows sky, and the error says so."""
    row, column = np.indices(BINS.shape)
    mean = np.where((row // 2 + column // 2) % 2, 5.0, -5.0)
    judged = judged_bins(mean, MESH)
    assert judged.foreign.mean() > 0.95
    assert np.abs(judged.sky).max() < 6
    assert judged.error.min() > 4


def test_image_without_any_cell_of_sky_keeps_its_background():
    """Two bins here and there, and nothing else, give no cell a level."""
    mean = np.full(BINS.shape, np.nan)
    mean[5, 7], mean[40, 50] = 3.0, -3.0
    judged = judged_bins(mean, MESH)
    np.testing.assert_array_equal(judged.sky, 0)
    assert not judged.foreign.any()
    np.testing.assert_allclose(judged.error, np.hypot(LIMIT, 3.0))


def test_cells_without_bins_do_not_make_the_others_uneven():
    """A third of the CCD is missing; the rest has one uneven cell."""
    mean = np.random.default_rng(3).normal(0, 0.05, BINS.shape)
    cells = BINS.cells(MESH)
    mean[: cells.row_edges[2]] = np.nan
    uneven = _uneven(mean, cells, LIMIT)
    assert not uneven.any()
    inside = slice(cells.row_edges[3], cells.row_edges[4]), slice(0, cells.column_edges[1])
    mean[inside] += 3 * (np.indices(BINS.shape)[0][inside] % 2)
    assert np.argwhere(_uneven(mean, cells, LIMIT)).tolist() == [[3, 0]]


def test_a_cell_of_a_nebula_that_is_noisier_than_the_others_keeps_its_sky():
    """No bin exceeds the limit; the sky that the others would give it is 900 e-/s off."""
    mesh, cell = Mesh.over(WINDOW, 64), (2, 1)
    background = np.full(mesh.shape, 100.0)
    background[cell] = 1000.0
    mean = np.random.default_rng(6).normal(0, 0.02, BINS.shape)
    cells = BINS.cells(mesh)
    inside = tuple(
        slice(edges[index], edges[index + 1])
        for edges, index in zip((cells.row_edges, cells.column_edges), cell, strict=True)
    )
    mean[inside] += 0.6 * (-1.0) ** np.indices(BINS.shape)[0][inside]
    judged = judged_bins(mean, mesh, background)
    assert not judged.foreign.any()
    assert np.abs(judged.sky).max() < 0.5


def test_two_patches_of_light_are_judged_by_themselves():
    """Of the parts that exceed the lower limit only that with a bright bin is foreign light."""
    mean = np.random.default_rng(4).normal(0, 0.01, BINS.shape)
    mean[10:20, 10:20] += 0.8  # under the limit ...
    mean[14, 14] += 5  # ... but for a bin
    mean[40:50, 40:50] += 0.8
    foreign = judged_bins(mean, MESH).foreign
    assert foreign[11:19, 11:19].all()
    assert not foreign[30:].any()


def test_change_of_a_star_is_its_slope():
    light = star(50.0, 60.0, 1e4) + star(54.5, 62.0, 3e3)
    segments = Segments.of(light)
    residual = 0.1 * star(50.0, 60.0, 1e4) + 7.0  # on an even ghost
    residual[51, 60] = np.nan
    slope = segments.slopes(residual.ravel()[segments.pixels], SIGMA)
    change = np.zeros(WINDOW.shape)
    change.ravel()[segments.pixels] = np.repeat(slope, segments.sizes) * segments.light
    np.testing.assert_allclose(change[48:52, 58:62], 0.1 * light[48:52, 58:62], rtol=0.05)
    assert (change[200:] == 0).all()
    assert Segments.of(np.zeros(WINDOW.shape)).slopes(np.zeros(0), SIGMA).size == 0


def test_pixels_of_a_star_are_those_on_its_slope(starlight):
    """Whichever way is uphill; each pixel once, star by star."""
    segments = Segments.of(starlight)
    assert sorted(segments.pixels) == np.flatnonzero(starlight.ravel() > 0.8).tolist()
    np.testing.assert_array_equal(segments.light, starlight.ravel()[segments.pixels])
    assert segments.sizes.sum() == segments.pixels.size
    star_of = np.zeros(WINDOW.shape, dtype=int)
    star_of.ravel()[segments.pixels] = 1 + np.repeat(np.arange(len(segments.first)), segments.sizes)
    bright = star_of[150, 121]
    assert bright > 0
    assert (star_of[147:154, 118:124] == bright).mean() > 0.9
    some = np.array([bright, 4]) - 1
    mine = segments.pixels[segments.of_stars(some)]
    assert sorted(mine) == np.flatnonzero(np.isin(star_of, some + 1)).tolist()
    assert segments.of_stars(np.zeros(0, dtype=int)).size == 0


@pytest.mark.parametrize("sigma", [0.3, 0.5, 2.7])
def test_slopes_of_stars_are_those_of_straight_lines(starlight, sigma):
    """Whatever is left out beforehand; a third of them changed, and a pixel of one is unknown."""
    segments = Segments.of(starlight)
    values = np.random.default_rng(8).normal(0, 1, segments.pixels.size)
    values *= np.sqrt(sigma**2 + segments.light / 50)
    changed = np.arange(len(segments.first)) % 3 == 0
    values += 0.05 * np.repeat(changed, segments.sizes) * segments.light
    values[segments.first[5]] = np.nan
    expected = np.zeros(len(segments.first))
    for star, (first, size) in enumerate(zip(segments.first, segments.sizes, strict=True)):
        mine = slice(first, first + size)
        light = segments.light[mine]
        error = np.sqrt(sigma**2 + light / 50 + (0.004 * light) ** 2)
        known = np.isfinite(values[mine])
        if known.sum() < 2:
            continue
        design = np.column_stack([light, np.ones(size)]) / error[:, None]
        inverse = np.linalg.pinv(design[known].T @ design[known])
        slope = (inverse @ design[known].T @ (values[mine] / error)[known])[0]
        expected[star] = slope if abs(slope) >= 4 * np.sqrt(inverse[0, 0]) else 0.0
    found = segments.slopes(values, sigma)
    np.testing.assert_array_equal(found != 0, expected != 0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert 10 < np.count_nonzero(found) <= np.count_nonzero(changed) + 1


def test_some_rows_of_bins_are_those_of_all(starlight):
    """Stars that changed, and a new one, stand inside and outside of them."""
    residual = 0.1 * starlight + np.random.default_rng(3).normal(0, SIGMA, WINDOW.shape)
    residual[60:63, 7] = np.nan
    extra = star(70.2, 40.1, 5e3) + star(150.0, 200.0, 2e3)
    stars = Starlight.of(starlight.astype(np.float32))
    every = bin_residual(residual + extra, stars, extra, BINS, sigma=SIGMA)
    rows = slice(9, 25)
    some = bin_residual(residual + extra, stars, extra, BINS, sigma=SIGMA, rows=rows)
    for name, values in vars(every).items():
        np.testing.assert_allclose(getattr(some, name), values[rows], rtol=1e-6, err_msg=name)


def test_error_of_a_cell_beside_foreign_light_has_what_the_mesh_does_not_follow():
    """A wave of 0.6 e-/s, shorter than the cell it is in, is too faint to be foreign light."""
    cells, row = BINS.cells(MESH), np.indices(BINS.shape)[0]
    inside = slice(*cells.row_edges[2:4]), slice(*cells.column_edges[1:3])
    mean = np.random.default_rng(4).normal(0, 0.05, BINS.shape)
    quiet = judged_bins(mean, MESH).error
    mean[inside] += 0.6 * np.sin(2 * np.pi * (row[inside] - row[inside][0, 0]) / 8)
    wave = judged_bins(mean, MESH)
    assert not wave.foreign.any()
    assert wave.error[2, 1] < 0.05  # a nebula that moves may leave as much
    corner = cells.row_edges[2] - 8, cells.column_edges[2] + 4
    mean[corner[0] : corner[0] + 4, corner[1] : corner[1] + 4] = 8.0
    judged = judged_bins(mean, MESH)
    assert judged.foreign.mean() < 0.02
    of_three_bins = (1 + 2 * np.cos(2 * np.pi / 8)) / 3
    assert judged.error[2, 1] == pytest.approx(of_three_bins * 0.6 / np.sqrt(2), rel=0.1)
    assert np.median(judged.error) == pytest.approx(np.median(quiet), rel=0.1)
    assert np.median(quiet) < 0.05 / 15


def test_a_bin_in_which_a_star_hides_foreign_light_is_as_those_around_it():
    mean = np.random.default_rng(9).normal(0, 0.05, BINS.shape)
    mean[20:30, 22:30] = 8.0
    doubt = np.zeros(BINS.shape)
    at_edge, far = (29, 25), (45, 50)
    for one in (at_edge, far):
        mean[one], doubt[one] = 3.0, 5.0
    binned = BinnedResidual(mean, np.full(BINS.shape, 0.05), doubt)
    foreign = judge(binned, BINS, MESH, np.full(MESH.shape, 100.0), limit=LIMIT).foreign
    assert foreign[20:30, 22:30].all()
    assert not foreign[far]
    assert foreign.sum() <= 12 * 10  # with the bins right beside it
