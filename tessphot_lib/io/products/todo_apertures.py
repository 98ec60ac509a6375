"""Apertures of the stars of a todo list, packed to bits."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import Connection

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import Window
from tessphot_lib.io.files.sqlite_tables import among, read_database, select
from tessphot_lib.io.products.todo_tables import APERTURES


@dataclass(frozen=True)
class StarAperture:
    """The pixels chosen for one star.

    Attributes
    ----------
    window : Window
        The stamp.
    mask : (n_rows, n_columns) bool array
        True for the pixels that are summed.
    flags : int
        Bits whose meaning the caller defines; kept as they are.
    errors : str or None
        Remarks for the diagnostics, such as "Using minimum aperture."
    crowdsap, flfrcsap : float
        Share of the light in the aperture that is the star's, and of the star's
        light that is in the aperture; NaN where unknown.
    motion : (5,) float64 array
        Derivatives of the light in the aperture by the motion of the image, see
        `tessphot_lib.aperture.crowding.ApertureLight`.
    """

    window: Window
    mask: NDArray
    flags: int = 0
    errors: str | None = None
    crowdsap: float = float("nan")
    flfrcsap: float = float("nan")
    motion: NDArray = field(default_factory=lambda: np.zeros(5))

    def __post_init__(self) -> None:
        if self.mask.shape != self.window.shape:
            raise InputDataError(f"mask is {self.mask.shape}, the stamp {self.window.shape}")


def read_apertures(path: Path, priorities: Iterable[int] | None = None) -> dict[int, StarAperture]:
    """Read the apertures of some stars (default: of all), by their priority, in its order.

    Stars that have none are left out.
    """
    conditions = [] if priorities is None else [among("priority", priorities)]
    with read_database(path) as connection:
        rows = select(connection, "apertures", APERTURES, conditions, order="priority")
    apertures = {}
    for priority, row0, column0, height, width, blob, flags, errors, *light in rows.itertuples(
        index=False, name=None
    ):
        bits = np.unpackbits(np.frombuffer(blob, dtype=np.uint8), count=height * width)
        crowdsap, flfrcsap, motion = light
        apertures[priority] = StarAperture(
            window=Window(row0, row0 + height, column0, column0 + width),
            mask=bits.astype(bool).reshape(height, width),
            flags=flags,
            errors=errors,
            crowdsap=float(crowdsap),
            flfrcsap=float(flfrcsap),
            motion=np.frombuffer(motion, dtype="<f8"),
        )
    return apertures


def insert_apertures(connection: Connection, apertures: Mapping[int, StarAperture]) -> None:
    """Append the apertures of stars, by their priority."""
    rows = [
        (
            int(priority),
            int(aperture.window.row0),
            int(aperture.window.column0),
            *map(int, aperture.mask.shape),
            np.packbits(aperture.mask).tobytes(),
            int(aperture.flags),
            aperture.errors,
            float(aperture.crowdsap),
            float(aperture.flfrcsap),
            np.asarray(aperture.motion, dtype="<f8").tobytes(),
        )
        for priority, aperture in apertures.items()
    ]
    connection.executemany("INSERT INTO apertures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
