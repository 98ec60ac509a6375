"""A finished run: its CCDs and stars."""

from functools import cached_property
from pathlib import Path

import pandas as pd

from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.interface.star import Star
from tessphot_lib.io.products.todo_sqlite import read_diagnostics, read_todo
from tessphot_lib.io.products.todo_tables import ccd_names, ccd_of_row

COLUMNS = ["tic_id", "tmag", "sector", "camera", "ccd", "datasource", "cadence_seconds"]
COLUMNS += ["row", "column", "method", "status"]
MEASURED = ["mean_flux", "cdpp_1h", "contamination", "errors", "lightcurve"]


class Run:
    """A finished run, of Snakemake or of ``tessphot get``.

    Parameters
    ----------
    folder : path
        ``results``, or the folder that it is in.

    Attributes
    ----------
    stars : DataFrame
        All stars on the todo list, one row per star, CCD and cadence: number, magnitude, position,
        method, status (1 measured, 3 with a warning, 2 failed, 5 left to a brighter neighbor),
        mean flux [e-/s], noise [ppm], warnings, and the path of the light curve.
    ccds : list of CcdId
        Those of target pixel files with their cadence.

    Raises
    ------
    InputDataError
        If there is no finished run.

    Examples
    --------
    >>> run = Run("results")                              # doctest: +SKIP
    >>> star = run.star(261136679)                        # doctest: +SKIP
    >>> star.measure(aperture=2.5).flux                   # doctest: +SKIP
    """

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder).expanduser()
        if not (folder / "todo.sqlite").is_file() and (folder / "results").is_dir():
            folder = folder / "results"
        if not (folder / "todo.sqlite").is_file():
            raise InputDataError(f"{folder}: no finished run: todo.sqlite is not there")
        self.folder = folder

    def __repr__(self) -> str:
        """Say what it holds."""
        n_curves = int(self.stars["lightcurve"].notna().sum())
        names = ", ".join(map(str, self.ccds[:4])) + (", ..." if len(self.ccds) > 4 else "")
        numbers = f"{counted(len(self.stars), 'star')}, {counted(n_curves, 'light curve')}"
        return f"<Run {self.folder}: {numbers}, {names}>"

    def __len__(self) -> int:
        """Number of rows of `stars`."""
        return len(self.stars)

    @cached_property
    def stars(self) -> pd.DataFrame:
        """All stars on the todo list; see the class."""
        todo = self.folder / "todo.sqlite"
        measured = read_diagnostics(todo)[["priority", *MEASURED]]
        table = read_todo(todo).merge(measured, on="priority", how="left")
        table = table[COLUMNS + MEASURED]
        paths = [
            str(self.folder / name) if isinstance(name, str) and name else None
            for name in table["lightcurve"]
        ]
        return table.assign(lightcurve=pd.Series(paths, dtype=object))

    @cached_property
    def ccds(self) -> list[CcdId]:
        """The CCDs of the run, in order."""
        return sorted(map(CcdId.from_string, set(ccd_names(self.stars))))

    def star(
        self,
        tic_id: int,
        sector: int | None = None,
        cadence: int | None = None,
        ccd: CcdId | str | None = None,
    ) -> Star:
        """Return a star.

        Parameters
        ----------
        tic_id : int
        sector : int, optional
            Needed only where the run has it in several.
        cadence : int, optional
            [s] of the images, or of the target pixel files; needed only where the run has it in
            both, or in target pixel files of several cadences.
        ccd : CcdId or str, optional
            One of `ccds`, or its name; needed only where images and target pixel files have the
            same cadence.

        Raises
        ------
        InputDataError
            If the run does not have it, or several times.
        """
        rows = self.stars[self.stars["tic_id"] == tic_id]
        where = ""
        if sector is not None:
            rows, where = rows[rows["sector"] == sector], f" in sector {sector}"
        if cadence is not None:
            rows, where = rows[rows["cadence_seconds"] == cadence], f"{where} with {cadence} s"
        if ccd is not None:
            rows, where = rows[ccd_names(rows) == str(ccd)], f"{where} on {ccd}"
        if rows.empty:
            raise InputDataError(f"{self.folder}: TIC {tic_id} is not on the list{where}")
        if len(rows) > 1:
            found = [
                f"{name} ({seconds} s)"
                for name, seconds in zip(ccd_names(rows), rows["cadence_seconds"], strict=True)
            ]
            raise InputDataError(
                f"{self.folder}: TIC {tic_id} is there as {', '.join(found)}: name the sector, "
                "the cadence, or ccd"
            )
        row = rows.iloc[0].to_dict()
        folder = self.folder / str(ccd_of_row(row))
        own = read_todo(folder / "todo.sqlite", tic_ids=[tic_id])
        path = Path(row["lightcurve"]) if row["lightcurve"] else None
        return Star(folder, row | {"ccd_priority": own["priority"].iloc[0]}, path)
