"""Pages of the report: one frame for all, and the files that they share."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bokeh.embed import components
from bokeh.models import UIElement
from bokeh.settings import settings
from jinja2 import Environment, PackageLoader, StrictUndefined

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.provenance import software_version
from tessphot_lib.io.files.atomic import complete_file

SCRIPTS = ("bokeh.min.js", "bokeh-gl.min.js")
PLOT_STYLE = {"sizing_mode": "stretch_width", "tools": "pan,box_zoom,wheel_zoom,reset,save"}


def write_page(
    path: Path,
    template: str,
    *,
    depth: int,
    figures: Mapping[str, UIElement] | None = None,
    **content: Any,
) -> None:
    """Write one page.

    Parameters
    ----------
    path : Path
    template : str
        Name of a file in ``templates/``.
    depth : int
        Number of folders between the page and that of ``index.html``.
    figures : mapping of str to bokeh model, optional
        Plots by the name that the template places them by, as ``plots.name``.
    **content
        What else the template asks for. Text is escaped.

    Raises
    ------
    jinja2.UndefinedError
        If the template asks for what is not given.
    OutputError
        If the page cannot be written.
    """
    loader = PackageLoader("tessphot_lib.report.site")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    script, plots = components(dict(figures)) if figures else ("", {})
    text = environment.get_template(template).render(
        root="../" * depth,
        scripts=SCRIPTS if figures else (),
        plot_script=script,
        plots=plots,
        software=f"tessphot {software_version()}",
        **content,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with complete_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def title_of(ccd_id: CcdId) -> str:
    """Name of a CCD in titles; with the cadence where its pixels are of target pixel files."""
    text = f"Sector {ccd_id.sector}, camera {ccd_id.camera}, CCD {ccd_id.ccd}"
    return f"{text}, target pixel files of {ccd_id.cadence} s" if ccd_id.has_stamps else text


def copy_assets(folder: Path) -> None:
    """Copy the style sheet and Bokeh's scripts to a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(__file__).parent / "templates" / "style.css", folder / "style.css")
    for name in SCRIPTS:
        shutil.copyfile(settings.bokehjs_path() / "js" / name, folder / name)
