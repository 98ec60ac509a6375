"""Step: the todo list of the run -> pictures of an average image and of a light curve."""

from pathlib import Path

from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.products.todo_sqlite import read_diagnostics, read_todo
from tessphot_lib.io.products.todo_tables import ccd_of_row
from tessphot_lib.report.pictures import FAINT_LIMIT, draw_average, draw_light_curve, draw_nothing


def run_pictures(todo: Path, output_average: Path, output_light_curve: Path) -> None:
    """Draw the average image of the first CCD, and the most variable bright star of the run.

    Parameters
    ----------
    todo : Path
        Of the run.
    output_average, output_light_curve : Path
        PNG files.
    """
    stars = read_todo(todo).merge(read_diagnostics(todo), on="priority", how="left")
    first = stars.iloc[0]
    ccd_id = ccd_of_row(first)
    folder = todo.parent / str(ccd_id)
    with complete_file(output_average) as partial:
        draw_average(folder, ccd_id, partial)
    measured = stars[stars["lightcurve"].notna()]
    bright = measured[measured["tmag"] < FAINT_LIMIT]
    with complete_file(output_light_curve) as partial:
        if measured.empty:
            draw_nothing("no star of this run has a light curve", partial)
        else:
            chosen = (bright if len(bright) else measured).sort_values("variability").iloc[-1]
            draw_light_curve(todo.parent / chosen["lightcurve"], chosen, partial)
