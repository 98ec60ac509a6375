"""Files that appear complete or not at all: written beside, then renamed."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tessphot_lib.core.errors import OutputError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # nothing but writing gives these
NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)
PARTIAL, OLD = ".partial-", ".old-"


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

    Raises
    ------
    OutputError
        If it cannot be written: no space, no permission.
    """
    path = Path(path)
    with _told_of(path):
        partial = _partial(path)
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

    Raises
    ------
    OutputError
        If it cannot be written: no space, no permission.
    """
    path = Path(path)
    with _told_of(path):
        partial = _partial(path)
        partial.mkdir()
        old = partial.with_name(partial.name.replace(PARTIAL, OLD))
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


def remove_partials(folder: Path, depth: int) -> list[Path]:
    """Remove what processes that were killed have left behind.

    To be called when nobody writes in the folder.

    Parameters
    ----------
    folder : Path
        May be missing.
    depth : int
        Levels of folders to look at; 1: only this one.

    Returns
    -------
    list of Path
        What was removed, files and folders.
    """
    removed = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if PARTIAL in path.name or OLD in path.name:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            removed.append(path)
        elif depth > 1 and path.is_dir():
            removed += remove_partials(path, depth - 1)
    return removed


def _partial(path: Path) -> Path:
    """Return an unused name beside ``path``, in a folder that exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f"{path.name}{PARTIAL}{os.getpid()}-{uuid.uuid4().hex[:8]}")


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    """Turn errors of writing into one line that names the file; others pass."""
    try:
        yield
    except OSError as error:
        at = str(error.filename or "")
        is_of_writing = error.errno in NOT_ALLOWED and at.startswith(str(path.parent))
        if error.errno in NO_ROOM or is_of_writing:
            reason = os.strerror(error.errno)
            raise OutputError(f"{path}: cannot be written: {reason}") from error
        raise
