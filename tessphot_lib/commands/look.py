"""``tessphot find``, ``show`` and ``pixels``: stars of a finished run."""

import argparse
import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tessphot_lib.commands.common import (
    add_directory,
    listed_stars,
    of_one_cadence,
    settings_of_run,
    tic_number,
    tic_number_or_file,
    todo_of,
)
from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.constants import SECONDS_PER_DAY
from tessphot_lib.core.errors import ConfigError, TessphotError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.settings import PhotometrySettings
from tessphot_lib.io.images.tpf_files import CADENCES
from tessphot_lib.io.products.lightcurve_fits import read_light_curve
from tessphot_lib.io.products.todo_tables import STATUS_WORDS
from tessphot_lib.report.find import FoundStar, find_star
from tessphot_lib.report.star_picture import draw_star, picture_format
from tessphot_lib.steps.joined import draw_together
from tessphot_lib.steps.pixels import run_pixels

WORDS = {**STATUS_WORDS, None: "not on the todo list"}
CCD_IN_PATH = re.compile(r"s\d{4}-cam[1-4]-ccd[1-4](?:-c\d{4})?")
ENDING_OF_PIXELS = re.compile(r"([_-]tp)?(\.\w+)?(\.gz)?$")
MAX_SIZE = 500  # [pixels] of the stamp of a target pixel file


def add_look(commands: Any) -> None:
    """Add the commands to the parsers of the command line."""
    find = commands.add_parser(
        "find",
        help="where the light curve of a star is, or why there is none",
        description="For each star, print the path of its light curve on each CCD that it is on, "
        "with method and noise, or why there is none.",
    )
    find.set_defaults(run=_find)
    find.add_argument("tic_ids", type=tic_number, nargs="+", metavar="TIC", help="numbers of stars")
    add_directory(find)
    _add_show(commands)
    _add_pixels(commands)


def _add_show(commands: Any) -> None:
    """Add the command that draws a star."""
    show = commands.add_parser(
        "show",
        help="picture: stamp, light curve, centroids",
        description="Draw a star: its stamp, light curve and centroids, and of halo photometry "
        "the weights of its pixels; a picture for each CCD that it was measured on.",
    )
    show.set_defaults(run=_show)
    show.add_argument(
        "tic_id",
        type=tic_number_or_file,
        metavar="TIC",
        help="number of the star, or a light curve such as one in trials/",
    )
    add_directory(show)
    show.add_argument(
        "--output",
        type=Path,
        help="picture, .png, .pdf or .svg (default: tic<TIC>-<ccd>.png here)",
    )
    show.add_argument(
        "--periodogram", action="store_true", help="with the amplitude spectrum of FLUX_CORR"
    )
    show.add_argument(
        "--residuals",
        action="store_true",
        help="with what the PRFs of the stars leave of the average image",
    )
    show.add_argument(
        "--together",
        action="store_true",
        help="all sectors in one picture, on one scale: from images, or from target pixel files "
        "if there are only these",
    )


def _add_pixels(commands: Any) -> None:
    """Add the command that writes target pixel files."""
    pixels = commands.add_parser(
        "pixels",
        help="write the pixels of a star as a target pixel file",
        description="Write the pixels around a star in all images of the run, with the "
        "background subtracted, as a target pixel file in SPOC's layout, for lightkurve and other "
        "tools.",
    )
    pixels.set_defaults(run=_pixels)
    pixels.add_argument("tic_id", type=tic_number, metavar="TIC", help="number of the star")
    add_directory(pixels)
    pixels.add_argument(
        "--size",
        type=int,
        default=11,
        help="rows and columns (default: 11); more if the aperture needs them",
    )
    pixels.add_argument(
        "--output", type=Path, help="file to write (default: tic<TIC>-<ccd>_tp.fits here)"
    )


def _find(options: argparse.Namespace) -> int:
    """Return where stars are; one that is not found leaves the others."""
    n_failed = 0
    for tic_id in dict.fromkeys(options.tic_ids):
        try:
            found = find_star(todo_of(options), tic_id)
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


def _show(options: argparse.Namespace) -> int:
    """Draw a star, once for each CCD it was on, or all its sectors together."""
    if options.output:
        picture_format(options.output)  # an unknown one is refused before anything is read
    if options.together and (options.periodogram or options.residuals):
        raise ConfigError("--together: does not go with --periodogram and --residuals")
    if isinstance(options.tic_id, Path):
        return _show_file(options, options.tic_id)
    stars = find_star(todo_of(options), options.tic_id)
    drawn = [star for star in stars if star.light_curve is not None]
    if not drawn:
        raise TessphotError(
            f"TIC {options.tic_id} has no light curve: {WORDS[stars[0].status]} ({stars[0].remark})"
        )
    if options.together:
        return _show_together(options, drawn)
    for star in drawn:
        output = options.output or Path(f"tic{star.tic_id}-{star.ccd_id}.png")
        if options.output and len(drawn) > 1:
            output = output.with_stem(f"{output.stem}-{star.ccd_id}")
        folder = todo_of(options).parent / str(star.ccd_id)
        said = WORDS[star.status] + (f": {star.remark}" if star.remark else "")
        _draw(options, star.light_curve, folder, output, said)
    return 0


def _show_together(options: argparse.Namespace, stars: list[FoundStar]) -> int:
    """Draw the light curves of a star in all sectors as one picture."""
    output = options.output or Path(f"tic{stars[0].tic_id}.png")
    results = todo_of(options).parent
    stars = of_one_cadence({star.ccd_id: star for star in stars})
    prfs = [results / str(star.ccd_id) / "prf.fits" for star in stars]
    draw_together([star.light_curve for star in stars], prfs, output)
    sys.stdout.write(f"{output}\n")
    return 0


def _show_file(options: argparse.Namespace, path: Path) -> int:
    """Draw a light curve of any folder; its neighbors, if the run is here that it is from."""
    if options.together:
        raise ConfigError(f"--together: draws the light curves of a run, and {path} is one file")
    header = read_light_curve(path)[2]
    ccd_id = _ccd_of(header, path)
    output = options.output or Path(f"{path.name.partition('.')[0]}.png")
    _draw(options, path, todo_of(options).parent / str(ccd_id), output, str(path))
    return 0


def _ccd_of(header: Mapping[str, Any], path: Path) -> CcdId:
    """CCD of a light curve; with the cadence where it is of target pixel files.

    The path tells, in a run and of trials; elsewhere the cadence does, if images have another.
    """
    sector, camera, ccd = (int(header[name]) for name in ("SECTOR", "CAMERA", "CCD"))
    named = CCD_IN_PATH.findall(str(path))
    if named and (in_path := CcdId.from_string(named[-1])).of_images == CcdId(sector, camera, ccd):
        return in_path
    seconds = round(float(header["TIMEDEL"]) * SECONDS_PER_DAY)
    return CcdId(sector, camera, ccd, seconds if seconds in CADENCES.values() else 0)


def _draw(
    options: argparse.Namespace, light_curve: Path, folder: Path, output: Path, remark: str
) -> None:
    """Draw a light curve of a CCD whose files are in a folder."""
    files = CcdFiles.in_folder(folder)
    draw_star(
        light_curve,
        files.catalog if files.catalog.is_file() else None,
        output,
        remark=remark,
        with_spectrum=options.periodogram,
        prf=files.prf if options.residuals else None,
    )
    sys.stdout.write(f"{output}\n")


def _name_of_pixels(given: Path | None, star: FoundStar, *, is_alone: bool) -> Path:
    """File for the pixels of a star; ends in _tp where the given name does, to be found by that."""
    if given is None:
        return Path(f"tic{star.tic_id}-{star.ccd_id}_tp.fits")
    if is_alone:
        return given
    stem = ENDING_OF_PIXELS.sub("", given.name)
    return given.with_name(f"{stem}-{star.ccd_id}{given.name[len(stem) :]}")


def _pixels(options: argparse.Namespace) -> int:
    """Write the pixels of a star, for each CCD and cadence it was measured on."""
    if not 1 <= options.size <= MAX_SIZE:
        raise ConfigError(f"--size {options.size}: not from 1 to {MAX_SIZE} pixels")
    listed = listed_stars(options)
    settings = PhotometrySettings()
    if any(star.ccd_id.has_stamps for star in listed):
        run = settings_of_run(todo_of(options).parent / "run.json")
        settings = PhotometrySettings.from_mapping(run["photometry"])
    for star in listed:
        output = _name_of_pixels(options.output, star, is_alone=len(listed) == 1)
        folder = todo_of(options).parent / str(star.ccd_id)
        files = CcdFiles.in_folder(folder)
        run_pixels(
            files,
            star.ccd_id,
            output=output,
            tic_id=star.tic_id,
            size=options.size,
            settings=settings,
        )
        sys.stdout.write(f"{output}\n")
    return 0
