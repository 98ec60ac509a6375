"""Which star is meant: its position and brightness, and its row in a list of stars."""

import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from tessphot_lib.catalog.proper_motion import CATALOG_EPOCH, at_epoch
from tessphot_lib.core.identifiers import FIRST_MADE_UP
from tessphot_lib.core.sphere import separation
from tessphot_lib.core.targets import Target

SAME_STAR = 4.0 / 3600  # [deg] how far a star of a list may be from coordinates for it
SAME_BRIGHTNESS = 1.5  # [mag] by which a star at these coordinates may differ, if Tmag is known
GAIA_EPOCH = 2016.0  # of the positions in DR3
MADE_UP = 10**9  # numbers of stars that are not in the TIC


@dataclass(frozen=True)
class Star:
    """A star that is to be measured.

    Attributes
    ----------
    name : str
        As it was asked for.
    ra, dec : float
        ICRS, epoch 2000 [deg].
    pm_ra, pm_dec : float
        Proper motion, cos(dec) included [mas/yr].
    tmag : float or None
        None: not known yet.
    tic_id : int or None
        None: not known yet; of a star that is not in the TIC a number from `FIRST_MADE_UP` on.
    """

    name: str
    ra: float
    dec: float
    pm_ra: float = 0.0
    pm_dec: float = 0.0
    tmag: float | None = None
    tic_id: int | None = None

    @property
    def is_in_tic(self) -> bool:
        """Whether its number is one of the TIC."""
        return self.tic_id is not None and self.tic_id < FIRST_MADE_UP

    def at(self, year: float, start: float = CATALOG_EPOCH) -> tuple[float, float]:
        """Where it is in a year, (ra, dec) [deg]; ``start`` is that of ``ra`` and ``dec``."""
        row = pd.DataFrame(
            {
                "ra_j2000": [self.ra],
                "dec_j2000": [self.dec],
                "pm_ra": [self.pm_ra],
                "pm_dec": [self.pm_dec],
            }
        )
        ra, dec = at_epoch(row, year, start)
        return float(ra[0]), float(dec[0])


def from_gaia(
    name: str, ra: float, dec: float, pm_ra: float, pm_dec: float, tmag: float | None
) -> Star:
    """Return a star by its position in Gaia DR3, which is of another year."""
    position = Star(name, ra, dec, pm_ra, pm_dec).at(CATALOG_EPOCH, GAIA_EPOCH)
    return Star(name, *position, pm_ra, pm_dec, tmag)


def in_list(star: Star, stars: pd.DataFrame) -> Star:
    """Find a star in a list, by its number or else by its position.

    Parameters
    ----------
    star : Star
    stars : DataFrame
        As `tessphot_lib.io.stars.tic.read_tic` returns it.

    Returns
    -------
    Star
        With number, position and brightness of the list; unchanged where the list does not
        have it.
    """
    if star.tic_id is not None:
        near = stars[stars["tic_id"] == star.tic_id]
    else:
        away = separation(
            star.ra, star.dec, stars["ra_j2000"].to_numpy(), stars["dec_j2000"].to_numpy()
        )
        alike = away < SAME_STAR
        if star.tmag is not None:
            alike &= np.abs(stars["tmag"].to_numpy() - star.tmag) < SAME_BRIGHTNESS
        near = stars.iloc[np.flatnonzero(alike)[np.argsort(away[alike], kind="stable")]]
    if near.empty:
        return star
    row = near.iloc[0]
    motion = {
        name: float(row[name]) if np.isfinite(row[name]) else 0.0 for name in ("pm_ra", "pm_dec")
    }
    return replace(
        star,
        tic_id=int(row["tic_id"]),
        ra=float(row["ra_j2000"]),
        dec=float(row["dec_j2000"]),
        tmag=float(row["tmag"]),
        **motion,
    )


def with_own_number(star: Star) -> Star:
    """Give a star that is not in the TIC a number, the same for the same position."""
    position = f"{star.ra:.5f} {star.dec:+.5f}".encode()
    return replace(star, tic_id=FIRST_MADE_UP + zlib.crc32(position) % MADE_UP)


def write_list(stars: pd.DataFrame, star: Star, path: Path) -> None:
    """Write a list of stars with one more, as `tessphot_lib.io.stars.tic.read_tic` reads it."""
    row = {
        "tic_id": star.tic_id,
        "ra_j2000": star.ra,
        "dec_j2000": star.dec,
        "pm_ra": star.pm_ra,
        "pm_dec": star.pm_dec,
        "tmag": star.tmag,
        "teff": np.nan,
    }
    both = pd.concat([stars, pd.DataFrame([row])], ignore_index=True)
    # Doubles and phantoms have been left out already: the column says that.
    both.assign(disposition="").to_csv(path, index=False)


def target_as_star(target: Target) -> Star:
    """Return what a target says by itself: its coordinates, if it has any."""
    ra, dec = target.position or (np.nan, np.nan)
    return Star(str(target), ra, dec, tmag=target.tmag, tic_id=target.tic_id)
