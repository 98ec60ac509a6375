"""Which cadences are looked at together: single images, or half an hour of short ones."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from pixel_cube import CCD, open_cube

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.noise_model import NoiseModel
from tessphot_lib.photometry.detections import Expected, Looked, Spans, _light, detect


def cube_of(number, good, ccd_id=CCD):
    return SimpleNamespace(
        attributes={"cadence_seconds": float(ccd_id.cadence or 1800)},
        ccd_id=ccd_id,
        cadenceno=number,
        n_cadences=len(number),
        is_good=lambda: good,
        block_slices=lambda: [slice(0, len(number))],
    )


def test_short_cadences_are_looked_at_together():
    """Half hours: with a gap, one without good cadences, the last one cut."""
    number = np.concatenate([np.arange(7, 52), np.arange(90, 120)])  # 15 of 120 s each
    good = np.ones(75, dtype=bool)
    good[[0, 3, 74]], good[15:30] = False, False
    cube = cube_of(number, good, replace(CCD, cadence=120))
    spans = Spans.of(cube)
    np.testing.assert_array_equal(spans.first, [0, 30, 45, 52, 67])
    np.testing.assert_array_equal(spans.stop, [15, 45, 52, 67, 75])
    np.testing.assert_array_equal(spans.image, [8, 37, 48, 59, 70])
    parts = list(spans.slices(cube, Window(0, 2000, 0, 100)))  # one at a time
    assert [cadences.start for cadences, _ in parts] == spans.first.tolist()
    assert [numbers.tolist() for _, numbers in parts] == [[0], [1], [2], [3], [4]]
    seen = spans.has(np.array([29, 30, 44, 45, 74]), np.array([37, 70]))
    np.testing.assert_array_equal(seen, [False, True, True, False, True])


def test_images_are_looked_at_one_by_one():
    good = np.array([True, False, True, True])
    cube = cube_of(np.array([5, 6, 7, 9]), good)
    spans = Spans.of(cube)
    np.testing.assert_array_equal(spans.image, [0, 2, 3])
    ((cadences, numbers),) = spans.slices(cube, Window(0, 10, 0, 10))
    assert cadences == slice(0, 4)
    np.testing.assert_array_equal(numbers, [0, 1, 2])
    np.testing.assert_array_equal(spans.has(np.arange(4), np.array([2])), [0, 0, 1, 0])


def test_means_of_short_cadences_and_their_errors(tmp_path):
    """Two half hours of 600 s: the second image is not good, some values are missing."""
    window = Window(1001, 1002, 1210, 1213)
    flux = np.array([[1.0, np.nan, np.nan], [70, 70, 70], [3, 5, np.nan], [4, 4, 4], [6, 8, 4]])
    flux_err = np.full((5, 1, 3), 0.2, np.float32)
    flux_err[3, 0, 1] = 0.4
    given = {"quality": np.array([0, 128, 0, 0, 0]), "cadenceno": np.arange(30, 35)}
    given |= {"flux_err": flux_err, "attributes": {"cadence_seconds": 600.0}}
    with open_cube(tmp_path, window, flux[:, None].astype(np.float32), **given) as cube:
        looked = Looked.of(cube)
        ((numbers, light, error, sky),) = _light(cube, window, looked)
    np.testing.assert_array_equal(numbers, [0, 1])
    np.testing.assert_allclose(light + sky, np.array([[2, 5, np.nan], [5, 6, 4]])[:, None])
    both = 0.2 / np.sqrt(2)
    expected = [[both, 0.2, np.nan], [both, np.sqrt(0.05), both]]
    np.testing.assert_allclose(error[:, 0], expected, rtol=2e-3)  # as they are rounded


def test_errors_are_known_around_what_stands_out():
    """What stars change and move by, scattered light and noise; of two images one has more."""
    rng = np.random.default_rng(2)
    window = Window(500, 530, 810, 850)
    average = rng.exponential(50.0, window.shape)
    scene = Expected(window, average, rng.normal(0, 20, (2, *window.shape)))
    each = np.arange(2)
    motion = np.zeros((2, 6))
    motion[:, 0], motion[:, 3] = [0.1, -0.2], [0.3, 0.0]
    scattered = np.array([0.0, 0.4])
    looked = Looked(Spans(each, each + 1, each, 1), np.ones(2, dtype=bool), motion, scattered)
    noise = rng.uniform(1, 2, (2, *window.shape))
    sky = rng.uniform(100, 200, (2, *window.shape))
    shifted = [scene.moved(one) for one in motion]
    seen = np.array(shifted)
    seen[0, 7, 39] += 10.0
    seen[1, 20, 11] += 10.0
    seen[1, 20, 12] = np.nan
    residual, sigma = looked.compared(scene, seen, noise, sky, each)
    np.testing.assert_allclose(residual, seen - shifted)
    needed = np.zeros(seen.shape, dtype=bool)
    needed[0, 5:10, 37:], needed[1, 18:23, 9:14] = True, True
    np.testing.assert_array_equal(np.isfinite(sigma), needed)
    shift = np.array([0.1**2 + 0.3**2, 0.2**2])[:, None, None]
    expected = noise**2 + (0.03 * average) ** 2
    expected += (0.03**2 + (0.6 * shift) ** 2) * (scene.slopes**2).sum(axis=0)
    expected += (0.05 * scattered[:, None, None] * sky) ** 2
    np.testing.assert_allclose(sigma[needed], np.sqrt(expected)[needed])


@pytest.mark.parametrize("of_images", [{"quality": np.full(4, 128)}, {"background_level": np.nan}])
def test_without_good_images_or_known_sky_nothing_stands_out(tmp_path, of_images):
    window = Window(1001, 1015, 1210, 1230)
    of_images = {name: np.broadcast_to(values, 4).copy() for name, values in of_images.items()}
    with open_cube(tmp_path, window, np.ones((4, *window.shape), np.float32), **of_images) as cube:
        assert not len(detect(cube).image)


@pytest.mark.parametrize("source", ["images", "formula"])
def test_errors_of_means_are_the_stated_ones_where_these_make_sense(tmp_path, source):
    """Of one pixel they are 1.5 times, of another 20 times as large as expected, of one none."""
    window = Window(1001, 1003, 1210, 1213)
    model = replace(NoiseModel.expected(120.0), source=source)
    level = np.array([[100.0, 5e3, 40.0], [200.0, 1e4, 80.0]])
    flux = np.broadcast_to(level, (32, *level.shape)).astype(np.float32)
    expected = model.sigma(flux[0], window)
    ratio = np.array([[1.0, 1.5, 20.0], [0.7, np.nan, 1.0]])
    given = {"flux_err": np.broadcast_to(ratio * expected, flux.shape), "sky": 10.0}
    given |= {"cadenceno": np.arange(32), "quality": np.where(np.arange(32) == 16, 128, 0)}
    about = {"cadence_seconds": 120.0, "noise": model.to_json()}
    with open_cube(tmp_path, window, flux, attributes=about, **given) as cube:
        ((_, light, error, sky),) = _light(cube, window, Looked.of(cube))
    assert light.shape == (3, *level.shape)  # 15, 14 and 2 cadences
    np.testing.assert_allclose(light, np.broadcast_to(level - 10, light.shape), rtol=1e-5)
    np.testing.assert_allclose(sky, 10.0, rtol=1e-5)
    believed = np.array([[1.0, 1.5, 1.0], [0.7, 1.0, 1.0]]) if source == "images" else 1.0
    number = np.array([15, 14, 2])[:, None, None]
    np.testing.assert_allclose(error, believed * expected / np.sqrt(number), rtol=4e-3)
