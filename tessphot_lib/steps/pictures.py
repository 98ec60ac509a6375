"""Step: a finished run -> pictures of its average images and of a light curve."""

from collections.abc import Sequence
from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.products.todo_sqlite import read_diagnostics, read_todo
from tessphot_lib.io.products.todo_tables import ccd_names
from tessphot_lib.report.average_picture import draw_average
from tessphot_lib.report.pictures import FAINT_LIMIT, draw_light_curve, draw_nothing


def run_pictures(
    todo: Path, averages: Sequence[Path], light_curve: Path, *, ccd_ids: Sequence[CcdId]
) -> None:
    """Draw the average image of each CCD, and the most variable bright star of the run.

    Parameters
    ----------
    todo : Path
        Of the run.
    averages : sequence of Path
        PNG files, one per CCD: the whole image; of cutouts, all of them side by side.
    light_curve : Path
        PNG file.
    ccd_ids : sequence of CcdId
        The CCDs, in the order of ``averages``.
    """
    for ccd_id, output in zip(ccd_ids, averages, strict=True):
        with complete_file(output) as partial:
            draw_average(todo.parent / str(ccd_id), ccd_id, partial)
    stars = read_todo(todo).merge(read_diagnostics(todo), on="priority", how="left")
    names = set(map(str, ccd_ids))
    stars = stars[ccd_names(stars).isin(names)]
    measured = stars[stars["lightcurve"].notna()]
    bright = measured[measured["tmag"] < FAINT_LIMIT]
    with complete_file(light_curve) as partial:
        if measured.empty:
            draw_nothing("no star of this run has a light curve", partial)
        else:
            chosen = (bright if len(bright) else measured).sort_values("variability").iloc[-1]
            draw_light_curve(todo.parent / chosen["lightcurve"], chosen, partial)
