"""The simulated sky and CCD: what the simulation says is true must be true of its images."""

import numpy as np
import pytest

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.simulation.detector import bleed, full_well_rate
from tessphot_lib.simulation.motion import displacement, largest_displacement
from tessphot_lib.simulation.orbit import barycentric_correction, spacecraft_position
from tessphot_lib.simulation.pointing import to_angles
from tessphot_lib.simulation.prf import prf_stamp
from tessphot_lib.simulation.render import TAYLOR_LIMIT, Renderer, star_image, uncatalogued_light
from tessphot_lib.simulation.scene import (
    background_truth,
    build_scene,
    light_curve_truth,
    motion_truth,
    noise_truth,
    prf_truth,
)
from tessphot_lib.simulation.stars import TRANSIT

CCD = CcdId(14, 2, 3)
WINDOW = Window(700, 790, 420, 540)  # not square, off the middle
NO_EVENTS = {
    name: 0
    for name in (
        "coarse_every",
        "dump_every",
        "zero_every",
        "nan_every",
        "scattered_every",
        "failed_wcs_every",
    )
}


def scene_with(window=WINDOW, **settings):
    """A scene of few images; crowded as the standard case unless told otherwise."""
    return build_scene(
        CCD, window=window, settings=SimulationSettings(**{"n_images": 8, **settings})
    )


def centroid(image):
    rows, columns = np.indices(image.shape)
    return (rows * image).sum() / image.sum(), (columns * image).sum() / image.sum()


@pytest.mark.parametrize("family", ["usual", "asymmetric"])
@pytest.mark.parametrize("position", [(12.3, 1999.8), (1030.4, 700.5), (2040.0, 3.2)])
def test_prf_sums_to_one_and_is_centred_on_the_star(position, family):
    row, column = position
    rows, columns = np.arange(int(row) - 100, int(row) + 103), np.arange(int(column) - 98, 2200)
    stamp = prf_stamp(row, column, rows, columns[:205], 1, family=family)
    # The farthest wings of the asymmetric family reach beyond these pixels.
    assert stamp.sum() == pytest.approx(1.0, abs=1e-6 if family == "usual" else 1e-5)
    down, along = centroid(stamp)
    tolerance = 1e-4 if family == "usual" else 2e-3
    assert rows[0] + down == pytest.approx(row, abs=tolerance)
    assert columns[0] + along == pytest.approx(column, abs=tolerance)


def test_prf_is_elongated_away_from_the_camera_and_wider_there():
    # CCD 1 has the camera's centre at high rows and columns.
    def second_moments(row, column):
        steps = np.arange(-4, 5)
        stamp = prf_stamp(row, column, row + steps, column + steps, 1)
        a, b = np.meshgrid(steps, steps, indexing="ij")
        return (stamp * a * a).sum(), (stamp * a * b).sum(), (stamp * b * b).sum()

    near, far = second_moments(2000, 2000), second_moments(50, 50)
    assert far[0] > 1.2 * near[0]
    assert far[1] > 0.03  # along the diagonal
    assert abs(near[1]) < 1e-3
    beside = second_moments(2000, 50)  # the centre lies to higher columns
    assert beside[2] > beside[0] + 0.05


def test_asymmetric_prf_has_no_axis_of_symmetry_and_wings_that_change():
    def mirrored(stamp):
        flipped = (stamp[::-1], stamp[:, ::-1], stamp.T, stamp[::-1, ::-1].T, stamp[::-1, ::-1])
        return min(np.abs(stamp - other).sum() for other in flipped)

    steps = np.arange(-4, 5)
    outside = []
    for row, column in ((2097.0, 2105.0), (900.0, 1200.0), (5.0, 5.0)):  # away from the center
        pixels = int(row) + steps, int(column) + steps
        stamp = prf_stamp(row, column, *pixels, 1, family="asymmetric")
        assert mirrored(stamp) > 0.03
        outside.append(1 - stamp.sum())
    assert outside[2] > 2 * outside[0]


def test_images_show_the_asymmetric_prf():
    scene = scene_with(
        stars_per_ccd=0, showcase=True, noise_factor=0.0, prf_family="asymmetric", **NO_EVENTS
    )
    stars = scene.stars
    star = int(np.flatnonzero(stars.tmag == 9.0)[0])
    image = star_image(scene, stars.select(np.arange(5) == star))
    stamp, corner = prf_truth(scene, stars.row[star], stars.column[star], (31, 31))
    at = corner[0] - scene.window.row0, corner[1] - scene.window.column0
    part = image[at[0] : at[0] + 31, at[1] : at[1] + 31]
    np.testing.assert_allclose(part, stars.flux[star] * stamp, atol=2e-5 * stars.flux[star])


def test_prf_concentration_is_that_of_tess():
    shares = []
    for row, column in np.random.default_rng(3).uniform(0, 2047, (60, 2)):
        steps = np.arange(-8, 9)
        stamp = prf_stamp(row, column, round(row) + steps, round(column) + steps, 1)
        shares.append(np.sort(stamp.ravel())[::-1].cumsum()[[3, 8, 15]])
    # Facts: 60 % of the light in 4 pixels, 81 % in 9, 95 % in 16.
    assert np.mean(shares, axis=0) == pytest.approx([0.60, 0.81, 0.95], abs=0.04)


def test_isolated_star_has_its_flux_its_prf_and_its_motion():
    scene = scene_with(stars_per_ccd=0, showcase=True, noise_factor=0.0, **NO_EVENTS)
    renderer = Renderer(scene)
    assert len(scene.stars) == 5
    for index in (0, 5):
        light = renderer.clean_light(index)[scene.window.slices_in(scene.region)]
        light = light - background_truth(scene, index)
        star = int(np.flatnonzero(scene.stars.tmag == 9.0)[0])
        stars = scene.stars
        others = star_image(scene, stars.select(np.arange(5) != star), scene.motion(index))
        row, column = stars.row[star], stars.column[star]
        drow, dcolumn = motion_truth(scene)(row, column)
        stamp, corner = prf_truth(scene, row + drow[index, 0], column + dcolumn[index, 0], (9, 11))
        flux = stars.flux[star] * light_curve_truth(scene, int(stars.tic_id[star]))[index]
        where = (
            slice(corner[0] - WINDOW.row0, corner[0] - WINDOW.row0 + 9),
            slice(corner[1] - WINDOW.column0, corner[1] - WINDOW.column0 + 11),
        )
        # The wings of the others vary by a percent or so of next to nothing.
        assert light[where] - others[where] == pytest.approx(flux * stamp, abs=1e-4 * flux)
        assert (light - others)[where].sum() == pytest.approx(flux * stamp.sum(), rel=1e-4)


def test_all_light_of_the_stars_arrives():
    scene = scene_with(
        Window(0, 400, 0, 500), stars_per_ccd=0, showcase=True, noise_factor=0.0, **NO_EVENTS
    )
    light = Renderer(scene).clean_light(0)[scene.window.slices_in(scene.region)]
    light = light - background_truth(scene, 0)
    expected = sum(
        flux * light_curve_truth(scene, int(tic_id))[0]
        for tic_id, flux in zip(scene.stars.tic_id, scene.stars.flux, strict=True)
    )
    assert light.sum() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("motion", "expected"),
    [
        ([[0.5, 0, 0], [-0.25, 0, 0]], (0.5, -0.25)),
        ([[0, 1e-3, 0], [0, 0, 2e-3]], (1e-3 * (733 - 1023.5), 2e-3 * (477 - 1023.5))),
        ([[0, 0, 1e-3], [2e-3, 0, 0]], (1e-3 * (477 - 1023.5), 2e-3)),
    ],
)
def test_motion_moves_stars_to_higher_rows_and_columns(motion, expected):
    scene = scene_with(stars_per_ccd=0, showcase=True)
    star = scene.stars.select(np.array([0]))
    star.row[:], star.column[:] = 733.0, 477.0
    star.tmag[:], star.flux[:] = 10.0, 15000.0
    still, moved = (star_image(scene, star, np.array(m)) for m in (np.zeros((2, 3)), motion))
    shift = np.subtract(centroid(moved), centroid(still))
    # The wings that leave the window pull a little.
    assert shift == pytest.approx(expected, abs=0.005)
    assert displacement(np.array(motion), np.array([733.0]), np.array([477.0])) == (
        pytest.approx(expected[0]),
        pytest.approx(expected[1]),
    )


def test_rendering_moved_stars_by_their_derivatives_is_as_good_as_anew():
    scene = scene_with(variable_fraction=0.0, motion_rms=0.06, aberration=0.05, **NO_EVENTS)
    size = largest_displacement(scene.motion(0))
    assert 0.08 < size < TAYLOR_LIMIT
    approximate = Renderer(scene).starlight(0)[scene.window.slices_in(scene.region)]
    exact = star_image(scene, scene.stars, scene.motion(0))
    assert np.abs(approximate - exact).max() < 0.05  # [e-/s], a seventh of the noise


def test_bleeding_keeps_the_charge_and_fills_both_sides():
    light = np.ones((11, 3))
    light[5, 1] = 9 * 10.0
    light[:, 2] = 9.0
    before = light.copy()
    result = bleed(light, 10.0)
    assert np.array_equal(light, before)
    # 80 are too many; 40 go each way, 9 find room in each pixel and 4 in the last.
    assert result[:, 1] == pytest.approx([5, *9 * [10], 5])
    assert np.array_equal(result[:, [0, 2]], light[:, [0, 2]])


def test_bled_charge_is_lost_at_the_end_of_the_column():
    light = np.zeros((5, 2))
    light[1, 0] = 60.0
    result = bleed(light, 10.0)
    assert result[:, 0] == pytest.approx([10, 10, 10, 10, 5])


def test_bright_star_fills_its_wells_and_bleeds_along_the_column():
    scene = scene_with(stars_per_ccd=0, showcase=True, **NO_EVENTS)
    full = full_well_rate(scene.settings)
    light = Renderer(scene).clean_light(0)
    assert light.max() == pytest.approx(full)
    rows, columns = np.nonzero(light > 0.999 * full)
    assert np.ptp(rows) > 2 * np.ptp(columns)
    assert abs(np.median(rows) + scene.region.row0 - scene.stars.row[0]) < 2


def test_noise_is_that_of_the_uncertainty_image():
    scene = scene_with(Window(0, 200, 500, 600), stars_per_ccd=1000, **NO_EVENTS)
    renderer = Renderer(scene)
    images = [renderer.render(index) for index in range(3)]
    deviates = np.concatenate(
        [((image.flux - image.clean) / image.flux_err).ravel() for image in images]
    )
    assert deviates.std() == pytest.approx(1.0, abs=4 / np.sqrt(2 * deviates.size))
    assert deviates.mean() == pytest.approx(0.0, abs=4 / np.sqrt(deviates.size))
    assert abs(np.corrcoef(deviates.reshape(3, -1))[0, 1]) < 0.03


def test_noise_by_hand_with_each_output_its_read_noise():
    scene = scene_with()
    sigma = noise_truth(scene, np.full((3, 4), 100.0), Window(5, 8, 510, 514))
    photons = 100.0 * 900 * 1.98
    for column, read_noise in ((1, 10.06), (2, 7.46)):
        expected = 1.026 * np.sqrt(photons + 900 * read_noise**2) / (900 * 1.98)
        assert sigma[:, column] == pytest.approx(expected)


def test_window_is_cut_from_the_whole_image():
    settings = SimulationSettings(n_images=64, stars_per_ccd=4000, seed=5)
    whole, part = (
        build_scene(CCD, window=window, settings=settings) for window in (Window(), WINDOW)
    )
    whole_renderer, part_renderer = Renderer(whole), Renderer(part)
    kinds = [whole.kind(index) for index in range(64)]
    for index in (kinds.index("quiet"), kinds.index("coarse"), kinds.index("scattered")):
        expected, image = whole_renderer.render(index), part_renderer.render(index)
        inside = WINDOW.slices_in(Window())
        assert image.clean == pytest.approx(expected.clean[inside], rel=1e-6)
        assert image.flux == pytest.approx(expected.flux[inside], rel=1e-5)


def test_bleeding_from_outside_reaches_into_the_window():
    settings = SimulationSettings(n_images=4, stars_per_ccd=20000, seed=2, **NO_EVENTS)
    whole = build_scene(CCD, window=Window(0, 2048, 0, 2048), settings=settings)
    star = 0  # the brightest
    row, column = round(whole.stars.row[star]), round(whole.stars.column[star])
    assert 100 < row < 1900
    window = Window(row + 4, row + 40, max(column - 20, 0), min(column + 20, 2048))
    part = build_scene(CCD, window=window, settings=settings)
    assert part.region.row0 < row
    part_light = Renderer(part).render(0).clean
    assert part_light[0].max() == pytest.approx(full_well_rate(settings))
    expected = Renderer(whole).render(0).clean[window.slices_in(Window())]
    assert part_light == pytest.approx(expected, rel=1e-6)


def test_image_is_the_same_in_any_order():
    scene = scene_with()
    forward, alone = Renderer(scene), Renderer(scene)
    first, last = forward.render(0), forward.render(7)
    assert np.array_equal(alone.render(7).flux, last.flux)
    assert not np.array_equal(first.flux, last.flux)


def test_empty_images():
    scene = scene_with(n_images=64)
    kinds = [scene.kind(index) for index in range(64)]
    renderer = Renderer(scene)
    assert not renderer.render(kinds.index("zero")).flux.any()
    nan = renderer.render(kinds.index("nan"))
    assert np.isnan(nan.flux).all()
    assert np.isnan(nan.flux_err).all()
    assert np.isfinite(nan.clean).all()


def test_diffuse_light_has_the_levels_asked_for():
    scene = build_scene(CCD, settings=SimulationSettings(n_images=64, stars_per_ccd=0))
    kinds = [scene.kind(index) for index in range(64)]
    plain = SimulationSettings(n_images=64, stars_per_ccd=0, reflection_level=0, glow_level=0)
    without_ring = build_scene(CCD, settings=plain)
    quiet = kinds.index("quiet")
    sky = background_truth(without_ring, quiet)
    assert sky.min() == pytest.approx(110.0, abs=8)
    assert sky.max() == pytest.approx(220.0, abs=8)
    ring_and_glow = (background_truth(scene, quiet) - sky)[600:, 600:]
    assert ring_and_glow.max() == pytest.approx(150.0, rel=1e-2)
    assert ring_and_glow.min() == pytest.approx(0.0, abs=1e-9)
    worst = max(background_truth(scene, index).max() for index in range(64))
    assert 0.6 * 30 * 165 < worst < 1.3 * 30 * 165
    scattered = [index for index, kind in enumerate(kinds) if kind == "scattered"]
    levels = [float(np.median(background_truth(scene, index))) for index in scattered]
    assert len(levels) > 6
    assert np.argmax(levels) not in (0, len(levels) - 1)


def test_ring_has_its_width_and_drifts():
    scene = scene_with(
        Window(900, 1100, 900, 1200), stars_per_ccd=0, reflection_center=[1000.0, 1000.0],
        reflection_radius=120.0, sky_level=0.0, sky_gradient=0.0, glow_level=0.0, **NO_EVENTS,
    )  # fmt: skip
    cut = background_truth(scene, 0)[100]  # through the centre, to the right
    columns = 900 + np.flatnonzero(cut > 75.0)
    assert columns.min() == 1000 + 120 - 4
    assert columns.max() == 1000 + 120 + 4
    later = background_truth(scene, 3)
    # 2 px per hour, images half an hour apart, the gap not yet reached.
    assert np.abs(later - background_truth(scene, 0)).max() > 30


def test_glow_is_in_the_corner_far_from_the_camera():
    # CCD 3 has the camera's centre at high rows and columns.
    with_glow, without = (
        build_scene(CCD, settings=SimulationSettings(n_images=2, stars_per_ccd=0, glow_level=level))
        for level in (60.0, 0.0)
    )
    glow = background_truth(with_glow, 0) - background_truth(without, 0)
    assert glow[0, 0] == pytest.approx(60.0, rel=0.05)
    assert glow[-1, -1] == 0
    assert glow[1500, 1500] == 0


def test_uncatalogued_stars_shine_and_are_fainter_than_the_limit():
    scene = scene_with()
    unknown = scene.stars.select(~scene.stars.known)
    assert unknown.tmag.min() >= 18.0
    assert 19.9 < unknown.tmag.max() <= 20.0
    light = uncatalogued_light(scene)
    assert light.shape == WINDOW.shape
    density = 100000 * (10**0.9 - 10**0.3) / 2048**2 * WINDOW.shape[0] * WINDOW.shape[1]
    inside = WINDOW.contains(unknown.row, unknown.column)
    assert 0.3 * density < inside.sum() < 2 * density  # there are clusters
    assert light.sum() == pytest.approx(unknown.flux[inside].sum(), rel=0.1)


def test_number_of_stars_and_its_slope():
    stars = build_scene(CCD, settings=SimulationSettings(n_images=2)).stars
    on_ccd = stars.select(Window().contains(stars.row, stars.column))
    assert (on_ccd.tmag < 17).sum() == pytest.approx(100000, rel=0.03)
    assert (on_ccd.tmag < 14).sum() == pytest.approx(100000 * 10**-0.9, rel=0.05)
    assert (on_ccd.tmag < 6.8).sum() > 40
    assert np.all(np.diff(stars.tmag) >= 0)
    assert len(np.unique(stars.tic_id)) == len(stars)


def test_stars_stay_the_same_when_the_catalog_goes_deeper():
    shallow, deep = (
        build_scene(CCD, window=WINDOW, settings=SimulationSettings(n_images=2), faint_limit=limit)
        for limit in (15.0, 17.0)
    )
    common = shallow.stars.tmag < 15
    n_common = int(common.sum())
    for name in ("tic_id", "row", "tmag", "pm_ra", "period", "variability"):
        assert np.array_equal(
            getattr(shallow.stars, name)[:n_common], getattr(deep.stars, name)[:n_common]
        )


def test_transit_has_its_depth_and_duration():
    scene = scene_with(n_images=400, gap_after=400, cadence_seconds=600, showcase=True)
    stars = scene.stars
    star = int(np.flatnonzero((stars.variability == TRANSIT) & (stars.tmag == 9.0))[0])
    curve = light_curve_truth(scene, int(stars.tic_id[star]))
    assert curve.shape == (400,)
    assert curve.max() == 1.0
    assert 1 - curve.min() == pytest.approx(stars.amplitude[star], rel=1e-6)
    share = (curve < 1 - 0.5 * stars.amplitude[star]).mean()
    # The flat part and half of the two slopes.
    assert share == pytest.approx(0.85 * stars.duration[star] / stars.period[star], rel=0.15)


def test_variable_star_varies_in_the_images_as_its_truth_says():
    scene = scene_with(
        stars_per_ccd=0, showcase=True, motion_rms=0.0, roll_rms=0.0, aberration=0.0, **NO_EVENTS
    )
    renderer = Renderer(scene)
    star = int(np.flatnonzero(scene.stars.tmag == 11.5)[0])
    row = round(scene.stars.row[star]) - scene.region.row0
    column = round(scene.stars.column[star]) - scene.region.column0
    peaks = [renderer.starlight(index)[row, column] for index in range(8)]
    curve = light_curve_truth(scene, int(scene.stars.tic_id[star]))
    assert np.ptp(curve) > 0.05
    assert peaks / peaks[0] == pytest.approx(curve / curve[0], rel=2e-3)


def test_unknown_star_has_no_truth():
    with pytest.raises(InputDataError, match="TIC 5: not among the stars of s0014-cam2-ccd3"):
        light_curve_truth(scene_with(), 5)


def test_motion_has_the_size_asked_for():
    settings = {"n_images": 1250, "gap_days": 1.0, **NO_EVENTS}
    quiet = motion_truth(scene_with(stars_per_ccd=0, aberration=0.0, roll_rms=0.0, **settings))
    drow, dcolumn = quiet(np.array([0.0, 2000.0]), np.array([0.0, 100.0]))
    assert drow.shape == (1250, 2)
    assert np.concatenate([drow, dcolumn]).std() == pytest.approx(0.017, rel=0.15)
    assert drow[:, 0] == pytest.approx(drow[:, 1])
    settings |= {"motion_rms": 0.0, "roll_rms": 0.0}
    drift = motion_truth(scene_with(stars_per_ccd=0, **settings))
    ends = drift(np.array([-0.5, 2047.5, 1023.5, 1023.5]), np.array([1023.5, 1023.5, -0.5, 2047.5]))
    change = np.hypot(*(d[-1] - d[0] for d in ends))
    assert change.max() == pytest.approx(0.1, rel=0.1)


def test_motion_of_an_orbit_and_a_step_in_the_middle():
    still = {"motion_rms": 0.0, "roll_rms": 0.0, "aberration": 0.0, "stars_per_ccd": 0}
    settings = still | {"n_images": 1200, "gap_after": 700} | NO_EVENTS

    def path(**motion):
        places = np.array([1023.5]), np.array([1023.5])
        moved = motion_truth(scene_with(**settings, **motion))(*places)
        return np.stack(moved)[:, :, 0]

    drift = path(motion_drift=0.22)
    assert np.hypot(*(drift[:, 657] - drift[:, 0])) == pytest.approx(0.22, rel=1e-2)  # 13.7 d
    np.testing.assert_allclose(drift[:, 700:], drift[:, :500], atol=1e-12)  # each orbit again
    transient = np.hypot(*path(motion_transient=0.05))
    assert transient[[0, 700]] == pytest.approx(0.05)
    assert (transient[[48, 699, 748]] < 0.002).all()
    step = path(pointing_step=1.5)
    assert not step[:, :600].any()
    np.testing.assert_allclose(np.hypot(*step[:, 600:]), 1.5)


def test_dim_and_blurred_images():
    settings = {"n_images": 6, "uncatalogued_depth": 0.0, "variable_fraction": 0.0} | NO_EVENTS
    settings |= {"motion_rms": 0.0, "roll_rms": 0.0, "aberration": 0.0}
    usual = Renderer(scene_with(**settings)).starlight(0)
    dim = Renderer(scene_with(**settings, dim_every=1, dim_fraction=0.03)).starlight(0)
    np.testing.assert_allclose(dim, 0.97 * usual)
    blurred = Renderer(scene_with(**settings, blur_every=1)).starlight(0)
    assert blurred.sum() == pytest.approx(usual.sum(), rel=1e-2)
    brightest = np.unravel_index(np.argmax(usual), usual.shape)
    assert blurred[brightest] < 0.95 * usual[brightest]


def test_coarse_images_move_far_but_not_too_far():
    scene = scene_with(n_images=64, stars_per_ccd=0)
    size = np.hypot(*(d[:, 0] for d in motion_truth(scene)(1023.5, 1023.5)))
    coarse = np.array([scene.kind(index) == "coarse" for index in range(64)])
    assert coarse.sum() >= 2
    assert np.all(size[coarse] > 0.06)
    assert np.all(size[coarse] < 0.3 + 0.08)
    dump = np.array([scene.kind(index) == "dump" for index in range(64)])
    assert dump.sum() == 1
    assert np.all(size[~(coarse | dump)] < 0.1)


def test_light_arrives_early_when_the_spacecraft_is_on_the_side_of_the_star():
    time = np.array([1700.0])
    position = spacecraft_position(time)[0]
    assert np.linalg.norm(position) == pytest.approx(1.0, abs=0.03)
    ra, dec = (angle[0] for angle in to_angles(position[:, None]))
    toward = barycentric_correction(time, ra, dec)[0, 0]
    away = barycentric_correction(time, (ra + 180) % 360, -dec)[0, 0]
    assert toward * 86400 == pytest.approx(499.0, rel=0.03)
    assert away == pytest.approx(-toward)
