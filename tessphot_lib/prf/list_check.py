"""Where the list of stars and the average image disagree, and what is then believed.

The image wins where it is clear: a magnitude or a position that is off, a star whose light is
not there, a star that is listed twice. What is not clear stays as the list has it.
"""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.prf.census import Census

CLEAR_SNR = 5.0  # of a flux, error of the PRF included
MAGNITUDE_OFF = 0.3  # [mag] from the list and from what most stars are off
FLUX_OFF_SIGMA = 4.0
POSITION_OFF = 0.25  # [pixels] from the list and from what most stars are off
FLUX_PER_CONFUSION = 10.0  # that a star must have for its position to be clear
POSITION_PER_SNR = 0.8  # [pixels] error of a position times signal to noise
POSITION_PER_PRF = 3.0  # [pixels] times what the PRF errs by in a star's own light
ENOUGH_STARS = 10  # clear ones that show what most are off
ABSENT_FRACTION = 0.3  # of the expected light, that the pixels show at most
ABSENT_SNR = 10.0  # of the expected light
SKY_ERROR = 2.0  # [e-/s] of a pixel, that its sky may be off by
IMPOSSIBLE_FRACTION = 0.1  # also where some of the 5 x 5 pixels are missing
MIN_FLUX = 1.0  # [e-/s] that an absent star keeps: fluxes are positive
ONE_PIXEL = 0.1  # [pixels] nearer entries of a list cannot be told apart ...
TWIN_DISTANCE, TWIN_TMAG = 0.75, 1.0  # [pixels], [mag] ... nor these, if they show one star's light


@dataclass(frozen=True)
class Verdict:
    """What is believed of each listed star; (n_stars,) arrays.

    Attributes
    ----------
    flux : array
        Expected flux [e-/s], the list's where the image is not clear.
    d_row, d_column : arrays
        To be added to the list's position [pixels]; 0 where it is believed.
    magnitude_off, position_off, is_absent : bool arrays
        What is not believed of the list: too much or too little light, another position, or
        that there is a star.
    """

    flux: NDArray
    d_row: NDArray
    d_column: NDArray
    magnitude_off: NDArray
    position_off: NDArray
    is_absent: NDArray


def judge(census: Census, pixel_noise: NDArray, prf_peak: float, *, confusion: float) -> Verdict:
    """Compare the list with the image, star by star.

    Parameters
    ----------
    census : Census
        Of the stars of a list, without sources; errors infinite where a star was not seen.
    pixel_noise : (n_stars,) array
        Error of the average image at each star [e-/s].
    prf_peak : float
        Of a star's light in its brightest pixel.
    confusion : float
        Flux of the faintest stars of the list [e-/s]: those that it lacks may be as bright.
    """
    given, found, error = census.given_flux, census.flux, census.flux_err
    with np.errstate(divide="ignore", invalid="ignore"):
        snr = np.maximum(found / census.seen_err, 1e-9)
        of_prf = np.nan_to_num(np.sqrt(np.maximum(error**2 - census.seen_err**2, 0.0)) / found)
        off = 2.5 * np.log10(found / given)
    clear = (snr > CLEAR_SNR) & census.is_whole & ~census.is_other
    typical = float(np.median(off[clear])) if clear.sum() >= ENOUGH_STARS else 0.0
    expected = given * 10 ** (0.4 * typical)
    magnitude_off = clear & (np.abs(off - typical) > MAGNITUDE_OFF)
    magnitude_off &= np.abs(found - expected) > FLUX_OFF_SIGMA * np.hypot(error, confusion)
    d_row, d_column = census.row - census.given_row, census.column - census.given_column
    moved = clear & census.moves & (found > FLUX_PER_CONFUSION * confusion)
    common = [
        np.median(d[moved]) if moved.sum() >= ENOUGH_STARS else 0.0 for d in (d_row, d_column)
    ]
    offset = np.hypot(d_row - common[0], d_column - common[1])
    position_off = moved & (offset > POSITION_OFF) & (offset > 5 * POSITION_PER_SNR / snr)
    position_off &= offset > POSITION_PER_PRF * of_prf
    # Far too much light is clear at the edge of the pixels, too.
    impossible = (census.most < ABSENT_FRACTION * expected) & census.is_whole
    impossible |= census.most < IMPOSSIBLE_FRACTION * expected
    impossible &= expected * prf_peak > ABSENT_SNR * np.hypot(pixel_noise, SKY_ERROR)
    is_some_star = (snr > CLEAR_SNR) & (found > FLUX_OFF_SIGMA * confusion) & ~census.is_other
    magnitude_off |= impossible & is_some_star
    is_absent = impossible & ~is_some_star
    magnitude_off &= ~is_absent
    position_off &= ~is_absent
    flux = np.where(magnitude_off, found, given)
    flux[is_absent] = np.maximum(found, MIN_FLUX)[is_absent]
    return Verdict(
        flux,
        np.where(position_off, d_row, 0.0),
        np.where(position_off, d_column, 0.0),
        magnitude_off,
        position_off,
        is_absent,
    )


def close_pairs(row: NDArray, column: NDArray, within: float = TWIN_DISTANCE) -> NDArray:
    """Pairs of stars that may be one, (n_pairs, 2) ints; positions (n_stars,) are finite."""
    tree = scipy.spatial.cKDTree(np.column_stack([row, column]))
    return tree.query_pairs(within, output_type="ndarray")


def twins(
    pairs: NDArray, row: NDArray, column: NDArray, flux: NDArray, found: NDArray, found_err: NDArray
) -> dict[int, int]:
    """Find entries of a list that are the same star as another one.

    Two entries within `ONE_PIXEL` are one, as no image can tell them apart; others if they are
    alike and the image shows the light of one of them rather than that of two.

    Parameters
    ----------
    pairs : (n_pairs, 2) int array
        From `close_pairs`.
    row, column, flux : (n_stars,) arrays
        Of the list [science pixels], [e-/s].
    found, found_err : (n_stars,) arrays
        Fluxes in the image [e-/s], each with its error if the other is known; an infinite error
        where it shows nothing.

    Returns
    -------
    dict
        From the star that is not counted to the one that is, the brighter of the two, or the
        first. None of those that are counted is itself in it: of three entries of a star two
        lead to the third.
    """
    same: dict[int, int] = {}
    for first, second in sorted(map(tuple, pairs.tolist())):
        if first in same or second in same:
            continue
        keep, drop = (first, second) if flux[first] >= flux[second] else (second, first)
        distance = np.hypot(row[first] - row[second], column[first] - column[second])
        both, total = flux[first] + flux[second], found[first] + found[second]
        is_alike = flux[keep] < flux[drop] * 10 ** (0.4 * TWIN_TMAG)
        is_seen = total > CLEAR_SNR * min(found_err[first], found_err[second])
        is_one = is_alike and is_seen and total < np.sqrt(flux[keep] * both)
        if distance < ONE_PIXEL or is_one:
            same[drop] = keep
    for drop, keep in same.items():
        while keep in same:
            keep = same[keep]
        same[drop] = keep
    return same
