"""The noise of pixels from their scatter in time, and what it follows.

Second differences of consecutive images: what changes slowly (the sky, most stars, drifts)
cancels, and of noise that differs from image to image they have six times the variance.
Each pixel gives its variance, its flux and how steep the light is around it. Fitted to all is::

    variance = read[output] + photon * flux + motion^2 * slope^2

with the last term for motion of the image that nobody measured, which makes bright pixels noisy.
Photon and read noise are known to some per cent from the instrument, and may differ from that
by `PHOTON_PRIOR` and `READ_PRIOR`, or more where the pixels insist.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import ROUNDED_MAD_TO_SIGMA, SECOND_DIFFERENCE
from tessphot_lib.core.medians import median_of_known, medians_of_known
from tessphot_lib.core.noise_model import N_OUTPUTS, NoiseModel

MIN_IMAGES = 12  # second differences that give a variance
MIN_PIXELS = 30
MAD_VARIANCE = 2.7  # n times the relative variance of a variance from a MAD
CORRELATED = 2.0  # second differences that overlap say so much less
PIXEL_SPREAD = 0.1  # relative scatter of true variances: flat field, unseen motion
MAX_MOTION = 0.05  # [pixels] more that nobody saw is none: skies that are wrong look like it
MOTION_SPREAD = 0.7  # of what motion adds: slopes and directions are not known better
PHOTON_PRIOR, READ_PRIOR = 0.05, 0.2  # relative, of the expected ones
PRIOR_WEIGHT = 0.005  # of the pixels' weight: what they are wrong by does not average out
N_ROUNDS, CLIP = 8, 3.0  # [sigma]
FAINT_FRACTION = 0.6  # of the pixels of a piece show the sky
MIN_FAINT = 12
DIFFERENT = 0.03  # from which stated errors are replaced
BRIGHT_FRACTION = 0.1


class PixelScatter(NamedTuple):
    """What some pixels tell, (n_pixels,) each.

    Attributes
    ----------
    flux : sky included [e-/s]
    variance : [(e-/s)^2]
    slope : steepness of the light [e-/s per pixel]
    output : 0 to 3
    stated : stated error [e-/s]; NaN without any
    n_images : second differences it is from
    """

    flux: NDArray
    variance: NDArray
    slope: NDArray
    output: NDArray
    stated: NDArray
    n_images: NDArray

    @classmethod
    def joined(cls, parts: "list[PixelScatter]") -> "PixelScatter":
        """Put the pixels of several pieces together, those left out of which something is NaN."""
        if not parts:
            return cls(*[np.zeros(0)] * len(cls._fields))
        arrays = [np.concatenate(values) for values in zip(*parts, strict=True)]
        known = np.all([np.isfinite(one) for one in arrays[:4]], axis=0)
        return cls(*(one[known] for one in arrays))


@dataclass(frozen=True)
class SkyScatter:
    """By how much the background of a piece is off from image to image.

    ``covariance`` is that of two sky pixels after the background is taken off [(e-/s)^2]:
    the variance of what they share. ``stated`` is the error of the background [e-/s].
    """

    covariance: float
    stated: float


def scatter_variance(second: NDArray) -> NDArray:
    """Variance of the noise by robust scatter of second differences, along the first axis.

    Parameters
    ----------
    second : (n_images, ...) array
        NaN does not count.

    Returns
    -------
    (...) float64 array
        NaN with fewer than `MIN_IMAGES`.
    """
    n_known = np.isfinite(second).sum(axis=0)
    enough = n_known >= MIN_IMAGES
    result = np.full(second.shape[1:], np.nan)
    if not np.any(enough):
        return result
    some = np.asarray(second[:, enough], dtype=float)
    mad = medians_of_known(np.abs(some - medians_of_known(some)))
    result[enough] = (ROUNDED_MAD_TO_SIGMA * mad) ** 2 / SECOND_DIFFERENCE
    return result


def without_motion(second: NDArray, d_row: NDArray, d_column: NDArray) -> tuple[NDArray, float]:
    """Take off what goes with the motion of the image, pixel by pixel.

    Parameters
    ----------
    second : (n_images, n_pixels) array
        Second differences of the light; finite.
    d_row, d_column : (n_images,) arrays
        Second differences of the motion; unknown where NaN.

    Returns
    -------
    rest : (n_images, n_pixels) array
    gain : float
        By what the variance of noise has shrunk through it.
    """
    moves = np.stack([d_row, d_column], axis=1)
    known = np.isfinite(moves).all(axis=1)
    if known.sum() < 2 * MIN_IMAGES:
        return second, 1.0
    design = np.where(known[:, None], moves, 0.0)
    if not (np.abs(design).max(axis=0) > 0).any():
        return second, 1.0
    slopes = np.linalg.lstsq(design, second, rcond=None)[0]
    return second - design @ slopes, 1 - 2 / len(second)


def sky_scatter(
    second: NDArray, light: NDArray, stated: float, own: float = 0.0
) -> SkyScatter | None:
    """By how much the sky pixels of a piece scatter together; None without enough of them.

    Parameters
    ----------
    second : (n_images, n_pixels) array
        Second differences, backgrounds taken off [e-/s].
    light : (n_pixels,) array
        Average image: the faintest `FAINT_FRACTION` count as sky.
    stated : float
        Typical error of the background [e-/s].
    own : float
        The part of it that is from the noise of these pixels themselves [e-/s]: they share it
        with the background, so that their covariance is less by twice its variance.
    """
    usable = np.isfinite(second).all(axis=0) & np.isfinite(light)
    if usable.sum() < MIN_FAINT / FAINT_FRACTION or len(second) < MIN_IMAGES:
        return None
    faint = usable & (light <= np.quantile(light[usable], FAINT_FRACTION))
    n_pixels = int(faint.sum())
    of_mean = float(scatter_variance(second[:, faint].mean(axis=1)))
    of_pixels = float(np.mean(scatter_variance(second[:, faint])))
    covariance = (of_mean - of_pixels / n_pixels) * n_pixels / (n_pixels - 1)
    return SkyScatter(covariance + 2 * own**2, stated)


def background_factor(pieces: list[SkyScatter]) -> float:
    """By what factor stated errors of backgrounds are to be multiplied; NaN: not known."""
    pieces = [piece for piece in pieces if np.isfinite([piece.covariance, piece.stated]).all()]
    if not pieces:
        return np.nan
    seen = np.median([piece.covariance for piece in pieces])
    stated = np.median([piece.stated**2 for piece in pieces])
    if not stated > 0:
        return np.nan
    return float(np.sqrt(max(seen, 0.0) / stated))


def fit_noise(pixels: PixelScatter, expected: NoiseModel) -> NoiseModel | None:
    """Fit the noise model; see the module.

    Parameters
    ----------
    pixels : PixelScatter
    expected : NoiseModel
        As the instrument should be.

    Returns
    -------
    NoiseModel or None
        With ``source`` 'pixels' or 'images', by whether the stated errors differ from it;
        None with fewer than `MIN_PIXELS`.
    """
    if len(pixels.flux) < MIN_PIXELS:
        return None
    outputs = np.unique(pixels.output)
    flux = np.maximum(pixels.flux, 0.0)
    design = np.stack(
        [*((pixels.output == one).astype(float) for one in outputs), flux, pixels.slope**2], axis=1
    )
    prior = np.array([*(expected.read[int(one)] for one in outputs), expected.photon])
    prior_sigma = prior * np.array([*[READ_PRIOR] * len(outputs), PHOTON_PRIOR])
    solution = _robust_fit(design, pixels, prior, prior_sigma)
    read = list(expected.read)
    seen = dict(zip(outputs.astype(int).tolist(), solution, strict=False))
    mean = float(np.mean(list(seen.values())))
    scale = mean / float(np.mean([expected.read[one] for one in seen]))
    for output in range(N_OUTPUTS):
        read[output] = float(seen.get(output, read[output] * scale))
    model = NoiseModel(
        tuple(read),
        float(solution[-2]),
        "pixels",
        n_pixels=len(flux),
        n_images=int(np.median(pixels.n_images)),
        motion=min(float(np.sqrt(solution[-1])), MAX_MOTION),
    )
    return _compared(model, pixels)


def _robust_fit(
    design: NDArray, pixels: PixelScatter, prior: NDArray, prior_sigma: NDArray
) -> NDArray:
    """Weighted least squares; pixels that are off too far do not count; no negative terms."""
    solution = np.append(prior, 0.0)
    sampling = CORRELATED * MAD_VARIANCE / pixels.n_images
    typical = np.maximum(design[:, :-1] @ prior, 1e-12)
    # Motion: what the median of steep pixels has beyond the rest, as a start.
    steep = design[:, -1] > np.quantile(design[:, -1], 0.9)
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = (pixels.variance - typical)[steep] / design[steep, -1]
    solution[-1] = max(float(np.nan_to_num(median_of_known(excess))), 0.0)
    for _ in range(N_ROUNDS):
        moved = design[:, -1] * solution[-1]
        still = np.maximum(design[:, :-1] @ solution[:-1], 1e-3 * typical)
        sigma = np.hypot(
            (still + moved) * np.sqrt(sampling + PIXEL_SPREAD**2), MOTION_SPREAD * moved
        )
        residual = (pixels.variance - still - moved) / sigma
        spread = max(1.0, ROUNDED_MAD_TO_SIGMA * float(np.median(np.abs(residual))))
        kept = np.abs(residual) <= CLIP * spread
        weighted = design[kept] / sigma[kept, None]
        target = pixels.variance[kept] / sigma[kept]
        pull = np.sqrt(PRIOR_WEIGHT * len(still)) / prior_sigma
        rows = np.concatenate([np.diag(pull), np.zeros((len(prior), 1))], axis=1)
        full = np.concatenate([weighted, rows])
        scale = np.maximum(np.abs(full).max(axis=0), 1e-300)
        solution = (
            np.linalg.lstsq(full / scale, np.concatenate([target, pull * prior]), rcond=None)[0]
            / scale
        )
        solution[:-1] = np.maximum(solution[:-1], 0.1 * prior)
        solution[-1] = max(solution[-1], 0.0)
    return solution


def _compared(model: NoiseModel, pixels: PixelScatter) -> NoiseModel:
    """The model with what stated errors are worth, and whose errors count."""
    variance = np.array(model.read)[pixels.output.astype(int)] + model.photon * np.maximum(
        pixels.flux, 0.0
    )
    ratio = pixels.stated / np.sqrt(variance)
    known = np.isfinite(ratio)
    if not known.any():
        return model
    flux, ratio = pixels.flux[known], ratio[known]
    faint = float(np.median(ratio[flux <= np.quantile(flux, FAINT_FRACTION)]))
    bright = float(np.median(ratio[flux >= np.quantile(flux, 1 - BRIGHT_FRACTION)]))
    agrees = max(abs(faint - 1), abs(bright - 1)) <= DIFFERENT
    values = {name: getattr(model, name) for name in model.__dataclass_fields__}
    source = "images" if agrees else "pixels"
    return NoiseModel(**(values | {"source": source, "faint": faint, "bright": bright}))
