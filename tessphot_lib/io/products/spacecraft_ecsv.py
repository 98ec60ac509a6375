"""``spacecraft_<sector>.ecsv``: where TESS was during a sector, and how that is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy
from numpy.typing import NDArray

from tessphot_lib.core.constants import SECONDS_PER_DAY, SPEED_OF_LIGHT_KM_PER_S
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.io.files.ecsv import read_ecsv, write_ecsv

AXES = ("x", "y", "z")


@dataclass(frozen=True)
class SpacecraftPath:
    """Where TESS was during a sector.

    Attributes
    ----------
    time : (n,) array
        [BTJD] at the spacecraft, evenly spaced.
    position : (n, 3) array
        Relative to the barycenter of the solar system, ICRS axes [km].
    source : {'ephemeris', 'orbit', 'barycorr'}
        A file of the configuration; the laws of motion, with the corrections in
        the headers of the images; these corrections alone.
    description : str
        The same in words.
    covariance : (3, 3) array
        Of a position [light seconds squared].
    """

    time: NDArray
    position: NDArray
    source: str
    description: str
    covariance: NDArray

    def at(self, time: NDArray) -> NDArray:
        """Positions (n, 3) at ``time`` [light days].

        Raises
        ------
        InputDataError
            If the path does not cover ``time``.
        """
        first, last = self.time[0], self.time[-1]
        if np.min(time) < first or np.max(time) > last:
            raise InputDataError(
                f"the path of the spacecraft is known for BTJD {first:.3f} to {last:.3f}, "
                f"the images need {np.min(time):.3f} to {np.max(time):.3f}"
            )
        light_day = SPEED_OF_LIGHT_KM_PER_S * SECONDS_PER_DAY
        return scipy.interpolate.CubicSpline(self.time, self.position)(time) / light_day


def write_spacecraft(
    path: Path,
    spacecraft: SpacecraftPath,
    sector: int,
    *,
    attributes: Mapping[str, str] | None = None,
) -> None:
    """Write the path of a sector; ``path`` appears complete or not at all.

    ``attributes`` tell how it was made, see `tessphot_lib.core.provenance.provenance`.
    """
    from astropy.table import Table

    table = Table(
        meta={
            "sector": sector,
            "source": spacecraft.source,
            "description": spacecraft.description,
            "covariance": np.asarray(spacecraft.covariance, dtype=float).ravel().tolist(),
            "comment": "barycentric positions of TESS, ICRS; covariance in light seconds squared",
        }
        | dict(attributes or {})
    )
    table["time"] = spacecraft.time
    table["time"].unit = "d"
    table["time"].description = "BTJD at the spacecraft, TDB"
    for index, axis in enumerate(AXES):
        table[axis] = spacecraft.position[:, index]
        table[axis].unit = "km"
    write_ecsv(path, table)


def read_spacecraft(path: Path) -> SpacecraftPath:
    """Read back what `write_spacecraft` wrote."""
    table = read_ecsv(path)
    try:
        return SpacecraftPath(
            time=np.array(table["time"], dtype=float),
            position=np.column_stack([table[axis] for axis in AXES]).astype(float),
            source=str(table.meta["source"]),
            description=str(table.meta["description"]),
            covariance=np.reshape(np.array(table.meta["covariance"], dtype=float), (3, 3)),
        )
    except (OSError, ValueError, KeyError) as err:
        raise InputDataError(f"{path}: cannot be read: {err}") from err
