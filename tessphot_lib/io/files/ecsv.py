"""Tables as ECSV files: read with a clear error, written complete or not at all."""

from pathlib import Path
from typing import TYPE_CHECKING

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.io.files.atomic import complete_file

if TYPE_CHECKING:
    from astropy.table import Table


def read_ecsv(path: Path) -> "Table":
    """Read a table.

    Raises
    ------
    InputDataError
        If the file cannot be read or is no ECSV.
    """
    from astropy.table import Table

    try:
        return Table.read(path, format="ascii.ecsv", guess=False)
    except (OSError, ValueError) as err:
        raise InputDataError(f"{path}: cannot be read: {err}") from err


def write_ecsv(path: Path, table: "Table") -> None:
    """Write a table; ``path`` appears complete or not at all."""
    with complete_file(path) as partial:
        table.write(partial, format="ascii.ecsv")
