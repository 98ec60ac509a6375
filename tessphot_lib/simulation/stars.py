"""The stars of the simulated sky: where they stand, how bright they are, how they move.

The stars of a CCD are drawn in the order of their brightness, each property
from a random stream of its own: a star stays the same when the faint limit or
the window changes.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.constants import (
    BTJD_OFFSET,
    DAYS_PER_YEAR,
    SCIENCE_COLUMNS,
    SCIENCE_ROWS,
)
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.magnitudes import flux_of
from tessphot_lib.core.simulation_settings import SimulationSettings
from tessphot_lib.simulation.pointing import TanSip, to_angles, to_vectors
from tessphot_lib.simulation.schedule import generator

MARGIN = 64.0  # [pixels] around the CCD in which there are stars: more than 0.2 deg
COUNT_TMAG = 17.0  # `stars_per_ccd` counts down to here
N_CLUSTERS = 25
J2000 = 2451545.0 - BTJD_OFFSET  # [BTJD]
MAS = np.deg2rad(1 / 3.6e6)
CONSTANT, TRANSIT, ECLIPSE, PULSATION, OUTBURST = range(5)  # `Stars.variability`
VARIABILITY_NAMES = ("constant", "transit", "eclipse", "pulsation", "outburst")
RISE = 0.2  # of the decay time, from quiescence to maximum

FIRST_OUTBURST = 9_200_000  # after the identifiers of the other stars

# Row and column as a fraction of the window, Tmag, variability, period [d], amplitude, width [d].
SHOWCASE = (
    (0.70, 0.25, 6.0, CONSTANT, 1.0, 0.0, 0.1),
    (0.30, 0.35, 9.0, TRANSIT, 0.83, 0.012, 0.11),
    (0.45, 0.75, 10.0, ECLIPSE, 0.61, 0.35, 0.12),
    (0.80, 0.60, 8.5, PULSATION, 0.27, 0.02, 0.1),
    (0.20, 0.80, 11.5, PULSATION, 0.55, 0.15, 0.1),
)


@dataclass(frozen=True)
class Stars:
    """The stars of a scene; every array is (n_stars,), the brightest star first.

    Attributes
    ----------
    tic_id : int64 array
    row, column : float64 array
        Position where nothing has moved, at the sector's epoch [pixels].
    tmag, flux : float64 array
        Magnitude, and flux without variability in an infinite aperture [e-/s]; of a star
        in outburst the flux at maximum.
    pm_ra, pm_dec : float64 array
        Proper motion [mas/yr].
    teff : float64 array
        Effective temperature [K]; NaN where the catalog does not know it.
    known : bool array
        Whether the catalog knows the star.
    variability : int8 array
        One of `CONSTANT`, `TRANSIT`, `ECLIPSE`, `PULSATION`, `OUTBURST`.
    period, epoch, amplitude, duration : float64 array
        Of the variability: [d], [BTJD, barycentric], relative, [d].
    """

    tic_id: NDArray
    row: NDArray
    column: NDArray
    tmag: NDArray
    flux: NDArray
    pm_ra: NDArray
    pm_dec: NDArray
    teff: NDArray
    known: NDArray
    variability: NDArray
    period: NDArray
    epoch: NDArray
    amplitude: NDArray
    duration: NDArray

    def __len__(self) -> int:
        return len(self.tic_id)

    def select(self, which: NDArray) -> "Stars":
        """Return some of the stars, by mask or index."""
        return Stars(*(getattr(self, field.name)[which] for field in fields(self)))


def draw_stars(ccd_id: CcdId, settings: SimulationSettings, faint_limit: float) -> Stars:
    """Draw all stars on a CCD and within `MARGIN` around it.

    ``faint_limit`` [Tmag] is where the catalog ends; the stars go on to
    ``uncatalogued_depth`` magnitudes beyond.
    """
    tmag = _magnitudes(ccd_id, settings, faint_limit + settings.uncatalogued_depth)
    n_stars = len(tmag)

    def stream(purpose: str) -> np.random.Generator:
        return generator(settings, ccd_id, purpose, per_ccd=True)

    row, column = _positions(ccd_id, settings, n_stars)
    # Bright stars are near: they move faster.
    speed = 8.0 * 10 ** (-0.05 * (tmag - 12.0)) * stream("speed").lognormal(0.0, 0.8, n_stars)
    # A star whose proper motion the catalog does not know has none.
    speed[stream("no pm").random(n_stars) < settings.missing_fraction] = 0.0
    direction = stream("direction").uniform(0, 2 * np.pi, n_stars)
    teff = stream("teff").normal(5200.0, 900.0, n_stars).clip(2800.0, 12000.0)
    teff[stream("no teff").random(n_stars) < settings.missing_fraction] = np.nan
    is_variable = (stream("variable").random(n_stars) < settings.variable_fraction) & (
        tmag < settings.variable_limit
    )
    variability = np.where(is_variable, stream("variability").integers(1, 4, n_stars), CONSTANT)
    shape = stream("shape").random((n_stars, 4))
    return Stars(
        tic_id=first_tic_id(ccd_id) + np.arange(n_stars),
        row=row,
        column=column,
        tmag=tmag,
        flux=tmag_to_flux(tmag),
        pm_ra=speed * np.cos(direction),
        pm_dec=speed * np.sin(direction),
        teff=teff,
        known=(tmag < faint_limit)
        & (stream("unlisted").random(n_stars) >= settings.unlisted_fraction),
        variability=variability.astype(np.int8),
        **_variable_parameters(variability, shape),
    )


def first_tic_id(ccd_id: CcdId) -> int:
    """Return the identifier of the brightest star of a CCD (beyond 32 bits, as in the TIC)."""
    return ccd_id.sector * 1_000_000_000 + ccd_id.camera * 100_000_000 + ccd_id.ccd * 10_000_000 + 1


def tmag_to_flux(tmag: NDArray) -> NDArray:
    """Return the flux [e-/s] of a star in an infinite aperture."""
    return flux_of(tmag)


def with_showcase(stars: Stars, ccd_id: CcdId, window: Window, start: float) -> Stars:
    """Return the stars with those of `SHOWCASE` added, at fixed positions of the window."""
    n_rows, n_columns = window.shape
    table = np.array(SHOWCASE).T
    tmag, variability = table[2], table[3].astype(np.int8)
    n_stars = len(tmag)
    extra = Stars(
        tic_id=first_tic_id(ccd_id) + 9_000_000 + np.arange(n_stars),
        row=window.row0 + table[0] * (n_rows - 1),
        column=window.column0 + table[1] * (n_columns - 1),
        tmag=tmag,
        flux=tmag_to_flux(tmag),
        pm_ra=np.linspace(-20.0, 30.0, n_stars),
        pm_dec=np.linspace(40.0, -10.0, n_stars),
        teff=np.linspace(4500.0, 7500.0, n_stars),
        known=np.ones(n_stars, dtype=bool),
        variability=variability,
        period=table[4],
        epoch=start + 0.37 * table[4],
        amplitude=table[5],
        duration=table[6],
    )
    return _joined(stars, extra)


def with_outbursts(
    stars: Stars,
    ccd_id: CcdId,
    window: Window,
    settings: SimulationSettings,
    span: tuple[float, float],
    faint_limit: float,
) -> Stars:
    """Return the stars with ``settings.outbursts`` others, anywhere in the window.

    Their outbursts begin between a fifth and three fifths of ``span``, first to last image
    [BTJD].
    """
    n_stars = settings.outbursts
    rng = generator(settings, ccd_id, "outbursts", per_ccd=True)
    quiet, peak = settings.outburst_tmag
    draws = rng.random((3, n_stars))
    tmag, flux = np.full(n_stars, quiet), tmag_to_flux(np.full(n_stars, peak))
    margin = min(12.0, min(window.shape) / 4)
    extra = Stars(
        tic_id=first_tic_id(ccd_id) + FIRST_OUTBURST + np.arange(n_stars),
        row=window.row0 + margin + draws[0] * (window.shape[0] - 2 * margin),
        column=window.column0 + margin + draws[1] * (window.shape[1] - 2 * margin),
        tmag=tmag,
        flux=flux,
        pm_ra=np.zeros(n_stars),
        pm_dec=np.zeros(n_stars),
        teff=np.full(n_stars, 8000.0),
        known=tmag < faint_limit,
        variability=np.full(n_stars, OUTBURST, dtype=np.int8),
        period=np.full(n_stars, 1e4),
        epoch=span[0] + (0.2 + 0.4 * draws[2]) * (span[1] - span[0]),
        amplitude=1 - tmag_to_flux(tmag) / flux,
        duration=np.full(n_stars, settings.outburst_days),
    )
    return _joined(stars, extra)


def _joined(stars: Stars, extra: Stars) -> Stars:
    """Both, the brightest first."""
    joined = Stars(
        *(
            np.concatenate([getattr(stars, field.name), getattr(extra, field.name)])
            for field in fields(stars)
        )
    )
    return joined.select(np.argsort(joined.tmag, kind="stable"))


def relative_flux(stars: Stars, time: NDArray, exposure: float) -> NDArray:
    """Return the brightness of stars, averaged over exposures, by that without variability.

    Parameters
    ----------
    stars : Stars
    time : (..., n_stars) array
        Middle of the exposure at the barycentre, for each star [BTJD].
    exposure : float
        Its length [d].

    Returns
    -------
    (..., n_stars) array
    """
    samples = (np.arange(9) + 0.5) / 9 - 0.5
    total = np.zeros(np.shape(time))
    for sample in samples:
        total += _relative_flux_at(stars, time + sample * exposure)
    return total / len(samples)


def positions_at_j2000(stars: Stars, wcs: TanSip, epoch: float) -> tuple[NDArray, NDArray]:
    """Return ra, dec [deg, ICRS] at epoch 2000.0 of stars that stand at their pixels at ``epoch``.

    Straight motion in space without radial velocity; the proper motion is
    that of the year 2000, as in the catalog.
    """
    years = (epoch - J2000) / DAYS_PER_YEAR
    now = to_vectors(*wcs.to_sky(stars.row, stars.column))
    # `now` lies along then + motion, whose length is known since the two are at right angles.
    length = np.hypot(1.0, years * MAS * np.hypot(stars.pm_ra, stars.pm_dec))
    then = now
    for _ in range(6):
        then = now * length - years * _space_motion(then, stars)
    return to_angles(then)


def _space_motion(vectors: NDArray, stars: Stars) -> NDArray:
    ra, dec = np.deg2rad(to_angles(vectors))
    east = np.stack([-np.sin(ra), np.cos(ra), np.zeros_like(ra)])
    north = np.stack([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    return MAS * (stars.pm_ra * east + stars.pm_dec * north)


def _magnitudes(ccd_id: CcdId, settings: SimulationSettings, faintest: float) -> NDArray:
    """Magnitudes in ascending order; the number brighter than T grows as 10^(slope T)."""
    area = (1 + 2 * MARGIN / SCIENCE_ROWS) * (1 + 2 * MARGIN / SCIENCE_COLUMNS)
    at_count_tmag = settings.stars_per_ccd * area
    expected = at_count_tmag * 10 ** (settings.count_slope * (faintest - COUNT_TMAG))
    rng = generator(settings, ccd_id, "magnitude", per_ccd=True)
    arrivals = np.cumsum(rng.exponential(size=int(expected + 8 * np.sqrt(expected) + 8)))
    arrivals = arrivals[arrivals < expected]
    tmag = COUNT_TMAG + np.log10(arrivals / max(at_count_tmag, 1e-9)) / settings.count_slope
    return tmag[tmag > settings.bright_limit]


def _positions(
    ccd_id: CcdId, settings: SimulationSettings, n_stars: int
) -> tuple[NDArray, NDArray]:
    rng = generator(settings, ccd_id, "position", per_ccd=True)
    low = -0.5 - MARGIN
    high = np.array([SCIENCE_ROWS, SCIENCE_COLUMNS]) - 0.5 + MARGIN
    position = low + rng.random((n_stars, 2)) * (high - low)
    rng = generator(settings, ccd_id, "clusters", per_ccd=True)
    center = rng.uniform(0, SCIENCE_ROWS, (N_CLUSTERS, 2))
    size = rng.uniform(30.0, 150.0, N_CLUSTERS)
    rng = generator(settings, ccd_id, "members", per_ccd=True)
    draws = rng.random((n_stars, 4))
    cluster = (draws[:, 1] * N_CLUSTERS).astype(int)
    # A Plummer-like profile: dense in the middle, far-reaching.
    radius = size[cluster] * np.sqrt(draws[:, 2] / (1.02 - draws[:, 2]))
    angle = 2 * np.pi * draws[:, 3]
    member = center[cluster] + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    is_member = (
        (draws[:, 0] < settings.clustered_fraction)
        & np.all(member > low, axis=1)
        & np.all(member < high, axis=1)
    )
    return tuple(np.where(is_member[:, None], member, position).T)


def _variable_parameters(variability: NDArray, shape: NDArray) -> dict[str, NDArray]:
    """Periods, amplitudes and durations from four uniform numbers per star."""
    kinds = [variability == kind for kind in (TRANSIT, ECLIPSE, PULSATION)]
    low = np.select(kinds, [0.8, 0.4, 0.06], 1.0)
    high = np.select(kinds, [12.0, 8.0, 3.0], 1.0)
    period = low * (high / low) ** shape[:, 0]
    low = np.select(kinds, [5e-4, 0.02, 1e-3], 0.0)
    high = np.select(kinds, [0.03, 0.6, 0.2], 0.0)
    amplitude = np.where(low > 0, low, 0.0)
    amplitude = (
        amplitude * np.divide(high, low, out=np.ones_like(low), where=low > 0) ** (shape[:, 1])
    )
    duration = period * np.select(kinds, [0.03, 0.06, 0.1], 0.1) * (1 + 1.5 * shape[:, 2])
    epoch = 1000.0 + period * shape[:, 3]
    return {"period": period, "epoch": epoch, "amplitude": amplitude, "duration": duration}


def _relative_flux_at(stars: Stars, time: NDArray) -> NDArray:
    cycle = (time - stars.epoch) / stars.period
    phase = (cycle + 0.5) % 1.0 - 0.5
    opposite = cycle % 1.0 - 0.5
    half = 0.5 * stars.duration

    def dip(distance: NDArray, ingress: NDArray) -> NDArray:
        return np.clip((half - np.abs(distance) * stars.period) / ingress, 0.0, 1.0)

    transit = 1 - stars.amplitude * dip(phase, 0.15 * stars.duration)
    eclipse = 1 - stars.amplitude * (
        dip(phase, 0.45 * stars.duration) + 0.4 * dip(opposite, 0.45 * stars.duration)
    )
    angle = 2 * np.pi * cycle
    pulsation = 1 + stars.amplitude * (np.sin(angle) + 0.3 * np.sin(2 * angle + 1.0))
    kinds = [stars.variability == kind for kind in (TRANSIT, ECLIPSE, PULSATION, OUTBURST)]
    return np.select(kinds, [transit, eclipse, pulsation, _outburst(stars, time)], 1.0)


def _outburst(stars: Stars, time: NDArray) -> NDArray:
    """Rise in a straight line, then exponential decay; by the flux at maximum."""
    elapsed = (time - stars.epoch) / stars.duration
    rise = np.clip(elapsed / RISE, 0.0, 1.0)
    height = np.where(elapsed > RISE, np.exp(-np.clip(elapsed - RISE, 0.0, 50.0)), rise)
    return 1 - stars.amplitude * (1 - height)
