"""Step: one star of a CCD -> its light curve, the same as from its tile."""

import json
import logging
from pathlib import Path

from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.renamed_keys import with_new_names
from tessphot_lib.core.settings import OutputSettings, PhotometrySettings
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.todo_apertures import read_apertures
from tessphot_lib.io.products.todo_sqlite import (
    Status,
    read_excluded_stars,
    read_info,
    read_skipped,
    read_todo,
)
from tessphot_lib.photometry.again import Again, decide_again
from tessphot_lib.photometry.choice import DEFAULT_METHOD
from tessphot_lib.photometry.measure import measure_stars
from tessphot_lib.photometry.targets import star_list

log = logging.getLogger(__name__)


def run_light_curve(
    files: CcdFiles,
    ccd_id: CcdId,
    *,
    output: Path,
    tic_id: int,
    settings: PhotometrySettings,
    output_settings: OutputSettings,
    method: str | None = None,
) -> None:
    """Measure one star, if wished by another method or with other settings than the todo list has.

    Parameters
    ----------
    files : CcdFiles
        Of the CCD; ``trends`` as in `measure_stars`.
    ccd_id : CcdId
    output : Path
        The light curve.
    tic_id : int
    settings : PhotometrySettings
        With other settings of apertures than the todo list was made with the star's
        aperture is chosen again, with other rules also its method if it was chosen by rules.
    output_settings : OutputSettings
        ``version`` and ``origin`` of them.
    method : str, optional
        A method, or ``auto``: by the rules.

    Raises
    ------
    InputDataError
        If the star is not on the list, was left to a brighter one, or cannot be measured.
    """
    stars = read_todo(files.todo, tic_ids=[tic_id])
    if stars.empty:
        excluded = read_excluded_stars(files.todo).set_index("tic_id")["reason"]
        why = f": {excluded[tic_id]}" if tic_id in excluded.index else ""
        raise InputDataError(f"{files.todo}: TIC {tic_id} is not on the list of {ccd_id}{why}")
    # A star that is still to be measured has no status (NA).
    if stars["status"].fillna(int(Status.UNKNOWN)).iloc[0] == int(Status.SKIPPED):
        skipped = read_skipped(files.todo).set_index("priority")["skipped_by"]
        priority = int(skipped[stars["priority"].iloc[0]])
        brighter = read_todo(files.todo, priorities=[priority])["tic_id"].iloc[0]
        raise InputDataError(
            f"{files.todo}: TIC {tic_id} lies in the aperture of the brighter TIC {brighter}, "
            "ask for that one"
        )
    star = stars.fillna({"method": DEFAULT_METHOD}).iloc[0]
    priority = int(star["priority"])
    listed = read_apertures(files.todo, [priority])
    again = Again.of(
        listed[priority],
        star["method"],
        made_with=_made_with(files.todo),
        settings=settings,
        wanted=method,
    )
    with PixelCube(files.pixels) as cube:
        if again.aperture:
            listed[priority], chosen = decide_again(cube, star, files, settings, again.method)
            log.info("%s: TIC %d: aperture chosen again, method %s", ccd_id, tic_id, chosen)
            target = star_list(stars.assign(method=chosen), files, listed)
        else:
            target = star_list(stars, files, listed)
            target = target if again.method is None else target.measured_by(again.method)
        table = measure_stars(
            cube,
            target,
            None,
            settings=settings,
            output_settings=output_settings,
            trends=files.trends,
            path_of=lambda *_: output,
        )
    if table["status"].iloc[0] == int(Status.ERROR):
        raise InputDataError(f"{output}: TIC {tic_id}: {table['errors'].iloc[0]}")


def _made_with(todo: Path) -> PhotometrySettings:
    """Settings that a todo list was made with, by an earlier release, too."""
    try:
        said, _ = with_new_names(json.loads(read_info(todo)["settings"]), todo.name)
        return PhotometrySettings.from_mapping(said["photometry"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputDataError(f"{todo}: does not tell the settings it was made with") from error
