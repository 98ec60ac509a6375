"""One star: its cutouts, its neighbors, its light curves in all sectors, and the joined one."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tessphot_lib.core.errors import InputDataError, TessphotError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.provenance import software_version
from tessphot_lib.core.sectors import sector_year
from tessphot_lib.core.targets import Target, name_sectors
from tessphot_lib.get.brightness import tmag_of_pixels
from tessphot_lib.get.configuration import for_star
from tessphot_lib.get.engine import Engine
from tessphot_lib.get.sky import Star, in_list, with_own_number, write_list
from tessphot_lib.io.files.json_files import write_json
from tessphot_lib.io.images.ffi_table import read_ffi_table
from tessphot_lib.io.stars.tic import read_tic
from tessphot_lib.report.find import find_star
from tessphot_lib.steps.joined import join

MADE = "made.json"  # what the files of a CCD were made from, so that they are not made again


class Sources(Protocol):
    """Where cutouts and stars come from: folders and files, or services."""

    stars: Path | None  # the list of stars; None: downloaded for each CCD
    where: str  # the cutouts are, in words

    def locate(self, target: Target) -> Star:
        """Return a star with its position; TessphotError if that cannot be known."""

    def cutouts(
        self, star: Star, sectors: set[int] | None
    ) -> tuple[dict[CcdId, list[Path]], list[str]]:
        """Return the cutouts of a star, and what failed; TessphotError if all did."""


@dataclass
class Outcome:
    """What became of a target.

    Attributes
    ----------
    star : Star
    folder : Path
        With all that was made.
    joined : Path
        The joined light curve; its picture has the same name, and ends in ``.png``.
    sectors : list of dict
        Rows of the table of sectors.
    problems : list of str
        What failed, one line each.
    """

    star: Star
    folder: Path
    joined: Path
    sectors: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def get_star(
    target: Target,
    sources: Sources,
    folder: Path,
    *,
    config: Mapping[str, Any],
    sectors: set[int] | None,
) -> Outcome:
    """Measure a star in all sectors that there are cutouts of, and join its light curves.

    Parameters
    ----------
    target : Target
    sources : Sources
    folder : Path
        For the files: the light curve of each sector, the joined one and its picture, and the
        run that they are from, in ``results``. What is there already is not made again, unless
        cutouts, stars, settings or the software have changed.
    config : mapping
        A complete configuration; what says which images and stars there are is filled in.
    sectors : set of int or None
        The wanted ones; None: all.

    Raises
    ------
    TessphotError
        If nothing can be measured. What goes wrong in one sector is a line of
        `Outcome.problems`.
    """
    star = sources.locate(target)
    cutouts, problems = sources.cutouts(star, sectors)
    if not cutouts and problems:
        raise InputDataError("; ".join(problems))
    if not cutouts:
        wanted = "any sector" if sectors is None else name_sectors(sectors)
        position = f"{star.ra:.5f} {star.dec:+.5f}"
        raise InputDataError(f"no cutout of {wanted} {sources.where} has it, at {position}")
    run = _StarRun(star, cutouts, sources.stars, folder, config)
    run.problems += problems
    if not problems:
        without = set(sectors or ()) - {ccd_id.sector for ccd_id in cutouts}
        if without:
            run.problems.append(f"{name_sectors(without)}: no cutout {sources.where}")
    run.make()
    light_curves = run.light_curves()
    if not light_curves:
        raise InputDataError("; ".join(run.problems))
    joined, rows = _join(run.star, light_curves, folder, config)
    return Outcome(run.star, folder, joined, rows, run.problems)


class _StarRun:
    """The run over the cutouts of one star: a CCD that fails leaves the others.

    Attributes
    ----------
    star : Star
        As far as it is known.
    ccd_ids : list of CcdId
        Those on which nothing has failed yet.
    problems : list of str
    """

    def __init__(
        self,
        star: Star,
        cutouts: Mapping[CcdId, Sequence[Path]],
        stars: Path | None,
        folder: Path,
        config: Mapping[str, Any],
    ) -> None:
        self.star, self.cutouts, self.config = star, cutouts, config
        self.stars, self.folder = stars, folder
        self.ccd_ids = list(cutouts)
        self.problems: list[str] = []
        self._asked = {"star": asdict(star), "settings": config, "software": software_version()}
        self._lists: dict[CcdId, Path] = {}

    def make(self) -> None:
        """Make everything up to the todo list of the run."""
        # What is kept of an earlier call is looked for first: else one CCD would change another.
        kept = {ccd_id: self._kept(ccd_id) for ccd_id in self.ccd_ids}
        for ccd_id, (star, path) in ((one, said) for one, said in kept.items() if said):
            self.star, self._lists[ccd_id] = star, path
        new = [ccd_id for ccd_id in self.ccd_ids if kept[ccd_id] is None]
        self._each(new, self._prepare)
        new = [ccd_id for ccd_id in new if ccd_id in self.ccd_ids]
        for sector in sorted({ccd_id.sector for ccd_id in new}):
            self._engine().find_spacecraft(sector)
        self._each(new, self._measure)
        if self.ccd_ids:
            self._engine().finish(self.ccd_ids)

    def light_curves(self) -> list[tuple[CcdId, Path]]:
        """Find the light curves, and say why there is none of a CCD."""
        todo, found = self.folder / "results" / "todo.sqlite", []
        try:
            stars = find_star(todo, int(self.star.tic_id or 0)) if self.ccd_ids else []
        except TessphotError as error:
            self.problems += [f"{ccd_id}: {error}" for ccd_id in self.ccd_ids]
            return []
        known = {one.ccd_id: one for one in stars}
        for ccd_id in self.ccd_ids:
            one = known.get(ccd_id)
            if one is not None and one.light_curve is not None:
                found.append((ccd_id, one.light_curve))
            else:
                why = one.remark if one is not None else ""
                self.problems.append(f"{ccd_id}: {why or 'the star is not on its pixels'}")
        return found

    def _each(self, ccd_ids: Sequence[CcdId], work: Callable[[CcdId], None]) -> None:
        """Do something for CCDs; one on which it fails is a problem, and left out from then on."""
        for ccd_id in ccd_ids:
            try:
                work(ccd_id)
            except TessphotError as error:
                reason = str(error).removeprefix(f"{ccd_id}: ")
                self.problems.append(f"{ccd_id}: {reason}")
                self.ccd_ids.remove(ccd_id)

    def _engine(self, ccd_id: CcdId | None = None) -> Engine:
        """The steps, with the list of stars of one CCD."""
        stars = self.stars if ccd_id is None else self._lists.get(ccd_id, self.stars)
        sectors = sorted({one.sector for one in self.ccd_ids})
        cutouts = {one: self.cutouts[one] for one in self.ccd_ids}
        return Engine(self.folder, cutouts, for_star(self.config, self.star, stars, sectors))

    def _prepare(self, ccd_id: CcdId) -> None:
        """List the images of a CCD, and find the star in the list of its stars."""
        self._made(ccd_id).unlink(missing_ok=True)
        engine = self._engine()
        engine.list_images(ccd_id)
        read_ffi_table(engine.ccd_folder(ccd_id) / "ffis.ecsv")  # raises what is wrong with all
        path = engine.star_list(ccd_id)
        known = read_tic(path)
        found = in_list(self.star, known)
        if found is self.star and self.star.is_in_tic:
            raise InputDataError(f"TIC {self.star.tic_id} is not in {path}")
        if found is self.star or not np.isfinite(found.tmag or np.nan):
            found, known = self._by_pixels(found, ccd_id), known[known["tic_id"] != found.tic_id]
            path = engine.ccd_folder(ccd_id) / "stars.csv"
            write_list(known, found, path)
        self.star, self._lists[ccd_id] = found, path

    def _by_pixels(self, star: Star, ccd_id: CcdId) -> Star:
        """Give a star that no list has a number, and its brightness if that is not known."""
        if star.tmag is None or not np.isfinite(star.tmag):
            year = sector_year(ccd_id.sector)
            tmag = tmag_of_pixels(star, self.cutouts[ccd_id], ccd_id, year)
            star = replace(star, tmag=round(tmag, 3))
        return star if star.is_in_tic else with_own_number(star)

    def _measure(self, ccd_id: CcdId) -> None:
        self._engine(ccd_id).measure(ccd_id)
        said = {"digest": self._digest(ccd_id), "star": asdict(self.star)}
        write_json(self._made(ccd_id), said | {"stars": str(self._lists[ccd_id])})

    def _made(self, ccd_id: CcdId) -> Path:
        return self.folder / "results" / str(ccd_id) / MADE

    def _digest(self, ccd_id: CcdId) -> str:
        """Digest of all that the files of a CCD depend on; of files name, size and change."""
        inputs = [*self.cutouts[ccd_id], *([self.stars] if self.stars else [])]
        files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in inputs]
        text = json.dumps([self._asked, files], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def _kept(self, ccd_id: CcdId) -> tuple[Star, Path] | None:
        """The star and its list, if an earlier call has made all of a CCD from the same."""
        try:
            said = json.loads(self._made(ccd_id).read_text(encoding="utf-8"))
            if said["digest"] == self._digest(ccd_id):
                return Star(**said["star"]), Path(said["stars"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # not there, or written by another version: made again
        return None


def _join(
    star: Star, measured: Sequence[tuple[CcdId, Path]], folder: Path, config: Mapping[str, Any]
) -> tuple[Path, list[dict[str, Any]]]:
    """Put copies of all light curves into the folder of the star, and the joined one."""
    for _, path in measured:
        shutil.copyfile(path, folder / path.name)
    about = {
        "tic_id": star.tic_id,
        "name": star.name,
        "ra": star.ra,
        "dec": star.dec,
        "tmag": star.tmag,
    }
    output = folder / f"tic{star.tic_id}_joined.fits"
    prfs = [folder / "results" / str(ccd_id) / "prf.fits" for ccd_id, _ in measured]
    paths = [path for _, path in measured]
    return output, join(paths, prfs, about, output, origin=config["output"]["origin"])
