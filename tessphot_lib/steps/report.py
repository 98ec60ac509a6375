"""Step: a finished run -> the first page of its report, to open in a browser."""

from pathlib import Path

from tessphot_lib.report.site.page import copy_assets
from tessphot_lib.report.site.run import write_run_page


def run_report(
    todo: Path, record: Path, output: Path, output_assets: Path, *, benchmarks: Path
) -> None:
    """Write the first page of the report, and the scripts and style that all pages share.

    Parameters
    ----------
    todo, record : Path
        ``todo.sqlite`` and ``run.json`` of the run; the folders of the CCDs lie beside them.
    output, output_assets : Path
        ``index.html``, and the folder beside it.
    benchmarks : Path
        Folder with the tables of costs that Snakemake writes; it may be missing.

    Raises
    ------
    InputDataError
        If a product cannot be read.
    """
    copy_assets(output_assets)
    write_run_page(output, todo, record, benchmarks)
