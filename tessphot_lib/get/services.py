"""Cutouts and stars from services: MAST (TIC, names), TESScut, Gaia, VizieR."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tessphot_lib.core.errors import DownloadError, TessphotError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.magnitudes import tmag_of_gaia
from tessphot_lib.core.settings import MastSettings
from tessphot_lib.core.targets import Target
from tessphot_lib.get.configuration import cutout_size
from tessphot_lib.get.sky import Star, from_gaia, target_as_star
from tessphot_lib.io.archives.download import web_of
from tessphot_lib.io.archives.name_service import gaia_star, position_of_name
from tessphot_lib.io.archives.tesscut_service import TicStar, ccds_at, fetch_cutouts, tic_stars
from tessphot_lib.steps.fetch_cutouts import TYPICAL_SECTOR, position_in

# What to do where a service does not help, by what it was asked for.
ADVICE = {
    "name": "give its TIC number or its coordinates instead",
    "number": "give its coordinates instead, or a table that has it with --stars",
    "cutouts": "cutouts that are here already are used with --cutouts FOLDER",
}


class Services:
    """The services that know stars and have cutouts.

    Parameters
    ----------
    settings : MastSettings
        ``input.mast`` of the configuration.
    folder : Path
        For the cutouts; those that are there are not fetched again.
    size : int or None
        Rows and columns of cutouts [pixels]; None: by the brightness of the star.
    """

    where = "at TESScut"  # the cutouts

    def __init__(self, settings: MastSettings, folder: Path, size: int | None) -> None:
        self.web, self.servers = web_of(settings), settings.servers
        self.folder, self.size = folder, size

    def locate(self, target: Target) -> Star:
        """Return a star with its position.

        Raises
        ------
        DownloadError
            If nobody knows it, or nobody answers; with what to do instead.
        """
        advice = ADVICE["name" if target.tic_id is None else "number"]
        try:
            return self._locate(target)
        except DownloadError as error:
            raise DownloadError(f"{error}; {advice}", permanent=error.permanent) from None

    def _locate(self, target: Target) -> Star:
        star, mast = target_as_star(target), self.servers.mast
        if target.tic_id is not None:
            known = tic_stars(self.web, mast, [target.tic_id])[target.tic_id]
            tmag = known.tmag if np.isfinite(known.tmag) else target.tmag
            position = known.ra, known.dec, known.pm_ra, known.pm_dec
            return Star(str(target), *position, tmag=tmag, tic_id=target.tic_id)
        if target.gaia_id is not None:
            found = gaia_star(self.web, self.servers.gaia, target.gaia_id)
            motion = (float(np.nan_to_num(value)) for value in (found.pm_ra, found.pm_dec))
            tmag = target.tmag
            if tmag is None and np.isfinite(found.g):
                tmag = round(tmag_of_gaia(found.g, found.bp_rp), 3)
            return from_gaia(str(target), found.ra, found.dec, *motion, tmag)
        if target.name is not None:
            ra, dec = position_of_name(self.web, mast, target.name)
            return Star(str(target), ra, dec, tmag=target.tmag)
        return star

    def cutouts(
        self, star: Star, sectors: set[int] | None
    ) -> tuple[dict[CcdId, list[Path]], list[str]]:
        """Fetch the cutouts of a star; returns them by CCD, and what failed, a line each.

        Raises
        ------
        DownloadError
            If TESScut does not say which sectors saw the star.
        """
        position = TicStar(star.ra, star.dec, star.pm_ra, star.pm_dec)
        mast = self.servers.mast
        try:
            seen = ccds_at(self.web, mast, *position_in(position, TYPICAL_SECTOR))
        except DownloadError as error:
            text = f"{error}; {ADVICE['cutouts']}"
            raise DownloadError(text, permanent=error.permanent) from None
        wanted = [one for one in seen if sectors is None or one.sector in sectors]
        by_sector: dict[int, list[CcdId]] = {}
        for ccd_id in wanted:
            by_sector.setdefault(ccd_id.sector, []).append(ccd_id)
        size = self.size or cutout_size(star.tmag)

        def fetch(ccd_ids: Sequence[CcdId]) -> list[Path | None] | TessphotError:
            try:
                where = position_in(position, ccd_ids[0].sector)
                return fetch_cutouts(self.web, mast, self.folder, ccd_ids, *where, size)
            except TessphotError as error:
                return error  # other sectors go on

        fetched = self.web.each(fetch, list(by_sector.values()))
        cutouts, problems = {}, []
        for ccd_ids, paths in zip(by_sector.values(), fetched, strict=True):
            if isinstance(paths, TessphotError):
                problems.append(f"sector {ccd_ids[0].sector}: {paths}")
                continue
            for ccd_id, path in zip(ccd_ids, paths, strict=True):
                if path is None:
                    problems.append(f"{ccd_id}: TESScut has no cutout")
                else:
                    cutouts[ccd_id] = [path]
        return cutouts, problems
