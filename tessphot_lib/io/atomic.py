"""Files that appear complete or not at all: written beside, then renamed."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def complete_file(path: Path, *, sync: bool = False) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its name if nothing fails.

    Parameters
    ----------
    path : Path
        The file to make or to replace; missing parent folders are made.
    sync : bool
        Wait until the content is on the disk before renaming, so that not
        even a power failure leaves a truncated file under the final name.

    Yields
    ------
    Path
        ``<path>.partial-<pid>-<random>``, in the same folder. The block has to
        write it; on any exception it is removed and ``path`` is left as it was.
    """
    partial = _partial(Path(path))
    try:
        yield partial
        if sync:
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def complete_folder(path: Path) -> Iterator[Path]:
    """Give an empty temporary folder that takes the place of ``path`` if nothing fails.

    Parameters
    ----------
    path : Path
        The folder to make. One that is there already is replaced as a whole,
        files in it that the block did not write included.

    Yields
    ------
    Path
        ``<path>.partial-<pid>-<random>``; on any exception it is removed and
        ``path`` is left as it was.
    """
    path = Path(path)
    partial = _partial(path)
    partial.mkdir()
    old = partial.with_name(partial.name.replace(".partial-", ".old-"))
    try:
        yield partial
        if path.exists():  # a folder that is not empty cannot be replaced in one step
            path.rename(old)
        partial.rename(path)
    except BaseException:
        if old.exists() and not path.exists():
            old.rename(path)
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _partial(path: Path) -> Path:
    """Return an unused name beside ``path``, in a folder that exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f"{path.name}.partial-{os.getpid()}-{uuid.uuid4().hex[:8]}")
