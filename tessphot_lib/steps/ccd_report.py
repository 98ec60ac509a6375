"""Step: a finished run -> the pages of one CCD in its report, and those of some stars."""

import shutil
from collections.abc import Collection
from pathlib import Path

from tessphot_lib.core.geometry import CcdId
from tessphot_lib.report.site.ccd import write_ccd_pages


def run_ccd_report(
    todo: Path, output: Path, *, ccd_id: CcdId, n_stars: int, tic_ids: Collection[int]
) -> None:
    """Write the pages of a CCD.

    Parameters
    ----------
    todo : Path
        Of the run; the products of the CCD lie beside it.
    output : Path
        Folder ``report/<CCD>``; what is in it is removed.
    ccd_id : CcdId
    n_stars : int
        Of the most variable stars, and of those with a warning, that get a page.
    tic_ids : collection of int
        Stars that get a page in any case.

    Raises
    ------
    InputDataError
        If a product cannot be read.
    """
    if output.exists():
        shutil.rmtree(output)
    write_ccd_pages(output, todo, ccd_id, n_stars=n_stars, asked=tic_ids)
