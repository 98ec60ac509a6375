"""What a method of photometry is: a function that measures stars, and what is known of it.

To add one called ``box``:

1. its algorithm, a function of arrays, in a folder by topic;
2. ``photometry/box.py`` with a function as `Measure` describes it, and ``METHOD = Method(...)``;
3. its settings class, a `MethodSettings`, and its name in ``METHODS`` of `core.settings`.

All else (the configuration and its check, the todo list, the command line, the header
keywords) follows from these.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tessphot_lib.core.geometry import Window
from tessphot_lib.core.lightcurve import Cards, StarFluxes
from tessphot_lib.core.settings import MethodSettings, PhotometrySettings
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.photometry.targets import StarList


class Measure(Protocol):
    """The function of a method."""

    def __call__(
        self, cube: PixelCube, targets: StarList, tile: Window | None, settings: PhotometrySettings
    ) -> StarFluxes:
        """Measure stars.

        Parameters
        ----------
        cube : PixelCube
            Of the CCD.
        targets : StarList
            Those stars that are to be measured by this method.
        tile : Window or None
            Where most of the stars lie, so that pixels can be read once for all; None if
            they lie anywhere. The result for a star must not depend on it, nor on the
            other stars.
        settings : PhotometrySettings

        Returns
        -------
        StarFluxes
            One star that cannot be measured stops nobody: its `StarNotes` say why.
        """
        ...


@dataclass(frozen=True)
class Method:
    """A method of photometry.

    Attributes
    ----------
    name : str
        In the configuration, the todo list and the header (PHOTMET).
    settings : type
        Its section of the configuration; tells whether neighbors are fitted, too.
    measure : Measure
    cards : callable
        Header cards of the settings that stars were measured with, from
        `PhotometrySettings`; those of results are in `StarNotes`.
    """

    name: str
    settings: type[MethodSettings]
    measure: Measure
    cards: Callable[[PhotometrySettings], Cards]
