"""Light that is neither star nor smooth background, such as an internal reflection.

A ghost of a bright star outside the field drifts over the CCD as a ring or a
spot of some pixels width. It stands out of the background between the stars,
in one image alone. `find_anomalies` decides by the pixels that show sky, also
for the pixels of stars among them; once the average image is known, which has
the stars, `extend_anomalies` decides about the pixels under stars.
"""

import numpy as np
import scipy
from numpy.typing import NDArray

BOX = 5  # [pixels] side of the neighborhood that decides about a pixel
MIN_SHARE_OF_SKY = 0.3  # of a neighborhood must stand out for a sky pixel that does
MIN_SKY = 6  # [pixels] fewer sky pixels in a neighborhood count as so many
MIN_SHARE = 0.5  # of a neighborhood's sky pixels must stand out for a pixel of a star
BRIDGE = 7  # [pixels] stars up to twice as wide are bridged between what is seen on their sides
MIN_PIXELS = 30  # fewer in an image are no reflection
RELATIVE_LIMIT = 0.01  # of the background itself: how well it is known in scattered light
REACH = 40  # [pixels] from what was seen, through what was found: bright stars hide as much
SIGMA = 2.0  # [pixels] of the Gaussian over which that is averaged
SURE_STARLIGHT = 100.0  # [e-/s] of a pixel whose residual counts half, brighter ones less
MARGIN = REACH + int(4 * SIGMA)  # [pixels] around a region that `extend_anomalies` needs


def find_anomalies(image: NDArray, background: NDArray, stars: NDArray, *, limit: float) -> NDArray:
    """Find the pixels of one image that a reflection or the like lies on.

    Parameters
    ----------
    image : (n_rows, n_columns) array
        Sky included [e-/s per pixel]; NaN pixels neither stand out nor show sky.
    background : (n_rows, n_columns) array
        Its smooth background.
    stars : (n_rows, n_columns) bool array
        True where a known star must be expected.
    limit : float
        Excess over the background from which a sky pixel stands out [e-/s].

    Returns
    -------
    (n_rows, n_columns) bool array
    """
    highest = float(np.nanmax(background)) if background.size else 0.0
    limits = limit if RELATIVE_LIMIT * highest <= limit else anomaly_limit(background, limit)
    with np.errstate(invalid="ignore"):
        excess = image - background > limits
    excess &= ~stars
    found = np.zeros(image.shape, dtype=bool)
    rows, columns = np.flatnonzero(excess.any(axis=1)), np.flatnonzero(excess.any(axis=0))
    if np.count_nonzero(excess) < MIN_PIXELS:
        return found
    cut = (
        slice(max(rows[0] - BOX, 0), rows[-1] + BOX + 1),
        slice(max(columns[0] - BOX, 0), columns[-1] + BOX + 1),
    )
    sky = ~stars[cut] & np.isfinite(image[cut])
    n_sky = _box_sum(sky)
    share = _box_sum(excess[cut]) / np.maximum(n_sky, MIN_SKY)
    seen = excess[cut] & (share >= MIN_SHARE_OF_SKY)
    bridged = scipy.ndimage.binary_closing(np.pad(seen, BRIDGE), _disk(BRIDGE))
    bridged = bridged[BRIDGE:-BRIDGE, BRIDGE:-BRIDGE]
    found[cut] = np.where(sky, seen, (share >= MIN_SHARE) | bridged)
    return found & np.isfinite(image)


def extend_anomalies(
    residual: NDArray, starlight: NDArray, seen: NDArray, *, limit: NDArray | float
) -> NDArray:
    """Find the pixels beside those seen by `find_anomalies` that the same light lies on.

    A pixel belongs to it if the mean residual about it exceeds the limit, and if
    such pixels lead to it from what was seen. The
    mean has Gaussian weights, less for bright pixels, whose residual is mostly
    noise, variability and motion: these are decided by what is around them.

    Parameters
    ----------
    residual : (n_rows, n_columns) array
        Image - background - average image [e-/s]; NaN pixels do not count.
    starlight : (n_rows, n_columns) array
        The average image [e-/s]; NaN where it is unknown.
    seen : (n_rows, n_columns) bool array
        Pixels that `find_anomalies` found in this image.
    limit : float or (n_rows, n_columns) array
        [e-/s]

    Returns
    -------
    (n_rows, n_columns) bool array
        True for ``seen`` and what was found within `REACH` steps from it;
        exact except for the outer `MARGIN` pixels. False where nothing was seen.
    """
    if not seen.any():
        return seen.copy()
    known = np.isfinite(residual)
    weight = np.where(known, 1 / (1 + (starlight / SURE_STARLIGHT) ** 2), 0.0)
    light = scipy.ndimage.gaussian_filter(np.where(known, residual, 0.0) * weight, SIGMA)
    total = scipy.ndimage.gaussian_filter(weight, SIGMA)
    excess = np.divide(light, total, out=np.zeros_like(light), where=total > 0)
    anywhere = np.ones((3, 3), dtype=bool)
    return scipy.ndimage.binary_dilation(seen, anywhere, REACH, mask=seen | (excess > limit))


def anomaly_limit(background: NDArray, limit: float) -> NDArray:
    """Excess from which light counts: ``limit``, or `RELATIVE_LIMIT` of a bright background."""
    return np.maximum(limit, RELATIVE_LIMIT * background)


def _disk(radius: int) -> NDArray:
    """Pixels within a radius, (2 radius + 1, 2 radius + 1) bool."""
    offsets = np.arange(-radius, radius + 1)
    return np.hypot(offsets[:, None], offsets) <= radius


def _box_sum(mask: NDArray) -> NDArray:
    """Number of True pixels in the box around each pixel, float32."""
    return np.round(
        scipy.ndimage.uniform_filter(mask.astype(np.float32), BOX, mode="constant") * BOX**2
    )
