"""Light curves of one star in several sectors, on one scale."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PPM = 1e-6
MIN_CROWDSAP = 0.05  # with less of the light its own, a star's amplitudes cannot be told


@dataclass(frozen=True)
class SectorCurve:
    """What is needed of one sector; arrays are (n_cadences,).

    Attributes
    ----------
    flux, flux_err : float64 arrays
        Of the aperture, background subtracted [e-/s].
    flux_corr, flux_corr_err : float64 arrays
        Corrected relative flux and its error [ppm of the median], NaN where not good.
    is_good : bool array
        Quality is good, and there is a flux.
    crowdsap, flfrcsap : float
        Fraction of the light in the aperture that is the star's, and of the star's light that is
        in the aperture; NaN (not known, or a fit gave the flux of the star alone) counts as 1.
    expected : float
        Flux of the star by catalog and zero point of the PRF [e-/s].
    """

    flux: NDArray
    flux_err: NDArray
    flux_corr: NDArray
    flux_corr_err: NDArray
    is_good: NDArray
    crowdsap: float
    flfrcsap: float
    expected: float


@dataclass(frozen=True)
class JoinedSector:
    """One sector on the common scale; arrays are (n_cadences,).

    Attributes
    ----------
    flux, flux_err : float64 arrays
        Corrected flux of the star alone relative to `joined`'s common level; NaN where not good.
    raw_flux, raw_flux_err : float64 arrays
        The same without correction; NaN where there is no flux.
    median : float
        Median of the good fluxes of the aperture [e-/s].
    star_flux : float
        Of the star alone, all of it [e-/s].
    catalog_ratio : float
        ``star_flux`` over what the catalog lets expect.
    ratio : float
        ``catalog_ratio`` over its median of all sectors: level of this sector in the joined
        light curve. NaN, as all arrays, where the sector has no good flux.
    """

    flux: NDArray
    flux_err: NDArray
    raw_flux: NDArray
    raw_flux_err: NDArray
    median: float
    star_flux: float
    catalog_ratio: float
    ratio: float


def join_sectors(sectors: Sequence[SectorCurve]) -> list[JoinedSector]:
    """Put the light curves of one star on one scale.

    From the flux of each aperture the light of other stars is subtracted and that outside of
    it added (`SectorCurve.crowdsap`, `SectorCurve.flfrcsap`, defined as in SPOC's files: with
    the median ``m`` the star's flux is ``(flux - (1 - crowdsap) m) / flfrcsap``). That is
    divided by what catalog and PRF let expect in the sector, and by the median of these ratios
    over the sectors. So the amplitude of the star's variability is the same whatever the
    apertures, and its changes from sector to sector remain, as far as crowding and PRF are
    known; dividing a sector by its ``ratio`` removes them.

    Parameters
    ----------
    sectors : sequence of SectorCurve

    Returns
    -------
    list of JoinedSector
        In the same order.
    """
    levels = [_level(sector) for sector in sectors]
    ratios = np.array([star / one.expected for (_, star), one in zip(levels, sectors, strict=True)])
    usable = np.isfinite(ratios) & (ratios > 0)
    common = float(np.median(ratios[usable])) if usable.any() else np.nan
    joined = []
    for sector, (median, star), ratio in zip(sectors, levels, ratios, strict=True):
        fraction, captured = _fractions(sector)
        scale = captured * sector.expected * common  # aperture flux of the star at the common level
        others = (1 - fraction) * median
        level = abs(median)  # of which `relative_flux` gives the parts, so that no curve is turned
        corrected = median + level * PPM * sector.flux_corr
        error = level * PPM * sector.flux_corr_err
        if not np.isfinite(corrected[sector.is_good]).any():  # no correction was asked for
            corrected = np.where(sector.is_good, sector.flux, np.nan)
            error = np.where(sector.is_good, sector.flux_err, np.nan)
        joined.append(
            JoinedSector(
                flux=(corrected - others) / scale,
                flux_err=error / scale,
                raw_flux=(sector.flux - others) / scale,
                raw_flux_err=sector.flux_err / scale,
                median=median,
                star_flux=star,
                catalog_ratio=float(ratio),
                ratio=float(ratio / common),
            )
        )
    return joined


def _fractions(sector: SectorCurve) -> tuple[float, float]:
    """Crowding and captured fraction as they are used."""
    fraction = sector.crowdsap if sector.crowdsap >= MIN_CROWDSAP else 1.0  # also where it is NaN
    captured = sector.flfrcsap if sector.flfrcsap > 0 else 1.0
    return fraction, captured


def _level(sector: SectorCurve) -> tuple[float, float]:
    """Median of the good fluxes of the aperture, and the star's whole flux [e-/s]."""
    good = sector.flux[sector.is_good & np.isfinite(sector.flux)]
    median = float(np.median(good)) if good.size else np.nan
    fraction, captured = _fractions(sector)
    return median, median * fraction / captured
