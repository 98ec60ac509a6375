"""The command ``tessphot``: measures single stars, and looks at finished runs."""

import argparse
import json
import math
import re
import sys
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import tessphot_lib
from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.config_files import default_config
from tessphot_lib.core.errors import ConfigError, InputDataError, TessphotError
from tessphot_lib.core.geometry import CcdId, Window
from tessphot_lib.core.renamed_keys import with_new_names
from tessphot_lib.core.settings import METHODS, OutputSettings, PhotometrySettings
from tessphot_lib.get.command import add_get
from tessphot_lib.get.configuration import read_settings
from tessphot_lib.get.demo import add_demo
from tessphot_lib.get.workflow import add_snakefile
from tessphot_lib.io.products.todo_join import join_todos
from tessphot_lib.io.products.todo_tables import STATUS_WORDS
from tessphot_lib.plan.check_command import add_check
from tessphot_lib.report.comparison import comparison_table, draw_comparison
from tessphot_lib.report.find import FoundStar, find_star
from tessphot_lib.report.movie import write_movie
from tessphot_lib.report.release import release
from tessphot_lib.report.star_picture import draw_star, picture_format
from tessphot_lib.steps.lightcurve import run_light_curve
from tessphot_lib.steps.pixels import run_pixels

WORDS = {**STATUS_WORDS, None: "not on the todo list"}
COUNTING = (
    *("photometry.method", "photometry.auto", *(f"photometry.{name}" for name in METHODS)),
    *("photometry.correction.method", "photometry.extra_apertures"),
    *("output.version", "output.origin", "output.hlsp"),
)
CCDS_OF_A_FILM = (
    "such as s0014-cam1-ccd2 (default: all that have images; without any, those of the longest "
    "cadence)"
)
MAX_SIZE = 500  # [pixels] of the stamp of a target pixel file
EXAMPLES = """examples:
  tessphot demo                                 a simulated star, in seconds
  tessphot get 261136679                        its light curves in all sectors, from cutouts
  tessphot find 261136679                       where is its light curve, or why is there none?
  tessphot show 261136679 --output star.png     how does it look?
  tessphot star 261136679 --method linpsf       measure it again, by another method
  tessphot pixels 261136679                     its pixels, as a target pixel file
  tessphot check mine.yaml                      mistakes in a configuration, before a run

The exit code is 0, 1 if something went wrong (one line says what), 2 for a wrong command."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except (TessphotError, OSError) as error:
        sys.stderr.write(f"tessphot: error: {error}\n")
        return 1


def parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="tessphot",
        description="Measure single stars, look at the stars of a finished run, and measure "
        "them again. (Runs of whole CCDs are made with snakemake: see README.md.)",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"tessphot {tessphot_lib.__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    add_get(commands)
    add_demo(commands)
    add_snakefile(commands)
    add_check(commands)
    find = commands.add_parser("find", help="where the light curve of a star is, or why not")
    show = commands.add_parser("show", help="picture: stamp, light curve, centroids")
    star = commands.add_parser(
        "star",
        help="measure one star again, with other settings",
        description="Measure one star again from the pixels of the run, with the settings of the "
        f"run (results/run.json) where --config does not say otherwise. {_counting()} count; "
        "with other settings of apertures the star's aperture is chosen again. For all others "
        "the run has to be made again.",
    )
    _add_movie(commands.add_parser("movie", help="film of the images of a CCD"))
    for command, run in ((find, _find), (show, _show), (star, _star)):
        command.set_defaults(run=run)
        if command is find:
            command.add_argument(
                "tic_ids", type=_tic_number, nargs="+", metavar="TIC", help="numbers of stars"
            )
        else:
            command.add_argument(
                "tic_id", type=_tic_number, metavar="TIC", help="number of the star"
            )
        command.add_argument(
            "--directory", type=Path, default=Path(), help="folder of the run (default: here)"
        )
    show.add_argument(
        "--output",
        type=Path,
        help="picture, .png, .pdf or .svg (default: tic<TIC>-<ccd>.png here)",
    )
    show.add_argument(
        "--periodogram", action="store_true", help="with the amplitude spectrum of FLUX_CORR"
    )
    star.add_argument(
        "--method",
        choices=("auto", *METHODS),
        help="auto: by the rules of photometry.auto (default: that of the todo list)",
    )
    star.add_argument(
        "--compare",
        nargs="+",
        choices=METHODS,
        metavar="METHOD",
        help=f"measure it by each of these ({', '.join(METHODS)}): table, and picture beside them",
    )
    star.add_argument(
        "--config", type=Path, help="YAML file with settings that differ from the run's"
    )
    star.add_argument("--output", type=Path, default=Path("trials"), help="folder for the result")
    _add_pixels(commands)
    _add_delivery(commands)
    return top


def _add_pixels(commands: Any) -> None:
    """Add the command that writes target pixel files."""
    pixels = commands.add_parser(
        "pixels",
        help="write the pixels of a star as a target pixel file",
        description="Write the pixels around a star in all images of the run, their background "
        "off, as a target pixel file laid out as SPOC's, for lightkurve and other tools.",
    )
    pixels.set_defaults(run=_pixels)
    pixels.add_argument("tic_id", type=_tic_number, metavar="TIC", help="number of the star")
    pixels.add_argument(
        "--directory", type=Path, default=Path(), help="folder of the run (default: here)"
    )
    pixels.add_argument(
        "--size",
        type=int,
        default=11,
        help="rows and columns (default: 11); more if the aperture needs them",
    )
    pixels.add_argument(
        "--output", type=Path, help="file to write (default: tic<TIC>-<ccd>_tp.fits here)"
    )


def _pixels(options: argparse.Namespace) -> int:
    """Write the pixels of a star, for each CCD and cadence it was measured on."""
    if not 1 <= options.size <= MAX_SIZE:
        raise ConfigError(f"--size {options.size}: not from 1 to {MAX_SIZE} pixels")
    stars = find_star(_todo(options), options.tic_id)
    listed = [star for star in stars if star.status is not None]
    if not listed:
        raise TessphotError(f"TIC {options.tic_id} has no aperture: {stars[0].remark}")
    for star in listed:
        output = options.output or Path(f"tic{star.tic_id}-{star.ccd_id}_tp.fits")
        if options.output and len(listed) > 1:
            output = output.with_stem(f"{output.stem}-{star.ccd_id}")
        folder = _todo(options).parent / str(star.ccd_id)
        files = CcdFiles.in_folder(folder)
        run_pixels(files, star.ccd_id, output=output, tic_id=star.tic_id, size=options.size)
        sys.stdout.write(f"{output}\n")
    return 0


def _add_delivery(commands: Any) -> None:
    """Add the commands on whole runs."""
    deliver = commands.add_parser(
        "release",
        help="arrange a run as a collection for MAST",
        description="Arrange a finished run, made with output.hlsp, as a high-level science "
        "product: file names, folders, text on columns and flags, list of stars, checksums.",
    )
    deliver.add_argument(
        "--directory", type=Path, default=Path(), help="folder of the run (default: here)"
    )
    deliver.add_argument("--output", type=Path, required=True, help="folder to make")
    deliver.set_defaults(run=_release)
    merge = commands.add_parser(
        "merge",
        help="join todo lists of several runs, or of TASOC's programs",
        description="Join todo lists. Where several have the same star, the later ones count; "
        "further tables and columns, as those of TASOC's corrections, are kept.",
    )
    merge.add_argument("lists", type=Path, nargs="+", metavar="LIST", help="todo.sqlite")
    merge.add_argument("--output", type=Path, required=True, help="todo list to write")
    merge.add_argument(
        "--as-corrected",
        action="store_true",
        help="present FLUX_CORR of the run as TASOC's corrections, for its classification",
    )
    merge.set_defaults(run=_merge)


def _add_movie(command: argparse.ArgumentParser) -> None:
    """Options of the film."""
    command.description = (
        "Write a film of a CCD: each image, its background, and their difference with flagged "
        "pixels in red; of several CCDs, their images side by side."
    )
    command.set_defaults(run=_movie)
    command.add_argument("ccds", nargs="*", metavar="CCD", help=CCDS_OF_A_FILM)
    command.add_argument(
        "--directory", type=Path, default=Path(), help="folder of the run (default: here)"
    )
    command.add_argument(
        "--output", type=Path, default=Path("movie.mp4"), help="film, .mp4, .gif or .webp"
    )
    command.add_argument(
        "--window",
        type=int,
        nargs=4,
        metavar=("ROW0", "ROW1", "COLUMN0", "COLUMN1"),
        help="only these science pixels",
    )
    command.add_argument("--fps", type=float, default=12.0, help="frames per second (default: 12)")
    command.add_argument("--step", type=int, default=1, help="show every STEP-th image")


def _movie(options: argparse.Namespace) -> int:
    """Write a film."""
    folder = options.directory / "results"
    names = [str(CcdId.from_string(name)) for name in options.ccds]
    pixels = [folder / name / "pixels.hdf5" for name in names]
    pixels = pixels or _pixels_of_a_run(folder)
    if not pixels:
        raise TessphotError(f"{folder}: there are no pixels of a CCD (pixels.hdf5) to show")
    window = Window(*options.window) if options.window else None
    n_frames = write_movie(
        options.output, pixels, window=window, fps=options.fps, step=options.step
    )
    sys.stdout.write(f"{options.output}: {n_frames} frames\n")
    return 0


def _pixels_of_a_run(folder: Path) -> list[Path]:
    """All CCDs that have images; without any, those of the longest cadence."""
    found: dict[int, list[Path]] = {}
    for path in sorted(folder.glob("s*-cam?-ccd?*/pixels.hdf5")):
        found.setdefault(CcdId.from_string(path.parent.name).cadence, []).append(path)
    return found.get(0) or found.get(max(found, default=0), [])


def _find(options: argparse.Namespace) -> int:
    """Tell where stars are; one that is not found leaves the others."""
    n_failed = 0
    for tic_id in dict.fromkeys(options.tic_ids):
        try:
            found = find_star(_todo(options), tic_id)
        except TessphotError as error:
            sys.stderr.write(f"tessphot: error: {error}\n")
            n_failed += 1
            continue
        for star in found:
            sys.stdout.write(_about(star))
    return int(n_failed > 0)


def _about(star: FoundStar) -> str:
    """What is known of a star, in two or three lines."""
    remark = f" ({star.remark})" if star.remark else ""
    lines = [
        f"TIC {star.tic_id}, Tmag {star.tmag:.2f}, {star.ccd_id}: {WORDS[star.status]}{remark}"
    ]
    facts = [] if math.isnan(star.row) else [f"row {star.row:.1f}, column {star.column:.1f}"]
    facts += [star.method] if star.method else []
    facts += [] if math.isnan(star.cdpp_1h) else [f"CDPP {star.cdpp_1h:.0f} ppm in 1 h"]
    lines += ["  " + ", ".join(facts)] if facts else []
    lines += [f"  {star.light_curve}"] if star.light_curve is not None else []
    return "\n".join(lines) + "\n"


def _tic_number(text: str) -> int:
    """Read 261136679 or "TIC 261136679"."""
    match = re.fullmatch(r"(?:TIC[ _-]*)?(\d+)", text.strip(), flags=re.IGNORECASE)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 261136679 or 'TIC 261136679'")
    return int(match[1])


def _show(options: argparse.Namespace) -> int:
    """Draw a star, once for each CCD it was on."""
    if options.output:
        picture_format(options.output)  # an unknown one is refused before anything is read
    stars = find_star(_todo(options), options.tic_id)
    drawn = [star for star in stars if star.light_curve is not None]
    if not drawn:
        raise TessphotError(
            f"TIC {options.tic_id} has no light curve: {WORDS[stars[0].status]} ({stars[0].remark})"
        )
    for star in drawn:
        output = options.output or Path(f"tic{star.tic_id}-{star.ccd_id}.png")
        if options.output and len(drawn) > 1:
            output = output.with_stem(f"{output.stem}-{star.ccd_id}")
        catalog = _todo(options).parent / str(star.ccd_id) / "catalog.sqlite"
        spectrum = {"with_spectrum": options.periodogram}
        draw_star(star.light_curve, catalog, output, remark=star.remark, **spectrum)
        sys.stdout.write(f"{output}\n")
    return 0


def _star(options: argparse.Namespace) -> int:
    """Measure a star again."""
    stars = find_star(_todo(options), options.tic_id)
    listed = [star for star in stars if star.status is not None]
    if not listed:
        raise TessphotError(f"TIC {options.tic_id} has no aperture: {stars[0].remark}")
    config = _settings(options.directory / "results" / "run.json", options.config)
    if options.compare and options.method:
        raise ConfigError("--method and --compare: only one of them")
    for star in listed:
        made = [
            _measure(options, star, config, method)
            for method in options.compare or [options.method]
        ]
        sys.stdout.writelines(f"{path}\n" for path in made)
        if options.compare:
            picture = _unused(options.output / f"tic{star.tic_id}-{star.ccd_id}-compare.png")
            draw_comparison(made, picture)
            sys.stdout.write(f"{picture}\n{comparison_table(made)}\n")
    return 0


def _unused(path: Path) -> Path:
    """Name of a file that is not there yet: a trial replaces no other one."""
    stem, dot, suffix = path.name.partition(".")
    numbered = (path.with_name(f"{stem}-{n}{dot}{suffix}") for n in count(2))
    return path if not path.exists() else next(name for name in numbered if not name.exists())


def _measure(
    options: argparse.Namespace, star: FoundStar, config: Mapping[str, Any], method: str | None
) -> Path:
    """Measure a star on one CCD; return the path of its light curve."""
    folder = _todo(options).parent / str(star.ccd_id)
    name = f"tic{star.tic_id}-{star.ccd_id}-{method or 'todo'}.fits.gz"
    output = _unused(options.output / name)
    run_light_curve(
        CcdFiles.in_folder(folder),
        star.ccd_id,
        output=output,
        tic_id=star.tic_id,
        settings=PhotometrySettings.from_mapping(config["photometry"]),
        output_settings=OutputSettings.from_mapping(config["output"]),
        method=method,
    )
    return output


def _release(options: argparse.Namespace) -> int:
    """Arrange a run for delivery."""
    results = options.directory / "results"
    record = results / "run.json"
    if not record.is_file():
        raise InputDataError(f"{record}: no such file; has the run come to its end?")
    made = release(results, options.output, _settings_of_run(record)["output"])
    sys.stdout.write(
        f"{options.output}: {made.n_light_curves} light curves, {made.n_files} files\n"
    )
    if made.unset:
        sys.stdout.write(f"MAST asks for {', '.join(made.unset)}, too: not set\n")
    return 0


def _merge(options: argparse.Namespace) -> int:
    """Join todo lists."""
    made = join_todos(options.lists, options.output, as_corrected=options.as_corrected)
    sys.stdout.write(
        f"{options.output}: {made.n_stars} stars of {len(options.lists)} lists, "
        f"{made.n_common} of them in several\n"
    )
    return 0


def _todo(options: argparse.Namespace) -> Path:
    return options.directory / "results" / "todo.sqlite"


def _settings(run: Path, path: Path | None) -> dict[str, Any]:
    """Settings of the run, overridden by the user's file; checked."""
    config = _settings_of_run(run)
    if path is None:
        return config
    both, warnings = read_settings(path, config)
    for warning in warnings:
        sys.stderr.write(f"tessphot: {warning}\n")
    without_effect = [key for key in _changed(config, both) if not _counts(key)]
    if run.is_file() and without_effect:
        raise ConfigError(
            f"{path}: {without_effect[0]}: differs from the run's, which would have to be made "
            f"again; only {_counting()} count for a single star"
        )
    return both


def _counting() -> str:
    """Which settings count when a single star is measured again."""
    return ", ".join(COUNTING[:-1]) + f" and {COUNTING[-1]}"


def _counts(key: str) -> bool:
    """Whether a setting counts when a single star is measured again."""
    return any(f"{key}.".startswith(f"{one}.") for one in COUNTING)


def _changed(old: Mapping[str, Any], new: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Dotted names of the settings that are not the same."""
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            yield from _changed(old[key], value, f"{above}{key}.")
        elif value != old.get(key):
            yield above + key


def _settings_of_run(run: Path) -> dict[str, Any]:
    """What ``run.json`` has; the defaults, told so, if no run has come to its end."""
    try:
        said = json.loads(run.read_text(encoding="utf-8"))["settings"]
        return with_new_names(said, run.name)[0]  # of an earlier release, perhaps
    except FileNotFoundError:
        sys.stderr.write(f"tessphot: {run} is not there, the defaults count in place of it\n")
        return default_config()
    except (ValueError, KeyError, TypeError) as error:
        raise InputDataError(f"{run}: not the record of a run: {error}") from error
