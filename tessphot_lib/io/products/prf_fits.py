"""``prf.fits``: the PRF of a CCD, as `tessphot_lib.core.prf_model.Prf` describes it.

=============  =====================================================
COEFFICIENTS   (n_node_rows, n_node_columns, n, n) image
NODE_ROW       (n_node_rows,) image [zero-based science pixels]
NODE_COLUMN    (n_node_columns,) image
WING           (2, n_rings) image: distance [pixels], fraction of the light
ERROR          (n, n) image: error as a fraction of the star's light, by pixel
=============  =====================================================

Primary keywords: SPACING [pixels], INTERPOL, ZEROPNT, ZPERR [mag], ZPSTARS, PRFSRC.
"""

from pathlib import Path

import numpy as np
from astropy.io import fits

from tessphot_lib.core.constants import ZEROPOINT_ERROR
from tessphot_lib.core.errors import InputDataError
from tessphot_lib.core.geometry import CcdId
from tessphot_lib.core.prf_model import Prf
from tessphot_lib.io.files.atomic import complete_file
from tessphot_lib.io.files.fits_provenance import note_provenance


def write_prf(path: Path, prf: Prf, ccd_id: CcdId, *, attributes: dict[str, str]) -> None:
    """Write the PRF of a CCD."""
    primary = fits.PrimaryHDU()
    for key, value, comment in (
        ("TELESCOP", "TESS", "telescope"),
        ("SECTOR", ccd_id.sector, "observing sector"),
        ("CAMERA", ccd_id.camera, "camera number (1-4)"),
        ("CCD", ccd_id.ccd, "CCD number (1-4)"),
        ("SPACING", prf.spacing, "[pixels] distance of the splines"),
        ("INTERPOL", prf.interpolation, "interpolation between nodes"),
        ("ZEROPNT", prf.zeropoint, "[mag] Tmag of a star of 1 e-/s"),
        ("ZPERR", prf.zeropoint_error, "[mag] its 1-sigma error"),
        ("ZPSTARS", prf.zeropoint_stars, "stars it is measured from; 0: assumed"),
        ("PRFSRC", prf.source, "where the PRF is from"),
    ):
        primary.header[key] = (value, comment)
    note_provenance(primary.header, attributes)
    images = {
        "COEFFICIENTS": prf.coefficients,
        "NODE_ROW": prf.node_row,
        "NODE_COLUMN": prf.node_column,
        "WING": np.array([prf.wing_radius, prf.wing_share]),
        "ERROR": prf.error,
    }
    hdus = [
        fits.ImageHDU(values if values.size else None, name=name) for name, values in images.items()
    ]
    with complete_file(path) as partial:
        fits.HDUList([primary, *hdus]).writeto(partial, checksum=True, overwrite=True)


def read_prf(path: Path) -> Prf:
    """Read back what `write_prf` wrote.

    Raises
    ------
    InputDataError
        If the file cannot be read or is not such a file.
    """
    try:
        with fits.open(path, memmap=False) as hdus:
            header = hdus[0].header
            wing = hdus["WING"].data
            wing = np.zeros((2, 0)) if wing is None else wing.astype(float)
            arrays = {
                name.lower(): hdus[name].data.astype(float)
                for name in ("COEFFICIENTS", "NODE_ROW", "NODE_COLUMN", "ERROR")
            }
            return Prf(
                spacing=float(header["SPACING"]),
                interpolation=str(header["INTERPOL"]),
                wing_radius=wing[0],
                wing_share=wing[1],
                zeropoint=float(header["ZEROPNT"]),
                zeropoint_error=float(header.get("ZPERR", ZEROPOINT_ERROR)),
                zeropoint_stars=int(header.get("ZPSTARS", 0)),
                source=str(header["PRFSRC"]),
                **arrays,
            )
    except (OSError, KeyError, AttributeError, ValueError) as err:
        raise InputDataError(f"{path}: cannot be read as a PRF: {err}") from err
