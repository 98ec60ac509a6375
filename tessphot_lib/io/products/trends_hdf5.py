"""``trends.hdf5``: what the quiet stars of a CCD have in common.

Datasets ``vectors`` (n_cadences, n_trends), of rms one over the good images,
NaN where not known; ``cadenceno`` and ``time`` [BTJD] (n_cadences,); ``tic_id``, ``row``,
``column`` [science pixels] (n_stars,), and ``loadings`` (n_stars, n_trends) [relative flux]
of the quiet stars. Attributes: ``ccd``, ``cadence_seconds``, ``remark`` (why there are no
trends, if so), ``software`` and ``settings``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.counts import counted
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.io.files.atomic import complete_file

ARRAYS = ("vectors", "tic_id", "row", "column", "loadings")


def write_trends(
    path: Path,
    ccd_id: CcdId,
    arrays: Mapping[str, NDArray],
    *,
    cadenceno: NDArray,
    time: NDArray,
    cadence_seconds: float,
    remark: str,
    attributes: Mapping[str, str],
) -> None:
    """Write the arrays named in `ARRAYS`; ``path`` appears complete or not at all.

    ``time`` (n_cadences,) is barycentric for the center of the CCD [BTJD].
    """
    with complete_file(path) as partial, h5py.File(partial, "w", locking=False) as file:
        for name in ARRAYS:
            file.create_dataset(name, data=arrays[name])
        file.create_dataset("cadenceno", data=cadenceno)
        file.create_dataset("time", data=time)
        file.attrs.update(attributes)
        file.attrs["ccd"] = str(ccd_id)
        file.attrs["cadence_seconds"] = cadence_seconds
        file.attrs["remark"] = remark


def read_trends(path: Path, cadenceno: NDArray) -> tuple[dict[str, NDArray], str]:
    """Read the arrays, and the remark.

    Parameters
    ----------
    path : Path
    cadenceno : (n_cadences,) array
        Of the images that the trends are to be used with.

    Raises
    ------
    InputDataError
        If the file cannot be read, or is of other images.
    """
    found, attributes = read_trends_file(path)
    known = found["cadenceno"]
    if not np.array_equal(known, cadenceno):
        raise InputDataError(
            f"{path}: trends of {counted(len(known), 'image')}, but others are to be corrected; "
            "run the workflow again"
        )
    return {name: found[name] for name in ARRAYS}, str(attributes["remark"])


def read_trends_file(path: Path) -> tuple[dict[str, NDArray], dict[str, Any]]:
    """Read all datasets and attributes.

    Raises
    ------
    InputDataError
        If the file cannot be read, or lacks any.
    """
    try:
        with h5py.File(path, "r", locking=False) as file:
            arrays = {name: file[name][()] for name in (*ARRAYS, "cadenceno", "time")}
            attributes = {name: file.attrs[name] for name in file.attrs}
            missing = {"ccd", "cadence_seconds", "remark"} - set(attributes)
    except (OSError, KeyError) as error:
        raise InputDataError(f"{path}: cannot be read: {error}") from error
    if missing:
        raise InputDataError(f"{path}: attribute {', '.join(sorted(missing))} is missing")
    return arrays, attributes
