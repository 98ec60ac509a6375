"""The stars that are measured together, with what the todo list and the catalog know of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.lightcurve import StarNotes
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.io.products.moving_ecsv import read_moving
from tessphot_lib.io.products.prf_fits import read_prf
from tessphot_lib.io.products.todo_apertures import read_apertures
from tessphot_lib.io.products.todo_tables import Status
from tessphot_lib.io.stars.catalog_sqlite import read_catalog_window
from tessphot_lib.photometry.believed_stars import StarChecks
from tessphot_lib.photometry.choice import DEFAULT_METHOD, as_measured

# [pixels] around the stamps in which catalog stars count as neighbors: as far as light of theirs
# may reach any pixel that is fitted together with a star, in the largest patch of cutouts.
NEIGHBOR_MARGIN = 320


@dataclass(frozen=True)
class StarList:
    """Stars to be measured, with what is known of them.

    Attributes
    ----------
    stars : DataFrame
        Columns of the catalog and of the todo list, one row per star: tic_id, priority,
        method, row, column, ra, dec, ra_j2000, dec_j2000, pm_ra, pm_dec, tmag, teff.
    apertures : list of Aperture
    neighbors : DataFrame
        Catalog of the region as it is believed: tic_id, row, column, tmag; with the sources
        that it lacks.
    prf : Prf
        Of the CCD.
    moving : DataFrame
        Asteroids and comets on the CCD, see `tessphot_lib.io.products.moving_ecsv`.
    """

    stars: pd.DataFrame
    apertures: list[Aperture]
    neighbors: pd.DataFrame
    prf: Prf
    moving: pd.DataFrame = field(default_factory=lambda: read_moving(None))

    def __len__(self) -> int:
        return len(self.stars)

    def take(self, members: list[int]) -> "StarList":
        """Return some of the stars, in this order."""
        return StarList(
            self.stars.iloc[members].reset_index(drop=True),
            [self.apertures[index] for index in members],
            self.neighbors,
            self.prf,
            self.moving,
        )

    def as_measured(self, notes: Sequence[StarNotes]) -> "StarList":
        """Return the stars with the method, and the pixels, that each was measured with."""
        methods = [
            note.method or method for note, method in zip(notes, self.stars["method"], strict=True)
        ]
        apertures = [
            as_measured(aperture, note)
            for note, aperture in zip(notes, self.apertures, strict=True)
        ]
        stars = self.stars.assign(method=pd.Series(methods, index=self.stars.index, dtype=object))
        return replace(self, stars=stars, apertures=apertures)

    def measured_by(self, method: str) -> "StarList":
        """Return the stars with another method than the todo list has for them."""
        apertures = [replace(aperture, is_automatic=False) for aperture in self.apertures]
        return replace(self, stars=self.stars.assign(method=method), apertures=apertures)


def star_list(
    stars: pd.DataFrame, files: CcdFiles, apertures: Mapping[int, Aperture] | None = None
) -> StarList:
    """Join todo list and catalog for the stars that are to be measured.

    Parameters
    ----------
    stars : DataFrame
        Of the todo list; stars left to a brighter neighbor are dropped, those
        without a method get the usual one.
    files : CcdFiles
    apertures : mapping, optional
        By priority, for all of the stars; by default those of the todo list.
    """
    stars = stars[~(stars["status"] == int(Status.SKIPPED)).fillna(False)]
    stars = stars.assign(method=stars["method"].fillna(DEFAULT_METHOD))
    known = (
        read_apertures(files.todo, stars["priority"].tolist()) if apertures is None else apertures
    )
    chosen = [known[priority] for priority in stars["priority"]]
    neighbors = neighbors_around([aperture.window for aperture in chosen], files)
    columns = ["tic_id", "ra", "dec", "ra_j2000", "dec_j2000", "pm_ra", "pm_dec", "teff"]
    joined = stars.merge(neighbors[columns], on="tic_id", how="left", validate="one_to_one")
    table = joined.reset_index(drop=True)
    return StarList(table, chosen, neighbors, read_prf(files.prf), read_moving(files.moving))


def neighbors_around(stamps: Sequence[Window], files: CcdFiles) -> pd.DataFrame:
    """Read the stars around stamps as they are believed, see `StarList`."""
    return StarChecks.of(files).believed(read_catalog_window(files.catalog, *_around(stamps)))


def _around(stamps: Sequence[Window]) -> tuple[float, float, float, float]:
    """Region that holds all stamps and a margin (row0, row1, column0, column1)."""
    if not stamps:
        return 0.0, 0.0, 0.0, 0.0
    return (
        min(stamp.row0 for stamp in stamps) - NEIGHBOR_MARGIN,
        max(stamp.row1 for stamp in stamps) + NEIGHBOR_MARGIN,
        min(stamp.column0 for stamp in stamps) - NEIGHBOR_MARGIN,
        max(stamp.column1 for stamp in stamps) + NEIGHBOR_MARGIN,
    )
