"""One star with other settings than its todo list was made with: its aperture and method again."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from tessphot_lib.core.aperture import Aperture
from tessphot_lib.core.ccd_files import CcdFiles
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.settings import PhotometrySettings
from tessphot_lib.io.products.pixels_hdf5 import PixelCube
from tessphot_lib.io.products.prf_fits import read_prf
from tessphot_lib.io.stars.catalog_sqlite import read_catalog
from tessphot_lib.photometry.believed_stars import StarChecks
from tessphot_lib.photometry.ccd_apertures import ccd_apertures
from tessphot_lib.photometry.choice import as_listed, suitable_methods


@dataclass(frozen=True)
class Again:
    """What has to be decided again for a star of the todo list.

    Attributes
    ----------
    aperture : bool
        Whether its aperture is to be chosen again.
    method : str or None
        A method, or ``auto``: by the rules; None: that of the todo list.
    """

    aperture: bool
    method: str | None

    @classmethod
    def of(
        cls,
        listed: Aperture,
        method: str,
        *,
        made_with: PhotometrySettings,
        settings: PhotometrySettings,
        wanted: str | None,
    ) -> "Again":
        """Compare settings with those that the todo list was made with.

        Parameters
        ----------
        listed : Aperture
            The star's, of the todo list.
        method : str
            The star's, of the todo list.
        made_with, settings : PhotometrySettings
            Then, and now.
        wanted : str or None
            A method, or ``auto``, which goes before all else.
        """
        other_aperture = made_with.aperture != settings.aperture
        other_rules = made_with.auto != settings.auto
        if wanted is None and settings.method != made_with.method:
            is_named = method != made_with.method and not listed.is_automatic
            wanted = None if is_named else settings.method  # todo.methods goes before it
        if wanted is None and listed.is_automatic and (other_aperture or other_rules):
            wanted = "auto"
        # What the rules need to know of an aperture does not stand in the list.
        return cls(other_aperture or wanted == "auto", wanted)


def decide_again(
    cube: PixelCube,
    star: pd.Series,
    files: CcdFiles,
    settings: PhotometrySettings,
    method: str | None,
) -> tuple[Aperture, str]:
    """Choose the aperture of a star, and its method, as the todo list would with these settings.

    Parameters
    ----------
    cube : PixelCube
    star : Series
        Its row of the todo list.
    files : CcdFiles
        Its catalog and PRF are read.
    settings : PhotometrySettings
    method : str or None
        As in `Again`.

    Returns
    -------
    aperture : Aperture
        As the todo list would keep it.
    method : str

    Raises
    ------
    InputDataError
        If the catalog does not have the star, or not on pixels with data.
    """
    checks = StarChecks.of(files)
    catalog, _ = read_catalog(files.catalog)
    known = checks.believed(catalog)
    model = read_prf(files.prf)
    index = np.flatnonzero(known["tic_id"] == star["tic_id"]).tolist()
    found, _ = ccd_apertures(
        cube,
        known,
        model,
        settings.aperture,
        faint_limit=np.inf,
        only=index,
    )
    if not found:
        raise InputDataError(f"{files.catalog}: TIC {star['tic_id']} is not on pixels with data")
    (aperture,) = found.values()
    chosen = star["method"]
    if method is not None:
        tmag = known["tmag"].to_numpy(dtype=float)[index]
        rules = replace(settings, method=method)
        (chosen,) = suitable_methods(tmag, [aperture], model.zeropoint, rules)
    finding = checks.warnings().get(int(star["tic_id"]))
    return as_listed(aperture, method == "auto", finding), chosen
