"""Trends that quiet stars of a CCD have in common: what the instrument does to all of them.

Some hundred bright stars are cut in two halves. A variation that both halves
show independently is one of the CCD; one that is found in one half only is the
variability of some star (canonical correlations between the main components
of the halves [1]_). Each star's loading, how strongly it follows a trend, is
stored with its position, for the stars around it.

References
----------
.. [1] Hotelling 1936, Biometrika 28, 321.
.. [2] Horn 1965, Psychometrika 30, 179.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import MAD_TO_SIGMA
from tessphot_lib.core.medians import median_of_known
from tessphot_lib.lightcurves.correction import (
    Regressors,
    correct_flux,
    motion_regressors,
)

MIN_STARS = 30  # quiet stars, for any trend
MIN_CADENCES = 40  # good ones
MAX_SCATTER = 2.0  # stars that scatter this much more than is usual at their error are variable
MIN_CORRELATION = 0.6  # between the halves
CHANCE = 2.5  # correlations by chance are about 2 sqrt(components / cadences)
N_SHIFTS, SHIFT_SEED = 20, 1  # of light curves against each other, to see what chance gives
STANDS_OUT = 1.3  # a trend has to hold this much more power than chance gives
CLIP = 5.0  # [sigma] of points of the stars
N_NEAREST = 25  # stars whose loadings tell what to expect of one among them
LEAST_COVERAGE = 0.5  # of the stars that have to be there for a trend to be known in an image


@dataclass(frozen=True)
class Trends:
    """Common trends of a CCD.

    Attributes
    ----------
    vectors : (n_cadences, n_trends) float64 array
        Of rms one over the good images; NaN where not known.
    tic_id : (n_stars,) int64 array
        The quiet stars.
    row, column : (n_stars,) float64 arrays
        Their positions [science pixels].
    loadings : (n_stars, n_trends) float64 array
        Relative flux per unit of each trend.
    remark : str
        Why there are no trends, if so.
    """

    vectors: NDArray
    tic_id: NDArray
    row: NDArray
    column: NDArray
    loadings: NDArray
    remark: str = ""

    @classmethod
    def none(cls, n_cadences: int, remark: str) -> "Trends":
        """No trends."""
        empty = np.zeros(0)
        return cls(
            np.zeros((n_cadences, 0)),
            empty.astype(np.int64),
            empty,
            empty,
            np.zeros((0, 0)),
            remark,
        )

    @property
    def n_trends(self) -> int:
        """How many there are."""
        return self.vectors.shape[1]

    def regressors_at(self, row: float, column: float, tic_id: int) -> Regressors:
        """Trends with what is to be expected of a star: the loadings of the nearest quiet stars.

        The star itself is not one of them.
        """
        others = np.flatnonzero(self.tic_id != tic_id)
        distance = np.hypot(self.row[others] - row, self.column[others] - column)
        near = self.loadings[others[np.argsort(distance, kind="stable")[:N_NEAREST]]]
        mean = np.median(near, axis=0) if len(near) else np.zeros(self.n_trends)
        sigma = MAD_TO_SIGMA * np.median(np.abs(near - mean), axis=0) if len(near) else mean
        return Regressors(self.vectors, mean, sigma, np.zeros(self.n_trends, dtype=bool))


def find_trends(
    time: NDArray,
    flux: NDArray,
    flux_err: NDArray,
    good: NDArray,
    pos_row: NDArray,
    pos_column: NDArray,
    *,
    tic_id: NDArray,
    row: NDArray,
    column: NDArray,
    max_trends: int,
) -> Trends:
    """Find the trends that stars of a CCD have in common, besides what motion does to them.

    Parameters
    ----------
    time : (n_cadences,) array [BTJD]
    flux, flux_err, pos_row, pos_column : (n_stars, n_cadences) arrays
        Of bright isolated stars, and the motion at each [pixels].
    good : (n_stars, n_cadences) bool array
    tic_id, row, column : (n_stars,) arrays
    max_trends : int
        How many there are at most.

    Returns
    -------
    Trends
        None, with a remark, of too few quiet stars or images.
    """
    n_cadences = len(time)
    relative = np.full(flux.shape, np.nan)
    for index in range(len(flux)):
        motion = motion_regressors(pos_row[index], pos_column[index])
        corrected = correct_flux(time, flux[index], flux_err[index], good[index], motion)
        relative[index] = 1e-6 * corrected.flux
    quiet, scatter = _quiet_stars(relative, flux, flux_err, good)
    if len(quiet) < MIN_STARS:
        return Trends.none(n_cadences, f"{len(quiet)} quiet stars, {MIN_STARS} are needed")
    scaled = relative[quiet] / scatter[:, None]
    usual = np.isfinite(scaled).mean(axis=0) >= LEAST_COVERAGE
    if usual.sum() < MIN_CADENCES:
        return Trends.none(n_cadences, f"{usual.sum()} good images, {MIN_CADENCES} are needed")
    filled = np.clip(np.nan_to_num(scaled[:, usual]), -CLIP, CLIP)
    common = _common_directions(filled, max_trends)
    if common.shape[1] == 0:
        return Trends.none(n_cadences, "no trend that two halves of the quiet stars have in common")
    by_star = np.linalg.lstsq(common, filled.T, rcond=None)[0].T
    vectors = _vectors(np.clip(scaled, -CLIP, CLIP), by_star)
    vectors[~usual] = np.nan
    size = np.sqrt(np.mean(vectors[usual] ** 2, axis=0))
    sign = np.where(np.median(by_star, axis=0) < 0, -1.0, 1.0)
    return Trends(
        vectors * (sign / size),
        tic_id[quiet],
        row[quiet],
        column[quiet],
        by_star * (sign * size) * scatter[:, None],
    )


def _quiet_stars(
    relative: NDArray, flux: NDArray, flux_err: NDArray, good: NDArray
) -> tuple[NDArray, NDArray]:
    """Indices of the stars that scatter no more than is usual for their errors; their scatter."""
    has_errors = (good & np.isfinite(flux_err)).any(axis=1)
    known = np.flatnonzero(np.isfinite(relative).any(axis=1) & has_errors)
    if known.size == 0:
        return known, np.zeros(0)
    scatter = MAD_TO_SIGMA * np.array([median_of_known(np.abs(relative[star])) for star in known])
    error, level = (
        np.array([median_of_known(values[star][good[star]]) for star in known])
        for values in (flux_err, flux)
    )
    ratio = scatter * level / error
    quiet = (ratio > 0) & (ratio < MAX_SCATTER * np.median(ratio))
    return known[quiet], scatter[quiet]


def _common_directions(values: NDArray, max_trends: int) -> NDArray:
    """Orthonormal directions in time that both halves of the stars know, (n_cadences, n_trends)."""
    n_cadences = values.shape[1]
    halves = [_main_components(values[half::2], max_trends) for half in (0, 1)]
    left, correlation, right = np.linalg.svd(halves[0].T @ halves[1])
    by_chance = CHANCE * np.sqrt(halves[0].shape[1] / n_cadences)
    n_common = int(np.sum(correlation > max(MIN_CORRELATION, by_chance)))
    both = halves[0] @ left[:, :n_common] + halves[1] @ right[:n_common].T
    if n_common:
        both = np.linalg.qr(both)[0]
    return both[:, : _n_coherent(values, both)]


def _n_coherent(values: NDArray, directions: NDArray) -> int:
    """How many of some directions, in their order, hold more light curves than by chance.

    Slow variations look alike even if they have nothing to do with each other: those of
    spotted stars, with a handful of rotations in a sector. So the same light curves are
    shifted in time against each other (around the end, and mirrored at random), which
    leaves all that each star does and destroys what they do together. A trend of the CCD
    must stand out of that (parallel analysis [2]_).
    """
    rng = np.random.default_rng(SHIFT_SEED)
    # In single precision: nothing takes as long as the products of all pairs of shifted stars.
    rest, directions = values.astype(np.float32), directions.astype(np.float32)
    for index in range(directions.shape[1]):
        direction = directions[:, index]
        power = float(np.sum((rest @ direction) ** 2))
        by_chance = [_largest_power(_shifted(rest, rng)) for _ in range(N_SHIFTS)]
        if power < STANDS_OUT * np.quantile(by_chance, 0.95):
            return index
        rest = rest - np.outer(rest @ direction, direction)
    return directions.shape[1]


def _largest_power(values: NDArray) -> float:
    """Largest power that stars (n_stars, n_cadences) have in any one direction in time."""
    smaller = values @ values.T if len(values) < values.shape[1] else values.T @ values
    return float(np.linalg.eigvalsh(smaller)[-1])


def _shifted(values: NDArray, rng: np.random.Generator) -> NDArray:
    """Each light curve moved in time around the end, and mirrored, at random."""
    shifts = rng.integers(values.shape[1], size=len(values))
    mirrored = rng.random(len(values)) < 0.5
    result = np.empty_like(values)
    for one, shift, is_mirrored, moved in zip(values, shifts, mirrored, result, strict=True):
        turned = one[::-1] if is_mirrored else one
        moved[shift:], moved[:shift] = turned[: len(one) - shift], turned[len(one) - shift :]
    return result


def _main_components(values: NDArray, n_components: int) -> NDArray:
    """Main components in time of some stars, (n_cadences, n_components), orthonormal."""
    _, _, components = np.linalg.svd(values, full_matrices=False)
    return components[:n_components].T


def _vectors(scaled: NDArray, by_star: NDArray) -> NDArray:
    """Value of each trend in each image, from the stars that are there."""
    known = np.isfinite(scaled)
    filled = np.where(known, scaled, 0.0)
    right = filled.T @ by_star
    normal = np.einsum("si,sj,sc->cij", by_star, by_star, known.astype(float))
    solvable = known.sum(axis=0) > by_star.shape[1]
    result = np.full(right.shape, np.nan)
    result[solvable] = np.linalg.solve(normal[solvable], right[solvable][..., None])[..., 0]
    return result
