"""Target pixel files see the sky and the motion of the images of the same time."""

from dataclasses import replace

import numpy as np
import pytest

from tessphot_lib.core.errors import ConfigError, InputDataError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.simulation.render import Renderer
from tessphot_lib.simulation.scene import build_scene
from tessphot_lib.simulation.stamps import build_stamp_scene, render_stamp
from tessphot_lib.steps.simulate_cutouts import run_simulate_cutouts

CCD = CcdId(14, 2, 3)
WINDOW = Window(700, 740, 420, 470)  # not square, off the middle
STILL = {"motion_rms": 0.0, "roll_rms": 0.0, "aberration": 0.0}
QUIET = {
    f"{name}_every": 0 for name in ("coarse", "dump", "zero", "nan", "scattered", "failed_wcs")
}


def scenes(**settings):
    """The scene of the images, and of 120-s cadences, 15 in an image."""
    given = {"n_images": 6, "stars_per_ccd": 30000, "gap_after": 4} | STILL | QUIET | settings
    common = {
        "window": WINDOW,
        "settings": SimulationSettings(**given),
        "faint_limit": 17.0,
    }
    return build_scene(CCD, **common), build_stamp_scene(replace(CCD, cadence=120), **common)


@pytest.mark.parametrize("motion", [{"motion_drift": 0.3}, {"motion_transient": 0.2}])
def test_stamps_move_as_the_images_do(motion):
    images, stamps = scenes(n_images=40, gap_after=25, **motion)
    for index in range(0, stamps.n_images, 7):
        expected = images.motion(stamps.image_of(index))
        np.testing.assert_array_equal(stamps.motion(index), expected)
    assert np.ptp([stamps.motion(index)[0, 0] for index in range(stamps.n_images)]) > 0


@pytest.mark.parametrize("kind", ["dim", "blur"])
def test_cadences_are_dim_or_blurred_with_their_image(kind):
    settings = {"uncatalogued_depth": 0.0, "variable_fraction": 0.0}
    _, usual = scenes(**settings)
    images, stamps = scenes(**settings, **{f"{kind}_every": 3})
    plain = Renderer(usual).starlight(0)
    of_images, of_stamps = Renderer(images), Renderer(stamps)
    changed = [not np.allclose(of_images.starlight(image), plain, rtol=1e-3) for image in range(6)]
    assert sum(changed) == 2
    for index in range(2, stamps.n_images, 5):
        is_changed = not np.allclose(of_stamps.starlight(index), plain, rtol=1e-3)
        assert is_changed == changed[stamps.image_of(index)]


def test_asteroids_of_stamps_are_those_of_the_images():
    """In the middle of an image the cadence there shows them where the image does."""
    moving = {"asteroids": 3, "asteroid_tmag": (10.0, 10.0), "asteroid_speed": (0.5, 0.5)}
    images, stamps = scenes(**moving)
    of_image = Renderer(images).asteroid_light(2)
    of_cadences = [
        Renderer(stamps).asteroid_light(index)
        for index in np.flatnonzero(stamps.image_index == 2).tolist()
    ]
    assert len(of_cadences) == 15
    assert of_image.sum() > 0
    assert np.mean(of_cadences, axis=0).sum() == pytest.approx(of_image.sum(), rel=0.02)
    window = Window(710, 721, 430, 441)
    without = scenes()[1]
    inside = window.slices_in(stamps.region)
    shown = render_stamp(stamps, window).flux - render_stamp(without, window).flux
    for index in (0, 40, stamps.n_images - 1):
        true = Renderer(stamps).asteroid_light(index)[inside]
        np.testing.assert_allclose(shown[index], true, atol=3 + 0.05 * true.max())


def test_asteroids_may_pass_beside_the_images():
    """Their stamps of 41 pixels need not reach the region."""
    images, _ = scenes(asteroids=1)
    renderer = Renderer(images)
    (row, column) = images.asteroids.at(images.elapsed(0))
    for d_row, d_column in [(-21, 0), (-20.4, 0), (0, -20.4), (59.9, 0), (0, 69.9), (60, 70)]:
        first = replace(
            images.asteroids,
            row=images.asteroids.row - row + images.region.row0 + d_row,
            column=images.asteroids.column - column + images.region.column0 + d_column,
        )
        renderer._asteroids = replace(first, speed_row=first.speed_row * 0)
        assert np.isfinite(renderer.asteroid_light(0)).all()


def test_asteroids_cross_the_edge_of_the_ccd():
    """Two in a region that begins with the first row of the CCD, on it and beyond."""
    scene = build_scene(
        CCD,
        window=Window(0, 40, 420, 470),
        settings=SimulationSettings(n_images=2, stars_per_ccd=3000, asteroids=1, **STILL, **QUIET),
        faint_limit=14.0,
    )
    renderer = Renderer(scene)
    light = []
    for row in (30.0, 3.0, -1.5):
        still = {"speed_row": scene.asteroids.speed_row * 0, "speed_column": np.zeros(1)}
        at = {"row": np.array([row]), "column": np.array([440.0])}
        renderer._asteroids = replace(scene.asteroids, **still, **at, flux=np.array([1000.0]))
        light.append(renderer.asteroid_light(0).sum())
    assert light[0] == pytest.approx(1000.0, rel=0.02)
    assert light[1] == pytest.approx(light[0], rel=0.05)
    assert 0 < light[2] < 0.3 * light[0]


@pytest.mark.parametrize(
    ("tic_id", "error", "match"),
    [(0, InputDataError, "TIC 0"), (None, ConfigError, r"no pixel in the simulated window \[700")],
)
def test_cutouts_of_stars_off_the_window_are_refused(tmp_path, tic_id, error, match):
    images, _ = scenes()
    if tic_id is None:
        tic_id = int(images.stars.tic_id[np.argmin(images.stars.row)])
    with pytest.raises(error, match=match):
        run_simulate_cutouts(
            CCD,
            tmp_path / "cutouts",
            tmp_path / "stars.csv",
            window=WINDOW,
            tic_ids=[tic_id],
            size=11,
            settings=images.settings,
            faint_limit=17.0,
        )
