"""From a scene to images.

Stars down to ``variable_limit`` are rendered again in each image at their true
positions, in stamps as large as the brightness asks for. The fainter ones are
rendered once with their derivatives and moved by a Taylor expansion of second
order; in images that move far (coarse pointing) they are rendered again, too.
The wide wings of all stars that do not vary are rendered apart, by convolution.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.stamps import stamp_pixels
from tessphot_lib.simulation import detector, prf
from tessphot_lib.simulation.motion import displacement, largest_displacement
from tessphot_lib.simulation.scene import (
    WING_REACH,
    Scene,
    background_truth,
    noise_truth,
    prf_truth,
    star_light,
)
from tessphot_lib.simulation.schedule import is_chosen
from tessphot_lib.simulation.stars import CONSTANT, Stars

BLUR = ((-1, -1), (-1, 1), (1, -1), (1, 1))  # (row, column) sides that a blurred image is from
ASTEROID_HALF = 20  # [pixels] of their stamps
ASTEROID_TIMES = (0.1, 0.3, 0.5, 0.7, 0.9)  # of an exposure, at which they are drawn
TAYLOR_LIMIT = 0.16  # [pixels] an expansion about larger motion would be inexact
HALF_WIDTHS = np.array([2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 26, 32, 40, 52, 64, 80, 100, 130])
CHUNK_PIXELS = 500_000  # of stamps that are in memory at a time
PIXEL_VARIANCE = 1 / 12  # [pixels^2] of a pixel's square
SPLINE_VARIANCE = 1 / 4  # [pixels^2] of a quadratic spline on pixels, wherever the star stands
MOTION_MARGIN = 0.5  # [pixels] that a star may move inside its stamp
CORE = slice(0, prf.N_CORE)
WINGS = slice(prf.N_CORE, None)
ALL = slice(None)


@dataclass(frozen=True)
class RenderedImage:
    """One simulated image without its file.

    Attributes
    ----------
    flux, flux_err : (n_rows, n_columns) float32 array
        With noise, and what the file says of it [e-/s]; zero or NaN in images of that kind.
    clean : (n_rows, n_columns) float64 array
        The light that the pixels hold, without noise.
    """

    flux: NDArray
    flux_err: NDArray
    clean: NDArray


@dataclass(frozen=True)
class _Group:
    """Stars whose stamps are of one size: who, the size, and where their pixels are."""

    stars: NDArray
    n_pixels: int
    first_row: NDArray
    first_column: NDArray


class Renderer:
    """Makes the images of a scene, one after the other, in any order.

    Parameters
    ----------
    scene : Scene
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        stars = scene.stars
        varies = stars.variability != CONSTANT
        exact = (stars.tmag < scene.settings.variable_limit) | varies
        self._moving = _Layer(scene, stars.select(exact & ~varies), CORE)
        self._varying = _Layer(scene, stars.select(exact & varies), ALL)
        self._faint = _Layer(scene, stars.select(~exact), CORE)
        self._wings = _Wings(scene, stars.select(~(exact & varies)))
        self._moving_pixels = self._moving.pixels()
        self._varying_pixels = self._varying.pixels()
        self._expansion: NDArray | None = None
        self._asteroids = scene.asteroids

    def render(self, index: int) -> RenderedImage:
        """Return one image, the same whatever was rendered before."""
        scene = self.scene
        inside = scene.window.slices_in(scene.region)
        clean = self.clean_light(index)[inside]
        kind = scene.kind(index)
        if kind in ("zero", "nan"):
            value = 0.0 if kind == "zero" else np.nan
            empty = np.full(scene.window.shape, value, dtype=np.float32)
            return RenderedImage(empty, empty.copy(), clean)
        sigma = noise_truth(scene, clean).astype(np.float32)
        noise = detector.unit_noise(scene.ccd_id, index, scene.window, scene.settings)
        stated = detector.stated_error(sigma, scene.settings)
        return RenderedImage(clean.astype(np.float32) + sigma * noise, stated, clean)

    def clean_light(self, index: int) -> NDArray:
        """Return the light that the pixels of ``scene.region`` hold, without noise [e-/s]."""
        scene = self.scene
        light = background_truth(scene, index, scene.region)
        light += self.starlight(index)
        if len(self._asteroids.flux):
            light += self.asteroid_light(index)
        return detector.bleed(light, detector.full_well_rate(scene.settings))

    def asteroid_light(self, index: int) -> NDArray:
        """Return the light of moving objects over ``scene.region`` [e-/s]."""
        scene, light = self.scene, np.zeros(self.scene.region.shape)
        side = (2 * ASTEROID_HALF + 1,) * 2
        for part in ASTEROID_TIMES:
            elapsed = scene.elapsed(index) + part * scene.exposure_days
            rows, columns = self._asteroids.at(elapsed)
            for row, column, flux in zip(rows, columns, self._asteroids.flux, strict=True):
                moved = scene.motion(index) @ [1.0, 0.0, 0.0]
                at = row + moved[0], column + moved[1]
                inside = Window.around(round(at[0]), round(at[1]), ASTEROID_HALF, scene.region)
                if inside is None:
                    continue
                stamp, corner = prf_truth(scene, *at, side)
                # The stamp may go beyond the edge of the CCD.
                shown = stamp[
                    inside.row0 - corner[0] : inside.row1 - corner[0],
                    inside.column0 - corner[1] : inside.column1 - corner[1],
                ]
                light[inside.slices_in(scene.region)] += flux / len(ASTEROID_TIMES) * shown
        return light

    def starlight(self, index: int) -> NDArray:
        """Return the light of all stars over ``scene.region``, before bleeding [e-/s]."""
        settings, ccd_id = self.scene.settings, self.scene.ccd_id
        motion, image = self.scene.motion(index), self.scene.image_of(index)
        if is_chosen("blur", settings.blur_every, ccd_id, image, settings):
            moved = [motion.copy() for _ in BLUR]
            for one, sides in zip(moved, BLUR, strict=True):
                one[:, 0] += settings.blur_motion * np.array(sides)
            light = sum(self._moved_starlight(index, one) for one in moved) / len(moved)
        else:
            light = self._moved_starlight(index, motion)
        if is_chosen("dim", settings.dim_every, ccd_id, image, settings):
            light *= 1 - settings.dim_fraction
        return light

    def _moved_starlight(self, index: int, motion: NDArray) -> NDArray:
        """Return the light of all stars with one motion."""
        scene = self.scene
        light = self._moving.render(motion, self._moving_pixels)
        light += self._varying.render(
            motion, self._varying_pixels, star_light(scene, self._varying.stars, index)
        )
        if largest_displacement(motion) > TAYLOR_LIMIT:
            light += self._wings.render(motion)
            light += self._faint.render(motion)
            return light
        if self._expansion is None:
            expansion = self._faint.expand()
            expansion[:3] += self._wings.expand()
            self._expansion = expansion.astype(np.float32)
        _add_moved(light, self._expansion, motion, scene.region)
        return light


def uncatalogued_light(scene: Scene) -> NDArray:
    """Return the light of the stars that no catalog knows, in an unmoved image.

    (n_rows, n_columns) float64 array over ``scene.window`` [e-/s].
    """
    return star_image(scene, scene.stars.select(~scene.stars.known))


def star_image(scene: Scene, stars: Stars, motion: NDArray | None = None) -> NDArray:
    """Return the light of some stars without variability, bleeding and noise [e-/s].

    (n_rows, n_columns) float64 array over ``scene.window``; ``motion`` (2, 3)
    as in `tessphot_lib.simulation.motion`, by default none.
    """
    motion = np.zeros((2, 3)) if motion is None else motion
    light = _Layer(scene, stars, CORE).render(motion) + _Wings(scene, stars).render(motion)
    return light[scene.window.slices_in(scene.region)]


class _Layer:
    """Some stars of a scene and some components of their PRF, rendered in stamps."""

    def __init__(self, scene: Scene, stars: Stars, which: slice) -> None:
        self.region = scene.region
        self.stars = stars
        settings = scene.settings
        position = stars.row, stars.column, scene.ccd_id.ccd
        shape = prf.components(*position, **prf.form_of(settings)).part(which)
        self.sigma, self.shift_row, self.shift_column = (
            shape.sigma,
            shape.shift_row,
            shape.shift_column,
        )
        self.weight = shape.weight
        self.groups = list(self._grouped())

    def reach(self) -> NDArray:
        """Return how far the components of each star matter [pixels]; 0: not at all."""
        reach = prf.reach(self.stars.flux[:, None], self.sigma, self.weight)
        offset = np.hypot(self.shift_row, self.shift_column)
        return np.where(reach > 0, reach + offset, 0.0).max(axis=1, initial=0.0)

    def pixels(self) -> NDArray:
        """Return the flat pixel indices of all stamps; outside the region: one past the end."""
        parts = [self._pixels_of(group).ravel() for group in self.groups]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.intp)

    def render(
        self, motion: NDArray, pixels: NDArray | None = None, relative: NDArray | None = None
    ) -> NDArray:
        """Return the light of the stars over the region, moved; ``pixels`` from `pixels`."""
        flux = self.stars.flux if relative is None else self.stars.flux * relative
        image = np.zeros(self.region.shape)
        if not self.groups:
            return image
        if pixels is not None:
            values = np.empty(len(pixels))
            done = 0
            for group in self.groups:
                stamps = self._stamps(group, motion, flux)[0]
                values[done : done + stamps.size] = stamps.ravel()
                done += stamps.size
            return _sum_over_pixels(pixels, values, self.region.shape)
        for group in self.groups:
            for part in _chunks(group):
                self._add(image[None], part, self._stamps(part, motion, flux))
        return image

    def expand(self) -> NDArray:
        """Return the light and its derivatives by the motion: f, r, c, rr, rc, cc; (6, ...)."""
        images = np.zeros((6, *self.region.shape))
        for group in self.groups:
            for part in _chunks(group):
                stamps = self._stamps(part, np.zeros((2, 3)), self.stars.flux, derivatives=2)
                self._add(images, part, stamps)
        return images

    def _grouped(self) -> Iterator[_Group]:
        """Sort the stars by the size of their stamps, and each group by row."""
        if not len(self.stars):
            return
        farthest = self.reach()
        size = np.searchsorted(HALF_WIDTHS, farthest + MOTION_MARGIN)
        size = np.minimum(size, len(HALF_WIDTHS) - 1)
        row, column = np.rint(self.stars.row).astype(int), np.rint(self.stars.column).astype(int)
        half = HALF_WIDTHS[size]
        matters = (
            (farthest > 0)
            & (row + half >= self.region.row0)
            & (row - half < self.region.row1)
            & (column + half >= self.region.column0)
            & (column - half < self.region.column1)
        )
        for group in np.unique(size[matters]):
            stars = np.flatnonzero(matters & (size == group))
            stars = stars[np.argsort(row[stars], kind="stable")]
            half_width = int(HALF_WIDTHS[group])
            yield _Group(
                stars, 2 * half_width + 1, row[stars] - half_width, column[stars] - half_width
            )

    def _stamps(
        self, group: _Group, motion: NDArray, flux: NDArray, *, derivatives: int = 0
    ) -> list[NDArray]:
        """Stamps (n_stars, n, n) of a group; with derivatives those of `expand`."""
        who = group.stars
        row, column = self.stars.row[who], self.stars.column[who]
        drow, dcolumn = displacement(motion, row, column)
        sigma = self.sigma[who]
        down = prf.profiles(
            (row + drow)[:, None] + self.shift_row[who],
            sigma,
            group.first_row,
            group.n_pixels,
            derivatives=derivatives,
        )
        along = prf.profiles(
            (column + dcolumn)[:, None] + self.shift_column[who],
            sigma,
            group.first_column,
            group.n_pixels,
            derivatives=derivatives,
        )
        scale = flux[who, None] * self.weight[who]
        down = [(profile * scale[:, :, None]).transpose(0, 2, 1) for profile in down]
        orders = [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)] if derivatives else [(0, 0)]
        return [down[p] @ along[q] for p, q in orders]

    def _pixels_of(self, group: _Group, row0: int | None = None) -> NDArray:
        """Flat indices (n_stars, n, n) of the pixels, counted from the region's row ``row0``."""
        region = self.region
        flat, inside = stamp_pixels(
            group.first_row - region.row0,
            group.first_column - region.column0,
            (group.n_pixels, group.n_pixels),
            region.shape,
        )
        flat[~inside] = region.shape[0] * region.shape[1]
        return flat

    def _add(self, images: NDArray, group: _Group, stamps: list[NDArray]) -> None:
        """Add stamps to the strip of each image where they lie."""
        n_rows, n_columns = self.region.shape
        first = max(int(group.first_row.min()) - self.region.row0, 0)
        last = min(int(group.first_row.max()) - self.region.row0 + group.n_pixels, n_rows)
        if first >= last:
            return
        flat = self._pixels_of(group).ravel() - first * n_columns
        strip = (last - first, n_columns)
        np.minimum(flat, strip[0] * strip[1], out=flat)
        for image, values in zip(images, stamps, strict=True):
            image[first:last] += _sum_over_pixels(flat, values.ravel(), strip)


class _Wings:
    """The wide components of the PRF, which are round and have the same width everywhere.

    The stars are laid on the pixels with a quadratic spline, which has the
    right position and a known variance, and convolved with the Gaussian that
    is missing; exact to 1e-4 of the wings, which hold 2 % of the light.
    """

    def __init__(self, scene: Scene, stars: Stars) -> None:
        self.region = scene.region
        self.stars = stars
        position = stars.row, stars.column, scene.ccd_id.ccd
        form = prf.form_of(scene.settings)
        self.light = stars.flux[:, None] * prf.components(*position, **form).part(WINGS).weight
        self.sigma = prf.FAMILIES[form["family"]].sigma[WINGS]

    def render(self, motion: NDArray) -> NDArray:
        """Return the light over the region, moved."""
        return self._spread(motion)[1:-1, 1:-1]

    def expand(self) -> NDArray:
        """Return the light and its first derivatives by the motion, (3, ...)."""
        light = self._spread(np.zeros((2, 3)))
        slopes = (-np.gradient(light, axis=axis) for axis in (0, 1))
        return np.stack([light, *slopes])[:, 1:-1, 1:-1]

    def _spread(self, motion: NDArray) -> NDArray:
        """The light over the region and one pixel around it."""
        border = WING_REACH - 1
        light = np.zeros(np.add(self.region.shape, 2))
        for sigma, flux in zip(self.sigma, self.light.T, strict=True):
            missing = np.sqrt(sigma**2 + PIXEL_VARIANCE - SPLINE_VARIANCE)
            points = self._points(motion, flux)
            spread = scipy.ndimage.gaussian_filter(points, missing, mode="constant", radius=border)
            light += spread[border:-border, border:-border]
        return light

    def _points(self, motion: NDArray, flux: NDArray) -> NDArray:
        """Light (n_stars,) on the pixels of the region and WING_REACH around it."""
        region = self.region
        n_rows, n_columns = (n + 2 * WING_REACH for n in region.shape)
        drow, dcolumn = displacement(motion, self.stars.row, self.stars.column)
        row = self.stars.row + drow - region.row0 + WING_REACH
        column = self.stars.column + dcolumn - region.column0 + WING_REACH
        inside = (row > 1) & (row < n_rows - 2) & (column > 1) & (column < n_columns - 2)
        row, column, flux = row[inside], column[inside], flux[inside]
        near_row, near_column = np.rint(row).astype(int), np.rint(column).astype(int)
        points = np.zeros(n_rows * n_columns)
        for i, down in zip((-1, 0, 1), _spline(row - near_row), strict=True):
            for j, along in zip((-1, 0, 1), _spline(column - near_column), strict=True):
                pixels = (near_row + i) * n_columns + near_column + j
                points += np.bincount(pixels, flux * down * along, minlength=len(points))
        return points.reshape(n_rows, n_columns)


def _spline(offset: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Fractions of the pixels before, at and behind a star that is ``offset`` off the middle."""
    return 0.5 * (0.5 - offset) ** 2, 0.75 - offset**2, 0.5 * (0.5 + offset) ** 2


def _chunks(group: _Group) -> Iterator[_Group]:
    step = max(CHUNK_PIXELS // group.n_pixels**2, 1)
    for first in range(0, len(group.stars), step):
        part = slice(first, first + step)
        yield _Group(
            group.stars[part], group.n_pixels, group.first_row[part], group.first_column[part]
        )


def _sum_over_pixels(pixels: NDArray, values: NDArray, shape: tuple[int, int]) -> NDArray:
    n_pixels = shape[0] * shape[1]
    return np.bincount(pixels, weights=values, minlength=n_pixels + 1)[:n_pixels].reshape(shape)


def _add_moved(light: NDArray, expansion: NDArray, motion: NDArray, region: Window) -> None:
    """Add the expanded light, moved by the motion at each pixel, to ``light``."""
    column = np.arange(region.column0, region.column1)
    for first in range(0, region.shape[0], 64):
        rows = slice(first, min(first + 64, region.shape[0]))
        row = np.arange(region.row0 + rows.start, region.row0 + rows.stop)
        grid = (row[:, None] - 1023.5, column[None, :] - 1023.5)
        dr, dc = ((m[0] + m[1] * grid[0] + m[2] * grid[1]).astype(np.float32) for m in motion)
        f, r, c, rr, rc, cc = expansion[:, rows]
        light[rows] += f + dr * (r + 0.5 * dr * rr + dc * rc) + dc * (c + 0.5 * dc * cc)
