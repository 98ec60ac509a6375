"""Cutouts and stars that are on the disk: what the offline way has instead of services."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits

from tessphot_lib.core.constants import PIXEL_SCALE_DEG
from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.sphere import separation
from tessphot_lib.core.targets import Target, name_sectors
from tessphot_lib.get.sky import Star, in_list, target_as_star
from tessphot_lib.io.files.damage import open_fits, told_as_damage
from tessphot_lib.io.images.cutout_files import CUTOUT_NAME, find_cutouts
from tessphot_lib.io.images.foreign import foreign_files, foreign_lines
from tessphot_lib.io.stars.tic import read_tic

# As TESScut names its files: position and size in pixels.
NAME = re.compile(
    r"tess-s\d{4}-[1-4]-[1-4]_(-?\d+\.\d+)_(-?\d+\.\d+)_(\d+)x(\d+)_astrocut\.fits(\.gz)?"
)
EXAMPLE = "tess-s0008-3-4_130.75_-53.90_15x15_astrocut.fits"
MARGIN = 2.0  # [pixels] a star may lie beyond the edge by the name of a file, which is not exact
LAST_YEAR = 2030.0  # until which a star's motion is looked at


class CutoutFolder:
    """Cutouts below a folder, by what they show.

    Parameters
    ----------
    folder : Path

    Attributes
    ----------
    where : str
        The folder, and how many cutouts of which sectors it has, in words.

    Raises
    ------
    InputDataError
        If the folder cannot be read, or has no cutout.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder = folder.expanduser()
        if not folder.is_dir():
            raise InputDataError(f"--cutouts: there is no folder {str(folder)!r}")
        self.files = [
            (ccd_id, Path(file.path))
            for ccd_id, files in find_cutouts(folder).items()
            for file in files
        ]
        if not self.files:
            text = f"--cutouts: no cutout in {str(folder)!r}; their names are like {EXAMPLE}"
            there = foreign_lines(foreign_files(folder, CUTOUT_NAME))
            raise InputDataError("\n".join([text, *(f"  there: {line}" for line in there)]))
        sectors = name_sectors(ccd_id.sector for ccd_id, _ in self.files)
        n = counted(len(self.files), "cutout")
        self.where = f"in {str(folder)!r} ({n} of {sectors})"
        self._places: dict[Path, tuple[float, float, float]] = {}

    def cutouts(
        self, star: Star, sectors: set[int] | None
    ) -> tuple[dict[CcdId, list[Path]], list[str]]:
        """Return the cutouts that may have the pixels of a star, by CCD; and what failed.

        Parameters
        ----------
        star : Star
        sectors : set of int or None
            The wanted ones; None: all.
        """
        found: dict[CcdId, list[Path]] = {}
        problems: list[str] = []
        positions = [(star.ra, star.dec), star.at(LAST_YEAR)]
        for ccd_id, path in self.files:
            if sectors is not None and ccd_id.sector not in sectors:
                continue
            try:
                ra, dec, radius = self._place(path)
            except InputDataError as error:
                problems.append(f"{ccd_id}: {error}")
                continue
            if any(separation(ra, dec, *position) < radius for position in positions):
                found.setdefault(ccd_id, []).append(path)
        return dict(sorted(found.items())), problems

    def _place(self, path: Path) -> tuple[float, float, float]:
        """Middle of a cutout and the radius around it that it reaches [deg]."""
        if path not in self._places:
            match = NAME.fullmatch(path.name)
            if match is None:
                self._places[path] = _place_by_header(path)
            else:
                radius = 0.5 * np.hypot(int(match[3]), int(match[4])) + MARGIN
                self._places[path] = (
                    float(match[1]),
                    float(match[2]),
                    float(radius * PIXEL_SCALE_DEG),
                )
        return self._places[path]


class StarTable:
    """A list of stars in a file, with the TIC's columns.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputDataError
        If it is not there, or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path = path.expanduser()
        if not path.is_file():
            raise InputDataError(f"--stars: there is no file {str(path)!r}")
        self.stars: pd.DataFrame = read_tic(path)

    def locate(self, target: Target) -> Star:
        """Return a star as the list has it; unchanged if it has not.

        Raises
        ------
        InputDataError
            If its number is not in the list.
        """
        star = target_as_star(target)
        found = in_list(star, self.stars)
        if star.tic_id is not None and not np.isfinite(found.ra):
            raise InputDataError(f"{self.path}: TIC {star.tic_id} is not in the list")
        return found


def _place_by_header(path: Path) -> tuple[float, float, float]:
    """Where a cutout is, if its name does not say so."""
    from astropy.wcs import WCS

    with told_as_damage(path), open_fits(path, memmap=False) as hdus:
        aperture = hdus[2]
        n_rows, n_columns = aperture.shape
        keys = ("CTYPE", "CRPIX", "CRVAL", "CDELT", "CUNIT")
        header = fits.Header(
            [card for card in aperture.header.cards if card.keyword.startswith((*keys, "PC", "CD"))]
        )
        ra, dec = WCS(header).all_pix2world((n_columns - 1) / 2, (n_rows - 1) / 2, 0)
    radius = (0.5 * np.hypot(n_rows, n_columns) + MARGIN) * PIXEL_SCALE_DEG
    return float(ra), float(dec), float(radius)
