"""Stars of a run as the report shows them: which ones, and which get a page of their own."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd
from itables import JavascriptFunction, to_html_datatable
from itables.javascript import generate_init_offline_itables_html
from itables.utils import find_package_file

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.products.todo_sqlite import Status, read_diagnostics, read_todo
from tessphot_lib.io.products.todo_tables import STATUS_WORDS, ccd_names

VARIABLE_TMAG = 14.0  # fainter stars are not among the most variable: their noise is too large
# Columns of the table: name, unit, digits after the point.
TABLE = {
    "tmag": ("Tmag", 2),
    "row": ("row", 1),
    "column": ("column", 1),
    "method_used": ("method", None),
    "status_word": ("status", None),
    "mean_flux": ("mean flux (e-/s)", 1),
    "cdpp_1h": ("CDPP 1 h (ppm)", 1),
    "variability": ("variability", 2),
    "contamination": ("contamination", 3),
    "mask_size": ("aperture (pixels)", 0),
    "warning": ("remark", None),
}
# The search field begins with what follows # in the address.
SEARCH_ADDRESS = JavascriptFunction(
    "function () { if (window.hasSearched) { return; } window.hasSearched = true;"
    " const asked = decodeURIComponent(location.hash.slice(1));"
    " if (asked) { this.api().search(asked).draw(); } }"
)


def star_table(todo: Path, ccd_id: CcdId | None = None) -> pd.DataFrame:
    """Read stars with their results.

    Parameters
    ----------
    todo : Path
        Of the run.
    ccd_id : CcdId, optional
        Only the stars of one CCD, in its images or in target pixel files of one cadence.

    Returns
    -------
    DataFrame
        Todo list and diagnostics by ``priority``; ``warning`` (text, empty: none), ``status_word``.
        Stars without diagnostics have NaN there, and the method that they were to be measured by.
    """
    stars = read_todo(todo)
    if ccd_id is not None:
        stars = stars[ccd_names(stars) == str(ccd_id)]
    diagnostics = read_diagnostics(todo)
    stars = stars.merge(diagnostics, on="priority", how="left", suffixes=("", "_measured"))
    stars["method_used"] = stars["method_used"].fillna(stars["method"]).fillna("none")
    stars["warning"] = stars["errors"].fillna("").astype(str)
    stars["status"] = stars["status"].fillna(int(Status.UNKNOWN)).astype(int)
    words = {int(status): word for status, word in STATUS_WORDS.items()}
    stars["status_word"] = stars["status"].map(words).astype(str)
    return stars


def stars_with_pages(
    stars: pd.DataFrame, n_stars: int, asked: Collection[int] = ()
) -> dict[int, str]:
    """Choose the stars that get a page: those asked for, the most variable, the worst flagged.

    Parameters
    ----------
    stars : DataFrame
        Of one CCD, from `star_table`.
    n_stars : int
        Number of the most variable stars, and of the brightest with a warning.
    asked : collection of int
        TIC numbers.

    Returns
    -------
    dict of int to str
        Why each star is among them, by ``priority``; stars without a light curve are not.
    """
    measured = stars[stars["lightcurve"].notna()]
    chosen = {row.priority: "asked for" for row in measured.itertuples() if row.tic_id in asked}
    quiet_enough = measured[measured["tmag"] <= VARIABLE_TMAG]
    for row in quiet_enough.nlargest(n_stars, "variability").itertuples():
        chosen.setdefault(row.priority, "variable")
    warned = measured[measured["warning"] != ""]
    for row in warned.nsmallest(n_stars, "tmag").itertuples():
        chosen.setdefault(row.priority, "warning")
    return chosen


def page_of(tic_id: int, cadence_seconds: int) -> str:
    """Name of a star's page, from the folder of its CCD."""
    return f"stars/tic{tic_id}-c{cadence_seconds:04d}.html"


def with_links(stars: pd.DataFrame, pages: Collection[int], folder: str = "") -> pd.DataFrame:
    """Add ``url``: a star's page, or else its row in the table; ``folder`` ends with ``/``."""
    urls = [
        f"{folder}{page_of(star.tic_id, star.cadence_seconds)}"
        if star.priority in pages
        else f"{folder}stars.html#{star.tic_id}"
        for star in stars.itertuples()
    ]
    return stars.assign(url=urls)


def table_html(stars: pd.DataFrame, pages: Collection[int]) -> str:
    """Table of stars with a search field, as HTML; the TIC number links to a star's page."""
    shown = pd.DataFrame(
        {
            "TIC": [
                f'<a href="{page_of(star.tic_id, star.cadence_seconds)}">{star.tic_id}</a>'
                if star.priority in pages
                else str(star.tic_id)
                for star in stars.itertuples()
            ]
        }
    )
    for key, (title, digits) in TABLE.items():
        values = stars[key].reset_index(drop=True)
        if digits is None:
            shown[title] = values.astype(str).map(_escaped)
        else:
            shown[title] = pd.to_numeric(values, errors="coerce").astype(float).round(digits)
    return to_html_datatable(
        shown,
        connected=False,
        table_id="stars",
        allow_html=True,
        showIndex=False,
        maxBytes=0,
        display_logo_when_loading=False,
        lengthMenu=[25, 100, 500],
        drawCallback=SEARCH_ADDRESS,
        format_floats_in_python=False,
        classes="display compact nowrap",
    )


def table_scripts() -> str:
    """What a page with a table needs besides the table, as HTML."""
    return generate_init_offline_itables_html(find_package_file("html/dt_bundle.js"))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
