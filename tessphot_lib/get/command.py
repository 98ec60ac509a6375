"""``tessphot get``: light curves of stars, each in all its sectors, by one command."""

import argparse
import logging
import math
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from tessphot_lib.core.config_files import default_config
from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import ConfigError, TessphotError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.logs import SignsOfLife, replace_signs_of_life
from tessphot_lib.core.settings import METHODS, CutoutSettings, MastSettings
from tessphot_lib.core.targets import Target, parse_sectors, parse_target, read_targets
from tessphot_lib.get.configuration import read_settings
from tessphot_lib.get.folder import CutoutFolder, StarTable
from tessphot_lib.get.services import Services
from tessphot_lib.get.sky import Star
from tessphot_lib.get.star import Outcome, Sources, get_star
from tessphot_lib.report.few_stars import noise_in_words

log = logging.getLogger(__name__)

STDIN = "-"
SIZE_RULES = next(one.metadata["rules"] for one in fields(CutoutSettings) if one.name == "size")

EXAMPLES = """examples:
  tessphot get 261136679                        TIC number; all sectors
  tessphot get "pi Men" "84.29 -80.46" --sectors 1-13
  tessphot get "Gaia DR3 4623036865373793408"
  tessphot get --list stars.csv                 one target per line; - is the standard input
  tessphot get 261136679 --cutouts folder --stars tic.csv        without the network

Each star gets a folder with one light curve per sector (TASOC format), the joined one
(tic<TIC>_joined.fits, .ecsv), its picture (.png), and the run they are from (results/)."""


def add_get(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    get = commands.add_parser(
        "get",
        help="light curves of stars by number, coordinates or name, from cutouts",
        description="Measure stars in all sectors that saw them, from cutouts of TESScut.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    get.set_defaults(run=run_get)
    get.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="TIC or Gaia DR3 number, coordinates (84.29 -80.46, 05:37:09.9 -80:28:09), or name",
    )
    get.add_argument(
        "--list",
        type=Path,
        metavar="FILE",
        help="file with one target per line, or a table; - is the standard input",
    )
    get.add_argument("--sectors", default="all", help="such as 1-13 or 27,28 (default: all)")
    get.add_argument(
        "--cutouts",
        type=Path,
        metavar="FOLDER",
        help="take the cutouts in this folder; none are downloaded",
    )
    get.add_argument(
        "--stars",
        type=Path,
        metavar="TABLE",
        help="table of the stars around the targets, with the TIC's columns; none are downloaded",
    )
    get.add_argument("--output", type=Path, default=Path("stars"), help="folder (default: stars)")
    get.add_argument(
        "--method",
        choices=("auto", *METHODS),
        help="of photometry (default: auto, which suits the star)",
    )
    get.add_argument(
        "--tmag",
        type=_tmag,
        help="TESS magnitude of targets that are not in the TIC (default: estimated)",
    )
    get.add_argument(
        "--size", type=_size, help="rows and columns of downloaded cutouts (default: by brightness)"
    )
    get.add_argument("--config", type=Path, help="YAML file with further settings")


def _tmag(text: str) -> float:
    """Read a magnitude."""
    try:
        tmag = float(text)
    except ValueError:
        tmag = math.nan
    if not math.isfinite(tmag):
        raise argparse.ArgumentTypeError(f"{text!r} is no magnitude")
    return tmag


def _size(text: str) -> int:
    """Read the size of cutouts."""
    low, high = SIZE_RULES["minimum"], SIZE_RULES["maximum"]
    if not (text.isdecimal() and low <= int(text) <= high):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of pixels from {low} to {high}")
    return int(text)


def run_get(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code: 1 if any target failed."""
    sectors = parse_sectors(options.sectors)
    config, warnings = default_config(), []
    if options.config is not None:
        config, warnings = read_settings(options.config, config)
    for warning in warnings:
        sys.stderr.write(f"tessphot: {warning}\n")
    if options.method:
        config["photometry"]["method"] = options.method
    sources = _sources(options, config)
    targets = _targets(options)
    n_failed = 0
    for one in targets:
        if isinstance(one, ConfigError):
            failure: str | None = str(one)
        else:
            failure = measure_target(one, sources, options.output, config, sectors)
        if failure:
            sys.stderr.write(f"tessphot: {failure}\n")
            n_failed += 1
    return int(n_failed > 0)


def measure_target(
    target: Target, sources: Sources, output: Path, config: dict[str, Any], sectors: set[int] | None
) -> str | None:
    """Measure one target and say what became of it.

    Parameters
    ----------
    target : Target
    sources : Sources
    output : Path
        Gets a folder for the target.
    config : dict
        A complete configuration.
    sectors : set of int or None
        The wanted ones; None: all.

    Returns
    -------
    str or None
        Why it failed, in one line; None if there is a light curve.
    """
    folder = output / target.label
    with _log_in(folder):
        try:
            outcome = get_star(target, sources, folder, config=config, sectors=sectors)
        except (TessphotError, OSError) as error:
            log.error("error: %s", error)
            return f"{target}: {error}"
        except Exception as error:  # a mistake of ours: of a list, the other targets go on
            log.exception("unexpected error")
            reason = f"{type(error).__name__}: {error}"
            return f"{target}: unexpected error, please report it: {reason} ({folder / 'get.log'})"
    _tell(target, outcome)
    return None


def _tell(target: Target, outcome: Outcome) -> None:
    """Say what has been made."""
    star = outcome.star
    name = f"TIC {star.tic_id}" if star.is_in_tic else "not in the list of stars"
    also = "" if str(target) == name else f" ({name})"
    lines = [f"{target}{also}, Tmag {star.tmag:.2f}"]
    lines += [
        f"  sector {row['SECTOR']}, camera {row['CAMERA']}, CCD {row['CCD']}: {row['METHOD']}, "
        f"{row['N_GOOD']} of {counted(row['N_IMAGES'], 'image')}, "
        f"{noise_in_words(row['CDPP_1H'])}, ratio {row['RATIO']:.4f}"
        for row in outcome.sectors
    ]
    lines += [f"  {outcome.joined}", f"  {outcome.joined.with_suffix('.png')}"]
    sys.stdout.write("\n".join(lines) + "\n")
    for problem in outcome.problems:
        sys.stderr.write(f"tessphot: {target}: {problem}\n")


def _targets(options: argparse.Namespace) -> Iterator[Target | ConfigError]:
    """All targets, those given twice once; what makes no sense as an error.

    Different stars of one name have their coordinates instead of it.
    """
    if not options.targets and options.list is None:
        raise ConfigError("name a target, or --list FILE; tessphot get --help")
    seen: dict[str, Target] = {}
    for one in _given(options):
        if isinstance(one, Target):
            if one.called is not None and seen.get(one.label, one) != one:
                one = replace(one, called=None)
            if one.label in seen:
                sys.stderr.write(f"tessphot: {one}: given twice, measured once\n")
                continue
            seen[one.label] = one
        yield one


def _given(options: argparse.Namespace) -> Iterator[Target | ConfigError]:
    for text in options.targets:
        try:
            yield parse_target(text, options.tmag)
        except ConfigError as error:
            yield error
    if options.list is not None:
        origin = "standard input" if str(options.list) == STDIN else str(options.list)
        yield from read_targets(_lines(options.list), origin, options.tmag)


def _lines(path: Path) -> Iterable[str]:
    """Lines of a list, or of the standard input."""
    if str(path) == STDIN:
        return sys.stdin
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--list: {path} cannot be read: {error}") from error


class LocalSources:
    """Cutouts and stars that are all here.

    Parameters
    ----------
    cutouts : CutoutFolder
    table : StarTable
    """

    def __init__(self, cutouts: CutoutFolder, table: StarTable) -> None:
        self.cutouts, self.locate = cutouts.cutouts, table.locate
        self.stars: Path | None = table.path
        self.where = cutouts.where


@dataclass(frozen=True)
class _MixedSources:
    """Cutouts and stars from where the options say: what is here, else from services."""

    locator: StarTable | Services
    holder: CutoutFolder | Services
    services: Services

    @property
    def stars(self) -> Path | None:
        return self.locator.path if isinstance(self.locator, StarTable) else None

    @property
    def where(self) -> str:
        return self.holder.where

    def locate(self, target: Target) -> Star:
        """By the table; names and numbers of Gaia, which it does not have, by services."""
        if target.name is not None or target.gaia_id is not None:
            return self.services.locate(target)
        return self.locator.locate(target)

    def cutouts(
        self, star: Star, sectors: set[int] | None
    ) -> tuple[dict[CcdId, list[Path]], list[str]]:
        return self.holder.cutouts(star, sectors)


def _sources(options: argparse.Namespace, config: dict[str, Any]) -> Sources:
    """Where cutouts and stars come from."""
    settings = MastSettings.from_mapping(config["input"]["mast"])
    services = Services(settings, options.output / "cutouts", options.size)
    return _MixedSources(
        locator=StarTable(options.stars) if options.stars else services,
        holder=CutoutFolder(options.cutouts) if options.cutouts else services,
        services=services,
    )


class _log_in:
    """Send the log to ``get.log`` in a folder, while a star is measured."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.handler = logging.FileHandler(self.folder / "get.log", mode="w", encoding="utf-8")
        formatter = logging.Formatter(
            "%(asctime)s %(levelname)s %(name)s: %(message)s", datefmt="%Y-%m-%dT%H:%M:%SZ"
        )
        formatter.converter = time.gmtime
        self.handler.setFormatter(formatter)
        root = logging.getLogger()
        self.level = root.level
        root.addHandler(self.handler)
        root.setLevel(logging.INFO)
        replace_signs_of_life(SignsOfLife("tessphot: "))
        logging.captureWarnings(True)

    def __exit__(self, *_: object) -> None:
        logging.captureWarnings(False)
        replace_signs_of_life(None)
        root = logging.getLogger()
        root.removeHandler(self.handler)
        root.setLevel(self.level)
        self.handler.close()
