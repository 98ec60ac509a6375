"""Versions of the file formats of this package: written into files, and checked on reading."""

from pathlib import Path

import h5py

from tessphot_lib.core.errors import InputDataError

ATTRIBUTE = "format_version"  # attribute of the files


def check_format_version(
    file: h5py.File, path: Path, expected: int, *, unnamed: int | None = None
) -> None:
    """Refuse a file of another format version.

    Parameters
    ----------
    file : h5py.File
    path : Path
        What it is called in the message.
    expected : int
        The version that the caller reads.
    unnamed : int, optional
        Version of files that name none; they are refused if it is left out.

    Raises
    ------
    InputDataError
        If the file has another version, with both versions and what to do.
    """
    found = file.attrs.get(ATTRIBUTE, unnamed)
    if found is None or int(found) != expected:
        raise InputDataError(
            f"{path}: format version {'unknown' if found is None else int(found)}, but this "
            f"version of tessphot reads {expected}; delete the file and make it again: "
            f"snakemake ... -- {path}"
        )
