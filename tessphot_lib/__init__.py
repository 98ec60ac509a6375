"""Photometry of the full-frame images of TESS: the functions behind the workflow.

Pixel coordinates are ``(row, column)``, zero-based, on the 2048 x 2048 science
pixels of one CCD, pixel centres at integers; cubes are ``(cadence, row, column)``.
Times are BTJD (BJD_TDB - 2457000, days), fluxes e-/s.

``tessphot_lib.Run("results")`` opens a finished run: its stars, light curves and pixels.
"""

import pkgutil

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Load `Run` when it is asked for.

    No step needs it, and no import says so: the digest of the code behind a step
    (`tessphot_lib.core.code_reach`) would take it for part of all of them.
    """
    if name == "Run":
        return pkgutil.resolve_name(f"{__name__}.interface.run:Run")
    raise AttributeError(f"module 'tessphot_lib' has no attribute {name!r}")
