"""Which method of photometry suits a star."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.constants import SATURATION_TMAG
from tessphot_lib.core.lightcurve import Cards, StarNotes
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.settings import FITTING_METHODS, AutoSettings, PhotometrySettings
from tessphot_lib.core.star_warnings import (
    LIMITED_APERTURE,
    MINIMUM_APERTURE,
    RUGGED_LIGHT,
    SWITCHED_TO_HALO,
    UNKNOWN_LIGHT,
    UNLISTED_LIGHT,
)

APERTURE, LINPSF, HALO = "aperture", "linpsf", "halo"  # the methods that the rules know
DEFAULT_METHOD = APERTURE
REPORTED_FRACTION = 0.01  # of the light in an aperture, of sources that the list lacks
REPORTED_STATIC_ERROR = 0.03  # of a star's flux, that extended light may make it wrong by


def choose_methods(
    tmag: NDArray, contamination: NDArray, edge_share: NDArray, settings: AutoSettings
) -> NDArray:
    """Choose a method for each star.

    Parameters
    ----------
    tmag : (n_stars,) array
        TESS magnitudes.
    contamination : (n_stars,) array
        Fraction of the light in a star's aperture that is not its own; NaN
        (unknown) counts as none.
    edge_share : (n_stars,) array
        Flux of those pixels of the aperture beyond which it would go on, by
        the expected flux of the star; NaN counts as none.
    settings : AutoSettings
        The limits.

    Returns
    -------
    (n_stars,) array of str
        ``halo`` for the very brightest and for bright stars whose aperture is
        cut; ``linpsf`` for stars in a crowd that do not saturate, since a fit
        needs to know where the charge is; ``aperture`` else.
    """
    tmag = np.asarray(tmag, dtype=float)
    with np.errstate(invalid="ignore"):
        is_cut = (tmag < settings.halo_limit) & (
            np.asarray(edge_share) > settings.halo_edge_fraction
        )
        is_halo = (tmag <= settings.halo_always) | is_cut
        is_crowded = np.asarray(contamination) > settings.linpsf_contamination
        is_crowded &= tmag > SATURATION_TMAG
    return np.select([is_halo, is_crowded], [HALO, LINPSF], APERTURE).astype(object)


def suitable_methods(
    tmag: NDArray, apertures: Sequence[Aperture], zeropoint: float, photometry: PhotometrySettings
) -> NDArray:
    """Method of each star: the one that ``photometry.method`` forces, or the one that suits it.

    Parameters
    ----------
    tmag : (n_stars,) array
    apertures : sequence of Aperture
        As they were found, with their light.
    zeropoint : float
        [mag] of a flux of 1 e-/s.
    photometry : PhotometrySettings

    Returns
    -------
    (n_stars,) array of str
    """
    if photometry.method != "auto":
        return np.full(len(tmag), photometry.method, dtype=object)
    contamination = np.array([1 - aperture.light.crowdsap for aperture in apertures])
    cut = np.array([aperture.cut_flux for aperture in apertures])
    expected = flux_of(tmag, zeropoint)
    return choose_methods(tmag, contamination, cut / expected, photometry.auto)


def as_listed(aperture: Aperture, is_automatic: bool, finding: str | None = None) -> Aperture:
    """An aperture as the todo list keeps it, with what is found of the star.

    ``finding`` is what the image says of the star's entry in the list.
    """
    findings = [UNLISTED_LIGHT] * (aperture.unlisted_fraction > REPORTED_FRACTION)
    if aperture.static_error > REPORTED_STATIC_ERROR:
        findings.append(RUGGED_LIGHT.format(100 * aperture.static_error))
    findings += [finding] if finding else []
    return replace(aperture, is_automatic=is_automatic, findings=" ".join(findings) or None)


def warnings_of(aperture: Aperture, method: str) -> str | None:
    """Warnings for a star that is measured by this method.

    Parameters
    ----------
    aperture : Aperture
        As the todo list has it: what halo photometry uses says nothing of its pixels.
    method : str

    Returns
    -------
    str or None
        None if there is nothing to warn of.
    """
    if method == HALO:
        warnings = [SWITCHED_TO_HALO] * aperture.is_automatic
    else:
        warnings = [MINIMUM_APERTURE] * aperture.is_minimum
        warnings += [LIMITED_APERTURE] * aperture.is_limited
        warnings += [UNKNOWN_LIGHT] * aperture.has_unknown_light
    return " ".join([*warnings, *filter(None, [aperture.findings])]) or None


def as_measured(aperture: Aperture, note: StarNotes) -> Aperture:
    """The pixels that a star was measured with, and what the todo list says of it."""
    if note.pixels is None:
        return aperture
    return replace(note.pixels, is_automatic=aperture.is_automatic, findings=aperture.findings)


def is_left_out(method: NDArray, brighter_method: str, *, brighter_saturates: bool) -> NDArray:
    """Return which of the stars in the aperture of a brighter one are left to it.

    Parameters
    ----------
    method : (n_stars,) array of str
        Of the fainter stars.
    brighter_method : str
    brighter_saturates : bool
        Its charge is not where its PRF has it; a fit beside it needs it fitted, too.

    Returns
    -------
    (n_stars,) bool array
        Stars that are fitted are measured all the same, unless they stand in
        what belongs to a saturated star that is not fitted.
    """
    is_fitted = np.isin(method.astype(str), FITTING_METHODS)
    if brighter_saturates and brighter_method not in FITTING_METHODS:
        return np.ones(len(method), dtype=bool)
    return ~is_fitted


def choice_cards(settings: PhotometrySettings) -> Cards:
    """Header cards of the rules that the method of a star was chosen by."""
    rules = settings.auto
    return {
        "AUTO_TMG": (float(rules.halo_always), "[mag] stars as bright: halo"),
        "AUTO_LIM": (float(rules.halo_limit), "[mag] limit of halo for cut apertures"),
        "AUTO_EDG": (float(rules.halo_edge_fraction), "fraction of flux at the edge for that"),
        "AUTO_CON": (
            float(rules.linpsf_contamination),
            "contamination from which on: linpsf",
        ),
    }
