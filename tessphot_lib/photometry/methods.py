"""The methods of photometry, and which stars are measured by which.

A method is a function::

    method(cube, targets, tile, settings) -> StarFluxes

``cube`` is the `PixelCube` of the CCD and ``targets`` the `StarList` of those
stars that are to be measured by it. ``tile`` is where most of them lie, so that
pixels can be read once for all, or None, if they lie anywhere; the result for
a star must not depend on it, nor on the other stars. ``settings`` is section
``photometry`` of the configuration. One star that cannot be measured stops
nobody: its `StarNotes` say why.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.lightcurve import StarFluxes
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.photometry.aperture import measure_apertures
from tessphot_lib.photometry.halo import measure_halos
from tessphot_lib.photometry.linpsf import measure_linpsf, measure_psf
from tessphot_lib.photometry.targets import StarList

Method = Callable[[PixelCube, StarList, Window | None, Mapping[str, Any]], StarFluxes]
METHODS: dict[str, Method] = {
    "aperture": measure_apertures,
    "linpsf": measure_linpsf,
    "psf": measure_psf,
    "halo": measure_halos,
}


def measure_by_method(
    cube: PixelCube, targets: StarList, tile: Window | None, settings: Mapping[str, Any]
) -> StarFluxes:
    """Measure each star by its own method (column ``method`` of the todo list).

    Raises
    ------
    InputDataError
        If the todo list asks for a method that there is not.
    """
    wanted = targets.stars["method"].to_numpy()
    groups = {method: np.flatnonzero(wanted == method) for method in sorted(set(wanted))}
    for method, members in groups.items():
        if method not in METHODS:
            first = targets.stars["tic_id"].iloc[members[0]]
            raise InputDataError(
                f"{cube.ccd_id}: TIC {first} is to be measured by {method!r}; there is only "
                f"{', '.join(METHODS)}"
            )
    if len(groups) == 1:
        (method,) = groups
        return METHODS[method](cube, targets, tile, settings)
    result = StarFluxes.unknown(len(targets), cube.n_cadences)
    notes = list(result.notes)
    for method, members in groups.items():
        found = METHODS[method](cube, targets.take(members.tolist()), tile, settings)
        for name in StarFluxes.array_names():
            getattr(result, name)[members] = getattr(found, name)
        for index, note in zip(members, found.notes, strict=True):
            notes[index] = note
    arrays = {name: getattr(result, name) for name in StarFluxes.array_names()}
    return StarFluxes(**arrays, notes=tuple(notes))
