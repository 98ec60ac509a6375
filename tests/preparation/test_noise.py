"""The noise of pixels from the blocks of a CCD, from known noise."""

import itertools
from dataclasses import replace

import h5py
import numpy as np
import pytest
from images_block import CCD, write_images_block
from star_images import gaussian_star

from tessphot_lib.core.bins import Bins
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.mesh import Mesh
from tessphot_lib.core.noise_model import NoiseModel
from tessphot_lib.core.patches import Patches
from tessphot_lib.io.products.foreign_light_hdf5 import NEW_STAR_COLUMNS, write_foreign_light
from tessphot_lib.preparation import noise
from tessphot_lib.preparation.noise import (
    NoiseScatter,
    _look_at,
    _pieces,
    images_around,
    measure_noise,
    middle_images,
    second_difference,
)
from tessphot_lib.preparation.window_pixels import WindowPixels
from tessphot_lib.quality.pixel_noise import SkyScatter, background_factor, sky_scatter

# On outputs A and B; its borders are no multiples of anything.
WINDOW = Window(203, 273, 480, 552)
GRID = Mesh.over(WINDOW, 64)
N_IMAGES, SKY = 70, 150.0
TRUE = NoiseModel((0.0303, 0.0166, 0.02, 0.02), 6.1e-4, "images")


def stars(d_row=0.0, d_column=0.0):
    """Light of some stars of 100 to 30,000 e-/s, moved."""
    rng = np.random.default_rng(8)
    light = np.zeros(WINDOW.shape)
    for flux in np.geomspace(100, 3e4, 14):
        row, column = rng.uniform(2, 68, 2)
        at = WINDOW.row0 + row + d_row, WINDOW.column0 + column + d_column
        light += gaussian_star(WINDOW, *at, flux)
    return light


class Sector:
    """Images with known noise, in blocks."""

    def __init__(
        self, folder, *, stated=lambda sigma: sigma, shared=0.0, jitter=0.0, cuts=(30,), ghost=0.0
    ):
        rng = np.random.default_rng(3)
        self.motion = np.zeros((N_IMAGES, 6))
        self.motion[:, [0, 3]] = jitter * rng.normal(size=(N_IMAGES, 2))
        sky = SKY + 3 * np.sin(np.arange(N_IMAGES) / 9)
        light = np.array([stars(*move) for move in self.motion[:, [0, 3]]])
        clean = light + sky[:, None, None]
        sigma = TRUE.sigma(clean, WINDOW).astype(float)
        flux = clean + sigma * rng.normal(size=clean.shape)
        flux += shared * rng.normal(size=(N_IMAGES, 1, 1)) + ghost
        self.average, self.sigma = light.mean(axis=0), sigma
        self.images = {
            "time": 1683.0 + np.arange(N_IMAGES) / 48,
            "background": sky[:, None, None] + np.zeros((N_IMAGES, *GRID.shape)),
            "background_error": np.full((N_IMAGES, *GRID.shape), 0.05),
            "background_own": np.zeros((N_IMAGES, *GRID.shape)),
            "background_level": sky,
            "motion": self.motion,
            "motion_error": np.full(N_IMAGES, 1e-4),
        }
        err = stated(sigma).astype(np.float32)
        self.blocks = []
        edges = [0, *cuts, N_IMAGES]
        for first, last in itertools.pairwise(edges):
            path, some = folder / f"{first}-{last}.hdf5", slice(first, last)
            self.blocks.append(
                write_images_block(path, WINDOW, flux[some], flux_err=err[some], ccd_id=CCD)
            )

    def measure(self, **changed):
        is_good = np.ones(N_IMAGES, dtype=bool)
        expected = NoiseModel.expected(1800.0)
        given = {"expected": expected, "is_good": is_good, "choice": "auto"}
        grid = changed.pop("grid", GRID)
        return measure_noise(self.blocks, self.images, self.average, grid, CCD, **(given | changed))

    def ratio(self, model):
        """Errors by the model over the true ones, in sky and in bright pixels of each output."""
        flux = (self.average + SKY)[None]
        found = (model.sigma(flux, WINDOW) / TRUE.sigma(flux, WINDOW))[0]
        faint, bright = self.average < 5, self.average > 300
        left = np.arange(WINDOW.column0, WINDOW.column1) < 512
        return [
            np.median(found[:, left][faint[:, left]]),
            np.median(found[:, ~left][faint[:, ~left]]),
            np.median(found[bright]),
        ]


def test_right_errors_are_believed(tmp_path):
    sector = Sector(tmp_path)
    model, factor, _ = sector.measure()
    assert model.source == "images"
    assert (model.faint, model.bright) == (pytest.approx(1, abs=0.02), pytest.approx(1, abs=0.03))
    assert model.broken == 0
    np.testing.assert_allclose(sector.ratio(model), 1, atol=0.03)
    assert (factor == factor[0]).all() and factor[0] < 1  # the backgrounds are exact


@pytest.mark.parametrize(
    "stated",
    [
        lambda sigma: 0.5 * sigma,
        lambda sigma: 2 * sigma,
        lambda sigma: np.hypot(sigma, 0.45),
        lambda sigma: 0 * sigma,
        lambda sigma: np.full_like(sigma, 1.0),
        lambda sigma: np.full_like(sigma, np.nan),
        lambda sigma: np.full_like(sigma, 1e20),
    ],
    ids=["half", "double", "offset", "zero", "constant", "NaN", "sentinel"],
)
def test_wrong_errors_are_replaced_by_the_scatter(tmp_path, stated):
    sector = Sector(tmp_path, stated=stated)
    model, _, _ = sector.measure()
    assert model.source == "pixels"
    np.testing.assert_allclose(sector.ratio(model), 1, atol=0.03)
    truth = float(np.median(stated(sector.sigma) / sector.sigma))
    assert model.faint == pytest.approx(truth, rel=0.05, nan_ok=True)
    assert model.broken == pytest.approx(float(not 0.2 < truth < 5), abs=0.02)


def test_foreign_light_that_moves_is_no_noise(tmp_path):
    """An edge of 60 e-/s crosses the window in a third of the images."""
    bins, at = Bins.over(WINDOW), 4.0 * (np.arange(N_IMAGES) - 25)
    row, column = np.arange(WINDOW.shape[0])[:, None], np.arange(WINDOW.shape[1])
    across = (row + 0.5 * column)[None] - at[:, None, None]
    ghost = 60.0 / (1 + np.exp(across / 3)) * (at < 110)[:, None, None]
    sector = Sector(tmp_path, ghost=ghost)
    foreign = (at > -10) & (at < 110)
    lit = np.broadcast_to(foreign[:, None, None], (N_IMAGES, *bins.shape))
    path, none = tmp_path / "foreign_light.hdf5", np.zeros(0)
    stars = dict.fromkeys(NEW_STAR_COLUMNS, none)
    write_foreign_light(path, np.packbits(lit, axis=-1), none, none, stars, {})
    without, *_ = sector.measure()
    assert without.source == "pixels"
    model, *_ = sector.measure(foreign_light=path)
    assert model.source == "images"
    np.testing.assert_allclose(sector.ratio(model), 1, atol=0.04)


def test_motion_that_is_not_measured_is_told_from_noise(tmp_path):
    sector = Sector(tmp_path, jitter=0.004)
    known, _, factor = sector.measure()
    assert factor == 1
    assert known.motion < 0.0015
    assert known.motion_seen == pytest.approx(0.004, rel=0.3)
    np.testing.assert_allclose(sector.ratio(known), 1, atol=0.04)
    sector.images["motion"] = np.full((N_IMAGES, 6), np.nan)
    unknown, _, _ = sector.measure()
    assert unknown.motion == pytest.approx(0.004, rel=0.35)
    assert unknown.motion_seen == 0
    np.testing.assert_allclose(sector.ratio(unknown), 1, atol=0.05)


def test_errors_of_backgrounds_are_what_sky_pixels_share(tmp_path):
    _, factor, _ = Sector(tmp_path, shared=0.2).measure()
    np.testing.assert_allclose(factor, 4.0, rtol=0.25)  # 0.2 e-/s where 0.05 is stated


def test_the_noise_does_not_depend_on_the_blocks(tmp_path):
    folders = [tmp_path / name for name in ("one", "many")]
    for folder in folders:
        folder.mkdir()
    one = Sector(folders[0], cuts=()).measure()
    many = Sector(folders[1], cuts=(1, 3, 30, 31, 69)).measure()
    assert one[0] == many[0]
    np.testing.assert_array_equal(one[1], many[1])


def test_light_that_all_images_have_is_no_noise(tmp_path):
    """A galaxy of up to 300 e-/s, which all backgrounds have, does not change."""
    sector = Sector(tmp_path)
    galaxy = 300 * np.exp(-(np.indices(WINDOW.shape)[0] ** 2) / 1000.0)
    plain, factor, _ = sector.measure()
    lit = sector.measure(grid=replace(GRID, static_light=galaxy))
    np.testing.assert_allclose(lit[0].read, plain.read, rtol=0.05)
    assert lit[0].photon == pytest.approx(plain.photon, rel=0.05)
    assert lit[0].motion < 1e-3
    np.testing.assert_array_equal(lit[1], factor)


def test_motion_that_nobody_saw_is_seen_in_extended_light_by_its_slopes(tmp_path):
    """Against the slopes of what is left of it, it would be hundreds of times larger."""
    sector, jitter = Sector(tmp_path, cuts=()), 0.03
    row = np.indices(WINDOW.shape)[0]
    moved = jitter * np.random.default_rng(6).normal(size=N_IMAGES)
    with h5py.File(sector.blocks[0], "r+") as block:
        flux = block["flux"][:]
        clouds = [400 * np.sin((row - d) / 4) for d in moved]
        block["flux"][...] = flux + np.array(clouds)
    sector.average = sector.average * 0
    lit = sector.measure(grid=replace(GRID, static_light=400 * np.sin(row / 4)))[0]
    assert lit.motion == pytest.approx(jitter, rel=0.3)


def test_what_sky_pixels_share_is_that_of_their_own_piece(tmp_path):
    """A piece of too few pixels for it has none taken off, whatever another one shows."""
    sector = Sector(tmp_path)
    middle = np.arange(1, N_IMAGES - 1)
    piece = Window(220, 223, 490, 495)
    background = sector.images["background"]
    with WindowPixels(sector.blocks, background, sector.average, GRID) as pixels:
        flux, stated = (pixels.read(name, piece) for name in ("flux", "flux_err"))
    shown = second_difference(flux, middle), flux[middle], stated[middle]
    of_images = sector.images, second_difference(background, middle)
    variance = []
    for before in ([], [SkyScatter(10.0, 0.05)]):
        seen = NoiseScatter(quiet=list(before))
        _look_at(piece, middle, *shown, *of_images, sector.average, GRID, seen)
        assert seen.quiet == before
        variance.append(seen.pixels[0].variance)
    np.testing.assert_array_equal(*variance)
    assert (variance[0] > 0).all()


def test_few_images_say_nothing(tmp_path):
    sector = Sector(tmp_path)
    few = np.zeros(N_IMAGES, dtype=bool)
    few[4:12] = True
    model, factor, _ = sector.measure(is_good=few)
    assert (model.source, model.n_pixels) == ("images", 0)
    np.testing.assert_array_equal(factor, 1)


def test_few_images_with_errors_of_zero_get_photon_and_read_noise(tmp_path):
    sector = Sector(tmp_path, stated=np.zeros_like)
    model, _, _ = sector.measure(is_good=np.zeros(N_IMAGES, dtype=bool))
    assert (model.source, model.broken) == ("formula", 1.0)
    assert model.read == NoiseModel.expected(1800.0).read


@pytest.mark.parametrize(("choice", "source"), [("images", "images"), ("pixels", "pixels")])
def test_whose_errors_count_can_be_chosen(tmp_path, choice, source):
    stated = {"images": lambda sigma: 2 * sigma, "pixels": lambda sigma: sigma}[choice]
    model, _, _ = Sector(tmp_path, stated=stated).measure(choice=choice)
    assert model.source == source


def test_pieces_of_stamps_on_the_edge_of_the_ccd():
    """Chunks are counted from the first stamp, and end beyond the CCD; pieces are on stamps."""
    windows = [Window(2, 13, 5, 16), Window(2037, 2048, 2035, 2046), Window(1000, 1011, 700, 711)]
    patches = Patches.of(windows)
    found = _pieces(patches)
    assert {piece for window in windows for piece in found if window.intersect(piece) == piece}
    assert all(any(one.intersect(piece) == piece for one in windows) for piece in found)
    assert sum(one.shape[0] * one.shape[1] for one in found) > 100


def test_errors_of_the_motion_are_no_larger_than_its_changes(tmp_path):
    sector = Sector(tmp_path, jitter=5e-4)
    sector.images["motion_error"] = np.full(N_IMAGES, 2e-3)
    model, _, factor = sector.measure()
    assert factor == pytest.approx(0.25, rel=0.3)
    assert model.motion_seen == 0


def test_noise_that_a_background_took_from_its_own_pixels_counts():
    rng = np.random.default_rng(8)
    pixels = rng.normal(0, 0.4, (900, 100))
    pixels -= pixels.mean(axis=1, keepdims=True)  # the background of each image: its own sky
    second = pixels[:-2] - 2 * pixels[1:-1] + pixels[2:]
    found = sky_scatter(second, np.arange(100.0), 0.04, 0.04)
    assert background_factor([found]) == pytest.approx(1.0, abs=0.35)
    assert background_factor([sky_scatter(second, np.arange(100.0), 0.04)]) == 0.0


def test_second_differences_of_many_images_are_in_runs_that_do_not_overlap():
    time, good = 1683.0 + np.arange(9_000) / 720, np.ones(9_000, dtype=bool)
    good[4_000] = False
    middle = middle_images(time, good)
    assert len(middle) == 600
    assert np.diff(middle).min() == 3
    assert good[images_around(middle)].all()
    assert len(images_around(middle)) == 1800
    lit = np.zeros(9_000, dtype=bool)
    lit[5_050:5_150] = lit[8_000] = True  # 3 h of 300
    of_lit = middle_images(time, good, lit)
    assert lit[of_lit].sum() > 90
    assert (~lit[of_lit]).sum() == 600
    np.testing.assert_array_equal(middle_images(time[:1_100], good[:1_100])[:3], [1, 3, 5])


def test_only_images_that_show_the_noise_are_read(tmp_path, monkeypatch):
    """Of many; with the same result as if all were."""
    sector, sizes = Sector(tmp_path, cuts=(30, 31)), []
    read = WindowPixels.read
    monkeypatch.setattr(
        WindowPixels, "read", lambda *given: sizes.append(len(read(*given))) or read(*given)
    )
    monkeypatch.setattr(noise, "middle_images", lambda *_: np.arange(20, 36))
    some = sector.measure()
    assert set(sizes) == {18}
    monkeypatch.setattr(noise, "images_around", lambda _: np.arange(N_IMAGES))
    every = sector.measure()
    assert set(sizes) == {18, N_IMAGES}
    assert some[0] == every[0]
    assert some[0].n_pixels > 1000
    np.testing.assert_array_equal(some[1], every[1])
