"""Asteroids and comets: what stands out of single images, and moves from one to the next.

An object adds light with about the shape of the PRF to one position of an image. Detections
that follow each other along a line, at a speed that Solar System objects have, are its track;
variable stars stay where they are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.stamps import cut_stamps

HALF = 2  # [pixels] 5 x 5 pixels decide about a detection
WIDTH = 0.85  # [pixels] of the Gaussian that is looked for
PIXEL_SIGMA = 3.0  # of the brightest pixel ...
MIN_SNR = 5.0  # ... and of the Gaussian fit
MIN_LIKENESS = 0.35  # of the variance of the pixels that the Gaussian explains
MAX_DETECTIONS = 400  # the brightest of an image and part of a CCD
SPEED = (0.07, 4.0)  # [pixels per image] slowest and fastest
SEED_IMAGES, MAX_GAP = 3, 8  # images that a track may be without detection, in the beginning, then
TOLERANCE = 0.6  # [pixels] of the next detection from where it is expected
TOLERANCE_GROWTH = 0.08  # [pixels] more for each image without detection
FLUX_RATIO = 2.5  # of detections of one object
MIN_DETECTIONS, MIN_FRACTION = 8, 0.5  # of a track, and of the images between its ends
MIN_FRACTION_OF_TIME = 0.35  # of the images that there would be without gaps
MIN_LENGTH = 3.0  # [pixels]
MAX_RMS = 0.4  # [pixels] about the smooth track
RECENT = 8  # detections that tell where the next is
MAX_DEGREE, DETECTIONS_PER_DEGREE = 4, 20  # of the polynomial of a track in time


@dataclass(frozen=True)
class Detections:
    """What stands out of images; (n,) arrays.

    Attributes
    ----------
    image : int array
        Number of the image.
    row, column : arrays
        [science pixels]
    flux, snr : arrays
        [e-/s], and its signal to noise.
    """

    image: NDArray
    row: NDArray
    column: NDArray
    flux: NDArray
    snr: NDArray

    @classmethod
    def join(cls, parts: list["Detections"]) -> "Detections":
        """Put several together."""
        if not parts:
            return cls(np.zeros(0, dtype=int), *(np.zeros(0) for _ in range(4)))
        return cls(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0]))
        )


@dataclass(frozen=True)
class Track:
    """The smooth path of an object.

    Attributes
    ----------
    first, last : int
        Images of its first and last detection.
    members : (n,) int array
        Its detections.
    flux : float
        Median of theirs [e-/s].
    start, scale : float
        Of the time: ``(time - start) / scale`` is the argument of the polynomials.
    row, column : arrays
        Coefficients, the highest power first.
    """

    first: int
    last: int
    members: NDArray
    flux: float
    start: float
    scale: float
    row: NDArray
    column: NDArray

    def at(self, time: NDArray) -> tuple[NDArray, NDArray]:
        """Row and column at times (n,), in the unit that the track was linked with."""
        argument = (np.asarray(time, dtype=float) - self.start) / self.scale
        return np.polyval(self.row, argument), np.polyval(self.column, argument)


def find_detections(
    residual: NDArray, sigma: NDArray, image: NDArray, first_row: int, first_column: int
) -> Detections:
    """Find what stands out of images of the same pixels.

    Parameters
    ----------
    residual, sigma : (n_images, n_rows, n_columns) arrays
        Images without background and average image, and their error, variability and motion of
        stars included [e-/s]; NaN pixels do not count.
    image : (n_images,) int array
        Their numbers.
    first_row, first_column : int
        Their first pixel.

    Returns
    -------
    Detections
        In the order of the images, and of the pixels of each.
    """
    with np.errstate(invalid="ignore"):
        pixels = np.flatnonzero(residual.ravel() > PIXEL_SIGMA * sigma.ravel())
    is_known = np.isfinite(residual.ravel()[pixels]) & (sigma.ravel()[pixels] > 0)
    if not is_known.any():  # as in most images of a small stamp
        return Detections.join([])
    of, row, column = np.unravel_index(pixels[is_known], residual.shape)
    side = (2 * HALF + 1,) * 2
    # The brightest pixel of its 3 x 3.
    near = cut_stamps(residual, row - 1, column - 1, (3, 3), of)
    highest = np.nanmax(near, axis=(1, 2), initial=-np.inf)
    is_peak = residual[of, row, column] >= highest
    of, row, column = of[is_peak], row[is_peak], column[is_peak]
    light = cut_stamps(residual, row - HALF, column - HALF, side, of)
    weight = 1 / cut_stamps(sigma, row - HALF, column - HALF, side, of) ** 2
    usable = np.isfinite(light) & np.isfinite(weight)
    light, weight = np.where(usable, light, 0.0), np.where(usable, weight, 0.0)
    d_row, d_column = _centroid(light)
    offset = np.arange(-HALF, HALF + 1)
    shape = np.exp(
        -0.5
        * (
            (offset[None, :, None] - d_row[:, None, None]) ** 2
            + (offset[None, None, :] - d_column[:, None, None]) ** 2
        )
        / WIDTH**2
    ) / (2 * np.pi * WIDTH**2)
    flux, snr, likeness = _fit(light, weight, shape)
    good = (snr > MIN_SNR) & (likeness > MIN_LIKENESS)
    good &= usable[:, HALF - 1 : HALF + 2, HALF - 1 : HALF + 2].all(axis=(1, 2))
    chosen = _brightest_of_each(of, snr, np.flatnonzero(good))
    return Detections(
        image[of[chosen]],
        first_row + row[chosen] + d_row[chosen],
        first_column + column[chosen] + d_column[chosen],
        flux[chosen],
        snr[chosen],
    )


def _brightest_of_each(image: NDArray, snr: NDArray, chosen: NDArray) -> NDArray:
    """Keep the `MAX_DETECTIONS` brightest of each image; ``chosen`` are sorted by it."""
    order = chosen[np.lexsort((-snr[chosen], image[chosen]))]
    rank = np.arange(len(order)) - np.searchsorted(image[order], image[order])
    return np.sort(order[rank < MAX_DETECTIONS])


def _centroid(light: NDArray) -> tuple[NDArray, NDArray]:
    """Offsets from the middle pixel by the light of the 3 x 3 pixels [pixels]."""
    near = np.maximum(light[:, HALF - 1 : HALF + 2, HALF - 1 : HALF + 2], 0.0)
    total = np.maximum(near.sum(axis=(1, 2)), 1e-30)
    d_row = (near[:, 2] - near[:, 0]).sum(axis=1) / total
    d_column = (near[:, :, 2] - near[:, :, 0]).sum(axis=1) / total
    return np.clip(d_row, -0.6, 0.6), np.clip(d_column, -0.6, 0.6)


def _fit(light: NDArray, weight: NDArray, shape: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Weighted fit of a shape and a constant: flux, signal to noise, explained variance."""
    total = np.maximum(weight.sum(axis=(1, 2)), 1e-30)
    mean_light = (weight * light).sum(axis=(1, 2)) / total
    mean_shape = (weight * shape).sum(axis=(1, 2)) / total
    light, shape = light - mean_light[:, None, None], shape - mean_shape[:, None, None]
    power = np.maximum((weight * shape**2).sum(axis=(1, 2)), 1e-30)
    flux = (weight * light * shape).sum(axis=(1, 2)) / power
    variance = np.maximum((weight * light**2).sum(axis=(1, 2)), 1e-30)
    return flux, flux * np.sqrt(power), flux**2 * power / variance


def link_tracks(found: Detections, time: NDArray) -> list[Track]:
    """Join detections to tracks.

    Parameters
    ----------
    found : Detections
    time : (n_images,) array
        In units of the interval between images, gaps included.

    Returns
    -------
    list of Track
        By the image in which they begin.
    """
    order = np.argsort(found.image, kind="stable")
    edges = np.searchsorted(found.image[order], np.arange(len(time) + 1))
    of_image = [order[edges[k] : edges[k + 1]] for k in range(len(time))]
    used = np.zeros(len(found.image), dtype=bool)
    tracks = []
    for first in range(len(time)):
        for seed in of_image[first]:
            if used[seed]:
                continue
            best = _longest(found, time, of_image, used, int(seed))
            track = _as_track(found, time, best)
            if track is not None:
                used[track.members] = True
                tracks.append(track)
    return tracks


def _longest(
    found: Detections, time: NDArray, of_image: list[NDArray], used: NDArray, seed: int
) -> list[int]:
    """The longest chain of detections that begins with one."""
    best: list[int] = [seed]
    first = int(found.image[seed])
    for image in range(first + 1, min(first + 1 + SEED_IMAGES, len(time))):
        step = time[image] - time[first]
        near = of_image[image][~used[of_image[image]]]
        distance = np.hypot(
            found.row[near] - found.row[seed], found.column[near] - found.column[seed]
        )
        ratio = found.flux[near] / found.flux[seed]
        fits = (distance > SPEED[0] * step) & (distance < SPEED[1] * step)
        fits &= (ratio < FLUX_RATIO) & (ratio > 1 / FLUX_RATIO)
        for second in near[fits]:
            chain = _follow(found, time, of_image, used, [seed, int(second)])
            if len(chain) > len(best):
                best = chain
    return best


def _follow(
    found: Detections, time: NDArray, of_image: list[NDArray], used: NDArray, chain: list[int]
) -> list[int]:
    """Add detections to a chain as long as there are any where they are expected."""
    image, missed = int(found.image[chain[-1]]), 0
    while image + 1 < len(time) and missed <= (SEED_IMAGES if len(chain) < 5 else MAX_GAP):
        image += 1
        missed += 1
        near = of_image[image][~used[of_image[image]]]
        if not near.size:
            continue
        recent = chain[-RECENT:]
        at = time[found.image[recent]] - time[image]
        row, column = (np.polyfit(at, one[recent], 1)[-1] for one in (found.row, found.column))
        distance = np.hypot(found.row[near] - row, found.column[near] - column)
        flux = np.median(found.flux[recent])
        ratio = found.flux[near] / flux
        fits = (
            (distance < TOLERANCE + missed * TOLERANCE_GROWTH)
            & (ratio < FLUX_RATIO)
            & (ratio > 1 / FLUX_RATIO)
        )
        if fits.any():
            chain = [*chain, int(near[fits][np.argmin(distance[fits])])]
            missed = 0
    return chain


def _as_track(found: Detections, time: NDArray, chain: list[int]) -> Track | None:
    """The smooth path of a chain; None where it is no object's."""
    if len(chain) < MIN_DETECTIONS:
        return None
    members = np.array(chain)
    first, last = int(found.image[members[0]]), int(found.image[members[-1]])
    at = time[found.image[members]]
    start, scale = float(at.mean()), float(max(np.ptp(at) / 2, 1e-9))
    degree = min(MAX_DEGREE, 1 + len(members) // DETECTIONS_PER_DEGREE)
    argument = (at - start) / scale
    row = np.polyfit(argument, found.row[members], degree)
    column = np.polyfit(argument, found.column[members], degree)
    off_row = found.row[members] - np.polyval(row, argument)
    off_column = found.column[members] - np.polyval(column, argument)
    ends = np.array([-1.0, 1.0])
    length = np.hypot(*(float(np.diff(np.polyval(one, ends))[0]) for one in (row, column)))
    rms = float(np.sqrt(np.mean(off_row**2 + off_column**2) / 2))
    fraction = len(members) / (last - first + 1)
    of_time = len(members) / (np.ptp(at) + 1)
    if length < MIN_LENGTH or rms > MAX_RMS:
        return None
    if fraction < MIN_FRACTION or of_time < MIN_FRACTION_OF_TIME:
        return None
    flux = float(np.median(found.flux[members]))
    return Track(first, last, members, flux, start, scale, row, column)
