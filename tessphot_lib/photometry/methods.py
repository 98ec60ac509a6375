"""All methods of photometry, and which stars are measured by which.

The names are those of `tessphot_lib.core.settings.METHODS`; the method ``psf`` is ``METHOD``
in ``photometry/psf.py``. See `tessphot_lib.photometry.method` for how to add one.
"""

from importlib import import_module

import numpy as np

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import Window
from tessphot_lib.core.lightcurve import Cards, StarFluxes
from tessphot_lib.core.settings import METHODS as SETTINGS
from tessphot_lib.core.settings import PhotometrySettings
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.photometry.method import Method
from tessphot_lib.photometry.targets import StarList

# Digests of code (`core.code_reach`) follow this form: METHOD of any module.
METHODS: dict[str, Method] = {
    name: import_module(f"tessphot_lib.photometry.{name}").METHOD for name in SETTINGS
}


def method_cards(method: str, settings: PhotometrySettings) -> Cards:
    """Return the header cards of the settings of a method.

    Parameters
    ----------
    method : str
        By which the star was measured.
    settings : PhotometrySettings

    Raises
    ------
    InputDataError
        If there is no such method.
    """
    return _method(method).cards(settings)


def measure_by_method(
    cube: PixelCube, targets: StarList, tile: Window | None, settings: PhotometrySettings
) -> StarFluxes:
    """Measure each star by its own method (column ``method`` of the todo list).

    Raises
    ------
    InputDataError
        If the todo list asks for a method that does not exist.
    """
    wanted = targets.stars["method"].to_numpy()
    groups = {method: np.flatnonzero(wanted == method) for method in sorted(set(wanted))}
    for method, members in groups.items():
        _method(method, f"{cube.ccd_id}: TIC {targets.stars['tic_id'].iloc[members[0]]}: ")
    if len(groups) == 1:
        (method,) = groups
        return METHODS[method].measure(cube, targets, tile, settings)
    result = StarFluxes.unknown(len(targets), cube.n_cadences)
    notes = list(result.notes)
    for method, members in groups.items():
        found = METHODS[method].measure(cube, targets.take(members.tolist()), tile, settings)
        for name in StarFluxes.array_names():
            getattr(result, name)[members] = getattr(found, name)
        for index, note in zip(members, found.notes, strict=True):
            notes[index] = note
    arrays = {name: getattr(result, name) for name in StarFluxes.array_names()}
    return StarFluxes(**arrays, notes=tuple(notes))


def _method(name: str, where: str = "") -> Method:
    """Look up a method."""
    if name not in METHODS:
        raise InputDataError(
            f"{where}unknown method {name!r}; the methods are {', '.join(METHODS)}"
        )
    return METHODS[name]
