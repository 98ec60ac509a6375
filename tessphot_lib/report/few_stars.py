"""A table of the stars of a run of few: what came of each."""

import math
from typing import Any

import pandas as pd

from tessphot_lib.io.products.todo_sqlite import Status
from tessphot_lib.io.products.todo_tables import STATUS_WORDS, ccd_names

MOST_STARS = 20  # of a run whose stars are listed one by one
HEADER = (
    f"{'TIC':>12} {'CCD':<15} {'Tmag':>5} {'method':<8} {'CDPP 1 h':>8} {'6 h (ppm)':>9}  result"
)


def star_lines(stars: pd.DataFrame) -> list[str]:
    """Write a line for each star, the brightest first, under a line of names.

    Parameters
    ----------
    stars : DataFrame
        Todo list and diagnostics joined: ``tic_id``, CCD, ``tmag``, ``method_used``, ``cdpp_1h``,
        ``cdpp_6h`` [ppm], ``status``, ``errors``; NaN or None where nothing is known; empty: no
        lines.
    """
    if stars.empty:
        return []
    named = stars.assign(ccd_name=ccd_names(stars)).sort_values(["tmag", "tic_id", "ccd_name"])
    return [HEADER, *map(_line, named.to_dict("records"))]


def noise_in_words(cdpp_1h: float) -> str:
    """Say the noise over 1 h [ppm]; NaN: it is not known, as of images that are too sparse."""
    return "CDPP in 1 h not known" if math.isnan(cdpp_1h) else f"CDPP {cdpp_1h:.0f} ppm in 1 h"


def _line(star: dict[str, Any]) -> str:
    """One star."""
    status = Status.UNKNOWN if pd.isna(star["status"]) else Status(int(star["status"]))
    said = " ".join(star["errors"].split()) if isinstance(star["errors"], str) else ""
    result = said if status == Status.WARNING and said else STATUS_WORDS[status]
    result += f": {said}" if status == Status.ERROR and said else ""
    method = star["method_used"] if isinstance(star["method_used"], str) else "-"
    noise = ["-" if pd.isna(star[name]) else f"{star[name]:.0f}" for name in ("cdpp_1h", "cdpp_6h")]
    return (
        f"{star['tic_id']:>12} {star['ccd_name']:<15} {star['tmag']:5.2f} {method:<8} "
        f"{noise[0]:>8} {noise[1]:>9}  {result}"
    )
