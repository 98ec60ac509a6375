"""Apertures of the stars of a todo list, packed to bits."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from sqlite3 import Connection

import numpy as np
from numpy.typing import NDArray

from tessphot_lib.core.aperture import Aperture, ApertureLight
from tessphot_lib.core.geometry import Window
from tessphot_lib.io.files.sqlite_tables import among, read_database, select
from tessphot_lib.io.products.todo_tables import APERTURES

# Bits of column flags: attributes of `Aperture`, whatever the star's method.
FLAGS = {"is_automatic": 1, "is_minimum": 2, "is_limited": 4, "has_unknown_light": 8}
N_MOTION = 5  # derivatives by motion
UNKNOWN = ApertureLight(np.nan, np.nan, np.zeros(N_MOTION))


def read_apertures(path: Path, priorities: Iterable[int] | None = None) -> dict[int, Aperture]:
    """Read the apertures of some stars (default: of all), by their priority, in its order.

    Stars that have none are left out.
    """
    conditions = [] if priorities is None else [among("priority", priorities)]
    with read_database(path) as connection:
        rows = select(connection, "apertures", APERTURES, conditions, order="priority")
    apertures = {}
    for priority, row0, column0, height, width, blob, flags, findings, *light in rows.itertuples(
        index=False, name=None
    ):
        bits = np.unpackbits(np.frombuffer(blob, dtype=np.uint8), count=height * width)
        crowdsap, flfrcsap, motion = light
        apertures[priority] = Aperture(
            window=Window(row0, row0 + height, column0, column0 + width),
            mask=bits.astype(bool).reshape(height, width),
            light=ApertureLight(float(crowdsap), float(flfrcsap), *_derivatives(motion)),
            **{name: bool(flags & bit) for name, bit in FLAGS.items()},
            findings=findings,
        )
    return apertures


def _derivatives(blob: bytes) -> tuple[NDArray, NDArray]:
    """``motion`` and ``unexplained`` of an `ApertureLight`; lists of before lack the second."""
    values = np.frombuffer(blob, dtype="<f8")
    return values[:N_MOTION], values[N_MOTION:] if len(values) > N_MOTION else np.zeros(2)


def insert_apertures(connection: Connection, apertures: Mapping[int, Aperture]) -> None:
    """Append the apertures of stars, by their priority."""
    rows = []
    for priority, aperture in apertures.items():
        light = UNKNOWN if aperture.light is None else aperture.light
        rows.append(
            (
                int(priority),
                int(aperture.window.row0),
                int(aperture.window.column0),
                *map(int, aperture.mask.shape),
                np.packbits(aperture.mask).tobytes(),
                sum(bit for name, bit in FLAGS.items() if getattr(aperture, name)),
                aperture.findings,
                float(light.crowdsap),
                float(light.flfrcsap),
                np.concatenate([light.motion, light.unexplained]).astype("<f8").tobytes(),
            )
        )
    connection.executemany("INSERT INTO apertures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
