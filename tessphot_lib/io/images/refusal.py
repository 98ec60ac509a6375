"""A table of images that must not be used as they are, and how it is made again.

Imported whenever the workflow is read: nothing beyond the standard library.
"""

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from tessphot_lib.core.errors import InputDataError

SKIPPED = "input.on_bad_image: skip leaves such files out"  # for messages
REFUSAL = "refusal"  # key in the head of ``ffis.ecsv``, see `ffi_table.write_ffi_table`


@contextlib.contextmanager
def naming_the_remedy() -> Iterator[None]:
    """Say in errors of a single file how it is left out: `SKIPPED`."""
    try:
        yield
    except InputDataError as err:
        raise InputDataError(f"{err} ({SKIPPED})") from err


def forget_refused(path: Path) -> None:
    """Make a table with a refusal older than any image, so that Snakemake makes it again.

    The bad image may have been replaced by an older file. Nothing else is made again by this.
    """
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        head = list(itertools.takewhile(lambda line: line.startswith("#"), file))
    if any(f"{REFUSAL}:" in line for line in head):
        with contextlib.suppress(PermissionError):  # a dry run in a folder of somebody else
            os.utime(path, (1, 1))
