"""What changed in an image against the mean of many: sky, stars, and neither of them.

What does not change is no anomaly: a galaxy is in all images. What changes is the
sky, smoothly; a star, with its own shape; and what is left is foreign light, such as
an internal reflection or the edge of scattered light, or the lack of it. It is
looked for in bins of some pixels, so that little noise hides it, with its sign.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.bins import BIN_SIDE, Bins
from tessphot_lib.core.constants import ROUNDED_MAD_TO_SIGMA
from tessphot_lib.core.convolution import fft_convolve
from tessphot_lib.core.medians import median
from tessphot_lib.core.peaks import peaks_of

STAR_LIGHT = 0.8  # [e-/s] pixels of the reference with less belong to no star
DARK = 3.0  # [e-/s] of starlight, with less of it a pixel shows the noise of the sky
SIGNIFICANT = 4.0  # [sigma] a star's change that is less is left to the noise
WING, WING_CORE, WING_BINS = 0.06, 4.0, 8  # of a star's light; [pixels^2]; bins that they reach
UNEXPLAINED = 0.3  # of a star's change in light may be wrong with its shape
MIN_STAR_ERROR = 0.004  # of a pixel's starlight, that no image shows better than
USUAL_STAR_ERROR = 0.01  # where too few star pixels tell
STAR_ERROR_PIXELS = 20  # that tell it
SIGMA_STEP, TOLERANCE = 1.1, 1e-4  # noises that have bounds in common; for rounding of these
BRIGHT_PIXEL = 50.0  # [sigma] of the sky's noise: starlight that tells it

_DISTANCE = BIN_SIDE * np.arange(-WING_BINS, WING_BINS + 1)
WING_KERNEL = WING / (WING_CORE + _DISTANCE[:, None] ** 2 + _DISTANCE**2) ** 1.5


@dataclass(frozen=True)
class Segments:
    """The pixels of stars, each belonging to the one that it lies on the slope of.

    Attributes
    ----------
    pixels : (n,) int array
        Flat indices into the image, star by star.
    light : (n,) float64 array
        Starlight of each in the reference [e-/s].
    grain : (n,) float64 array
        Variance that grows with it: it keeps a star's peak from deciding about its slope.
    first : (n_stars,) int array
        Where the pixels of each star begin.
    sizes : (n_stars,) int array
        How many it has.
    """

    pixels: NDArray
    light: NDArray
    grain: NDArray
    first: NDArray
    sizes: NDArray
    _bounds: dict[int, tuple[NDArray, NDArray, NDArray]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, starlight: NDArray) -> "Segments":
        """Divide the pixels brighter than `STAR_LIGHT`; NaN pixels belong to no star."""
        smooth = scipy.ndimage.gaussian_filter(np.nan_to_num(starlight), 0.7)
        with np.errstate(invalid="ignore"):
            pixels = np.flatnonzero(starlight.ravel() > STAR_LIGHT)
        top = peaks_of(smooth, pixels)
        order = np.argsort(top, kind="stable")
        pixels, top = pixels[order], top[order]
        first = np.flatnonzero(np.diff(top, prepend=-1))
        light = starlight.ravel()[pixels].astype(float)
        grain = np.abs(light) / 50 + (MIN_STAR_ERROR * light) ** 2
        return cls(pixels, light, grain, first, np.diff(first, append=len(pixels)))

    def of_stars(self, stars: NDArray) -> NDArray:
        """Give the numbers of the pixels of some stars (n,) int, star by star."""
        sizes = self.sizes[stars]
        before = np.cumsum(sizes) - sizes
        return np.arange(sizes.sum()) + np.repeat(self.first[stars] - before, sizes)

    def slopes(self, values: NDArray, sigma: float) -> NDArray:
        """Fit a straight line through each star's pixels against its light.

        Parameters
        ----------
        values : (n,) array
            Residual of the pixels [e-/s]; NaN do not count.
        sigma : float
            Noise of a pixel of sky [e-/s], above 0.

        Returns
        -------
        (n_stars,) float64 array
            By what fraction each star is brighter than in the reference; 0 where that is less
            than `SIGNIFICANT`.
        """
        slope = np.zeros(len(self.first))
        if not slope.size:
            return slope
        stars = np.flatnonzero(self._may_have_changed(values, sigma))
        here, sizes = self.of_stars(stars), self.sizes[stars]
        light, first = self.light[here], np.cumsum(sizes) - sizes
        values, weight = values[here], 1 / (sigma**2 + self.grain[here])
        known = np.isfinite(values)
        if not known.all():
            weight *= known
            values = np.where(known, values, 0.0)
        if stars.size:
            total, mean_light, power = _moments(weight, light, first)
            mean_value = np.add.reduceat(weight * values, first) / total
            common = np.add.reduceat(weight * light * values, first)
            common -= total * mean_light * mean_value
            found = np.divide(common, power, out=np.zeros(len(total)), where=power > 0)
            found[np.abs(found) * np.sqrt(np.maximum(power, 0.0)) < SIGNIFICANT] = 0.0
            slope[stars] = found
        return slope

    def _may_have_changed(self, values: NDArray, sigma: float) -> NDArray:
        """Leave out stars whose slopes cannot be significant, (n_stars,) bool.

        Two sums over the pixels tell that of most stars, instead of five. Of larger ``sigma``,
        weights are more alike: the mean light of a star is larger, its power less. Both are
        computed once for the ends of a range of ``sigma``, and what lies between is bounded.
        """
        step = math.floor(math.log(sigma, SIGMA_STEP))
        if step not in self._bounds:
            low, high = (
                _moments(1 / (SIGMA_STEP ** (2 * k) + self.grain), self.light, self.first)
                for k in (step, step + 1)
            )
            power = np.sqrt(np.maximum(high[2] * (1 - TOLERANCE), 0.0))
            self._bounds[step] = low[1], high[1], SIGNIFICANT * power
        least, most, limit = self._bounds[step]
        with np.errstate(invalid="ignore"):
            weighted = values / (sigma**2 + self.grain)
            total = np.add.reduceat(weighted, self.first)
            weighted *= self.light
            common = np.add.reduceat(weighted, self.first)
            largest = np.maximum(np.abs(common - least * total), np.abs(common - most * total))
            return np.asarray(~(largest < limit))  # where a pixel is unknown, too


def _moments(weight: NDArray, light: NDArray, first: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Sum of the weights of each star's pixels, their mean light, and its weighted variation."""
    total = np.maximum(np.add.reduceat(weight, first), 1e-30)
    weighted = weight * light
    mean = np.add.reduceat(weighted, first) / total
    weighted *= light
    return total, mean, np.add.reduceat(weighted, first) - total * mean**2


@dataclass(frozen=True)
class Starlight:
    """What is known of the stars of a reference before images are compared with it.

    Attributes
    ----------
    light : (n_rows, n_columns) float32 array
        Not negative, 0 where it is unknown [e-/s].
    segments : Segments
    dark : NoisePairs
        Of the pixels without starlight.
    """

    light: NDArray
    segments: Segments
    dark: "NoisePairs"

    @classmethod
    def of(cls, starlight: NDArray) -> "Starlight":
        """Prepare the starlight of a reference, (n_rows, n_columns) [e-/s]; NaN is unknown."""
        light = np.maximum(np.nan_to_num(starlight), 0.0).astype(np.float32)
        with np.errstate(invalid="ignore"):
            dark = NoisePairs.of(starlight < DARK)
        return cls(light, Segments.of(starlight), dark)

    def crowd_noise(self, residual: NDArray) -> float:
        """Noise of the faintest pixels of a residual (n_rows, n_columns), if none is dark."""
        return NoisePairs.of(self.light <= np.quantile(self.light, 0.3)).noise(residual)


@dataclass(frozen=True)
class NoisePairs:
    """Pixels beside each other, by whose differences the noise of images is measured.

    Attributes
    ----------
    first : (n,) int array
        Flat indices; the other pixel is the next one.
    """

    first: NDArray

    @classmethod
    def of(cls, dark: NDArray) -> "NoisePairs":
        """Find those among pixels, (n_rows, n_columns) bool."""
        both = np.zeros(dark.shape, dtype=bool)
        both[:, :-1] = dark[:, 1:] & dark[:, :-1]
        return cls(np.flatnonzero(both))

    def noise(self, residual: NDArray) -> float:
        """Noise of a pixel of an image (n_rows, n_columns) [e-/s]; NaN where no pair is known."""
        pixels = residual.ravel()
        difference = np.abs((pixels[1:] - pixels[:-1]).take(self.first))
        known = np.isfinite(difference)
        if not known.all():
            difference = difference[known]
        if not difference.size:
            return np.nan
        return float(ROUNDED_MAD_TO_SIGMA * median(difference) / np.sqrt(2))


def pixel_noise(residual: NDArray, dark: NDArray) -> float:
    """Noise of a pixel of sky, from the differences of neighbors [e-/s]; NaN if there are none.

    ``dark`` (n_rows, n_columns) bool: pixels without starlight.
    """
    return NoisePairs.of(dark).noise(residual)


def star_error(rest: NDArray, starlight: NDArray, sigma: float) -> float:
    """Typical fraction of starlight that motion and the like leave in the residual of an image.

    Parameters
    ----------
    rest : (n,) array
        What is left of pixels, the changes of stars taken off [e-/s]; NaN does not count.
    starlight : (n,) array
        Of the reference [e-/s].
    sigma : float
        Noise of a pixel of sky [e-/s].

    Returns
    -------
    float
        From the median of the bright pixels, at least `MIN_STAR_ERROR`; `USUAL_STAR_ERROR`
        with fewer than `STAR_ERROR_PIXELS` of them.
    """
    bright = np.flatnonzero(starlight > BRIGHT_PIXEL * sigma)
    fraction = np.abs(rest[bright]) / starlight[bright]
    fraction = fraction[np.isfinite(fraction)]
    if fraction.size < STAR_ERROR_PIXELS:
        return USUAL_STAR_ERROR
    return max(median(fraction) * ROUNDED_MAD_TO_SIGMA, MIN_STAR_ERROR)


@dataclass(frozen=True)
class BinnedResidual:
    """What is left of an image in bins, (n_bin_rows, n_bin_columns) float64 arrays each.

    Attributes
    ----------
    mean : array
        Weighted mean [e-/s per pixel]; NaN where no pixel counts.
    error : array
        Its 1-sigma error by the noise of the pixels [e-/s per pixel]; infinite where no pixel
        counts.
    doubt : array
        What stars may have left in it, positive [e-/s per pixel]; infinite where no pixel
        counts.
    """

    mean: NDArray
    error: NDArray
    doubt: NDArray


def bin_residual(
    residual: NDArray,
    stars: Starlight,
    new_light: NDArray | None,
    bins: Bins,
    *,
    sigma: float | None = None,
    rows: slice = slice(None),
) -> BinnedResidual:
    """Take the changes of stars off a residual, and average the rest in bins.

    Parameters
    ----------
    residual : (n_rows, n_columns) array
        Image without sky and reference [e-/s]; NaN pixels do not count.
    stars : Starlight
        Of the reference.
    new_light : (n_rows, n_columns) array, optional
        Of stars that are much brighter than in the reference [e-/s], from `new_stars`.
    bins : Bins
        Of the residual.
    sigma : float, optional
        Noise of the pixels without starlight, where it is known already.
    rows : slice, optional
        Rows of bins that are wanted; all by default.
    """
    if sigma is None:
        sigma = stars.dark.noise(residual)
    if not sigma > 0:  # a crowd: the faintest pixels
        sigma = stars.crowd_noise(residual)
    if not sigma > 0:
        sigma = 1.0
    rest = np.array(residual, dtype=np.float32)
    if new_light is not None:
        rest -= new_light
    fraction, changed, change = _take_stars_off(rest, stars.segments, sigma)
    wanted = bins.of_rows(rows)
    pixels, _ = wanted.window.slices_in(bins.window)
    # In units of the noise of a pixel; stars may have left ``starry``, and ``doubt``.
    rest = rest[pixels]
    starry = stars.light[pixels] * np.float32(fraction / sigma)
    weight = starry * starry
    weight += 1
    doubt = None
    if changed.size or new_light is not None:
        doubt = np.zeros_like(residual, dtype=np.float32)
        if new_light is not None:
            np.abs(new_light, out=doubt, casting="same_kind")
        doubt.ravel()[changed] += np.abs(change)
        doubt *= np.float32(UNEXPLAINED / sigma)
        weight += doubt[pixels] * doubt[pixels]
        starry += doubt[pixels]
    np.reciprocal(weight, out=weight)
    known = np.isfinite(rest)
    if not known.all():
        weight[~known] = rest[~known] = 0.0
    total = wanted.sums(weight).astype(float)
    usable = total > 1e-6
    safe = np.where(usable, total, 1.0)
    rest *= weight
    starry *= weight
    mean = np.where(usable, wanted.sums(rest) / safe, np.nan)
    error = np.where(usable, sigma / np.sqrt(safe), np.inf)
    in_doubt = sigma * wanted.sums(starry) / safe
    if doubt is not None:  # its wings reach beyond neighbors that hide where they come from
        light = bins.sums(doubt).astype(float) * (sigma / UNEXPLAINED)
        in_doubt += fft_convolve(light, WING_KERNEL, "same")[rows]
    return BinnedResidual(mean, error, np.where(usable, in_doubt, np.inf))


def _take_stars_off(
    rest: NDArray, segments: Segments, sigma: float
) -> tuple[float, NDArray, NDArray]:
    """Take the changes of stars off a residual, in place, contiguous.

    Returns what fraction of the other starlight is left, see `star_error`, and the pixels of the
    stars that changed, flat, with what was taken off.
    """
    values = rest.ravel().take(segments.pixels)
    slope = segments.slopes(values, sigma)
    stars = np.flatnonzero(slope)
    here = segments.of_stars(stars)
    change = np.repeat(slope[stars], segments.sizes[stars]) * segments.light[here]
    values[here] -= change
    pixels = segments.pixels[here]
    rest.ravel()[pixels] = values[here]
    return star_error(values, segments.light, sigma), pixels, change
