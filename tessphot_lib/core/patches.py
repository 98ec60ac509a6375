"""CCDs of which only some patches are known, and their backgrounds: cutouts, alone or overlapping.

The background of a patch is a polynomial in row and column, with coefficients
for each image, times the response of each column (straps behind the silicon).
`tessphot_lib.background.patch_fit` fits it.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.stamps import values_at

N_TERMS = 6  # 1, r, c, r^2, r c, c^2 with r, c from -1 to 1 over the patch

MAX_SIDE = 128  # [pixels] cutouts that hang together over more are divided into several patches
BESIDE = 8.0  # [pixels] so far from a patch the error of its background holds


@dataclass(frozen=True)
class Patches:
    """The pixels of a CCD that are known.

    A `tessphot_lib.core.background_grid.BackgroundGrid`.

    Attributes
    ----------
    window : Window
        Smallest window that holds all patches.
    windows : list of Window
        Smallest window around each patch.
    index : (n_rows, n_columns) int32 array
        Over ``window``: number of the patch of each pixel, -1 for none.
    straps : (n_patches, n) float array, or None
        Response of the columns of each patch, see `fit_patch_background`; zeros
        beyond its last column. None: all alike.
    """

    kind: ClassVar[str] = "patches"
    is_continuous: ClassVar[bool] = False

    window: Window
    windows: list[Window]
    index: NDArray
    straps: NDArray | None = None

    @classmethod
    def of(cls, windows: list[Window]) -> Self:
        """Join windows that overlap or touch to patches, in the order of the CCD.

        More than `MAX_SIDE` pixels that hang together are divided again by the
        positions of the windows, so that patches stay small and their sky smooth.
        """
        if not windows:
            raise ValueError("no windows")
        outer = Window.enclosing(windows)
        covered = np.zeros(outer.shape, dtype=bool)
        for one in windows:
            covered[one.slices_in(outer)] = True
        labels, n_labels = scipy.ndimage.label(covered)
        members: list[list[Window]] = [[] for _ in range(n_labels)]
        for one in windows:
            members[labels[one.row0 - outer.row0, one.column0 - outer.column0] - 1].append(one)
        index = np.full(outer.shape, -1, dtype=np.int32)
        boxes: list[Window] = []
        for together in members:
            for group in _divided(together):
                for one in group:
                    cut = index[one.slices_in(outer)]
                    cut[cut < 0] = len(boxes)
                boxes.append(Window.enclosing(group))
        return cls(outer, boxes, index)

    @classmethod
    def from_arrays(cls, window: Window, arrays: dict[str, NDArray]) -> Self:
        """Build from what `arrays` returns, as files keep it."""
        windows = [Window(*map(int, one)) for one in arrays["windows"]]
        return cls(window, windows, arrays["index"], arrays.get("straps"))

    def evaluate(self, model: NDArray, region: Window) -> NDArray:
        """Evaluate backgrounds in a region.

        Parameters
        ----------
        model : (n_images, n_patches, n_terms) array
            The first ones of `N_TERMS`.
        region : Window
            Inside ``window``.

        Returns
        -------
        (n_images, n_rows, n_columns) float64 array
            [e-/s per pixel]; NaN outside of the patches.
        """
        index = self.index[region.slices_in(self.window)]
        patches = np.unique(index)
        if len(patches) == 1 and patches[0] >= 0:  # most stamps; without copies of all images
            rows, columns = (axis.ravel() for axis in np.indices(region.shape))
            terms = self._terms(patches[0], rows + region.row0, columns + region.column0)
            return _sum_of_terms(model[:, patches[0]], terms).reshape(-1, *region.shape)
        result = np.full((len(model), *region.shape), np.nan)
        for patch in patches[patches >= 0]:
            row, column = np.nonzero(index == patch)
            terms = self._terms(patch, row + region.row0, column + region.column0)
            result[:, row, column] = _sum_of_terms(model[:, patch], terms)
        return result

    def evaluate_pixels(self, model: NDArray, region: Window, used: NDArray) -> NDArray:
        """Evaluate backgrounds at some pixels of a region, (n, n_images)."""
        row, column = np.divmod(used, region.shape[1])
        row, column = row + region.row0, column + region.column0
        patches = self.part_at(row, column)
        if len(patches) and patches[0] >= 0 and (patches == patches[0]).all():  # most apertures
            terms = self._terms(patches[0], row, column)
            return np.ascontiguousarray(_sum_of_terms(model[:, patches[0]], terms).T)
        result = np.full((len(used), len(model)), np.nan)
        for patch in np.unique(patches[patches >= 0]):
            there = patches == patch
            terms = self._terms(patch, row[there], column[there])
            result[there] = _sum_of_terms(model[:, patch], terms).T
        return result

    def displaced(self, whole: tuple[int, int]) -> Self:
        """Return it as it is: of cutouts no image is read from elsewhere."""
        return self

    def without_static(self) -> Self:
        """Return it as it is: patches have no static light."""
        return self

    def evaluate_at(self, model: NDArray, row: NDArray, column: NDArray) -> NDArray:
        """Evaluate backgrounds at positions, (n_images, n); NaN off the patches."""
        result = np.full((len(model), len(row)), np.nan)
        for position, patch in enumerate(self.part_at(row, column)):
            if patch >= 0:
                at = row[position : position + 1], column[position : position + 1]
                terms = self._terms(patch, *at)
                result[:, position] = _sum_of_terms(model[:, patch], terms)[:, 0]
        return result

    def error_at(self, error: NDArray, row: NDArray, column: NDArray) -> NDArray:
        """Pick the errors (n_images, n_patches) of the patches at positions, (n_images, n).

        Up to `BESIDE` pixels beside a patch, or in a corner between its cutouts, those of this
        one: where the middle of an aperture may lie, or a star whose pixels are at the edge.
        """
        patch = self._part_near(row, column)
        picked = np.asarray(error)[:, patch].astype(float)
        picked[:, patch < 0] = np.nan
        return picked

    def part_at(self, row: NDArray, column: NDArray) -> NDArray:
        """Number of the patch at positions [science pixels], -1 for none; (n,) int."""
        return values_at(self.index, self.window, row, column, outside=-1)

    def _part_near(self, row: NDArray, column: NDArray) -> NDArray:
        """As `part_at`, and the nearest patch at positions that are a few pixels off."""
        row, column = (np.asarray(axis, dtype=float) for axis in (row, column))
        part = self.part_at(row, column)
        off = np.flatnonzero((part < 0) & np.isfinite(row) & np.isfinite(column))
        if off.size:
            row0, row1, column0, column1 = np.array([one.as_list() for one in self.windows]).T
            r, c = row[off, None], column[off, None]
            distance = np.hypot(
                np.maximum(np.maximum(row0 - r, r - (row1 - 1)), 0),
                np.maximum(np.maximum(column0 - c, c - (column1 - 1)), 0),
            )
            nearest = distance.argmin(axis=1)
            part[off] = np.where(distance.min(axis=1) <= BESIDE, nearest, -1)
        return part

    def cells_at(self, row: NDArray, column: NDArray, side: int) -> list[tuple[Window, NDArray]]:
        """Patches, whatever their size, each with the indices of the positions on it."""
        part = self.part_at(row, column)
        return [
            (self.windows[number], np.flatnonzero(part == number))
            for number in np.unique(part[part >= 0])
        ]

    def read_together(self, region: Window | None) -> list[Window]:
        """Return the patches that reach into the region: what is between them is not to be read."""
        if region is None:
            return []
        return [window for window in self.windows if window.intersect(region) is not None]

    def levels(self, model: NDArray) -> NDArray:
        """Return the level in the middle of each patch, (n_images, n_patches)."""
        return model[..., 0]

    def raised(self, model: NDArray, levels: NDArray) -> NDArray:
        """Models with constants (n_patches,) added, times the response of the columns."""
        higher = model.copy()
        higher[..., 0] += np.asarray(levels, dtype=model.dtype)
        return higher

    def groups_of_images(self, model: NDArray) -> list[slice | NDArray]:
        """Numbers of the patches that have a background in the same images, for all such sets."""
        known = np.isfinite(model).all(axis=2)
        _, pattern = np.unique(known, axis=1, return_inverse=True)
        return [np.flatnonzero(pattern == number) for number in range(pattern.max() + 1)]

    def parts_in(self, region: Window) -> slice | NDArray:
        """Numbers of the patches that reach into a region."""
        numbers = np.unique(self.index[region.slices_in(self.window)])
        return numbers[numbers >= 0]

    def arrays(self) -> dict[str, NDArray]:
        """Return ``windows`` (n_patches, 4), ``index`` and, if there are any, ``straps``."""
        windows = np.array([window.as_list() for window in self.windows])
        known = {"windows": windows, "index": self.index}
        return known if self.straps is None else {**known, "straps": self.straps}

    def _terms(self, patch: int, row: NDArray, column: NDArray) -> NDArray:
        """Terms of the background of a patch at positions on it, (n, N_TERMS)."""
        terms = polynomial_terms(self.windows[patch], row, column)
        if self.straps is None:
            return terms
        number = np.round(np.asarray(column)).astype(int) - self.windows[patch].column0
        number = np.clip(number, 0, self.windows[patch].shape[1] - 1)
        return terms * (1 + np.asarray(self.straps[patch], dtype=float)[number])[:, None]


def polynomial_terms(window: Window, row: NDArray, column: NDArray) -> NDArray:
    """Terms of the polynomial of a patch at positions, (n, N_TERMS)."""
    half_rows, half_columns = (max((size - 1) / 2, 0.5) for size in window.shape)
    r = (np.asarray(row, dtype=float) - (window.row0 + window.row1 - 1) / 2) / half_rows
    c = (np.asarray(column, dtype=float) - (window.column0 + window.column1 - 1) / 2) / half_columns
    return np.stack([np.ones_like(r), r, c, r * r, r * c, c * c], axis=-1)


def _sum_of_terms(model: NDArray, terms: NDArray) -> NDArray:
    """Values of polynomials (n_images, n_terms) at pixels whose terms are known."""
    coefficients: NDArray = np.asarray(model, dtype=float)
    return coefficients @ terms[:, : coefficients.shape[1]].T


def _divided(windows: list[Window]) -> list[list[Window]]:
    """Divide windows that hang together by the cells of a grid that their middles lie in."""
    box = Window.enclosing(windows)
    n_rows, n_columns = (-(-side // MAX_SIDE) for side in box.shape)
    groups: dict[tuple[int, int], list[Window]] = {}
    for one in windows:
        row = (0.5 * (one.row0 + one.row1) - box.row0) * n_rows // box.shape[0]
        column = (0.5 * (one.column0 + one.column1) - box.column0) * n_columns // box.shape[1]
        groups.setdefault((int(row), int(column)), []).append(one)
    return [groups[cell] for cell in sorted(groups)]
