"""Photometry of the full-frame images of TESS: the functions behind the workflow.

Pixel coordinates are ``(row, column)``, zero-based, on the 2048 x 2048 science
pixels of one CCD, pixel centres at integers; cubes are ``(cadence, row, column)``.
Times are BTJD (BJD_TDB - 2457000, days), fluxes e-/s.

``tessphot_lib.Run("results")`` opens a finished run: its stars, light curves and pixels.
"""

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Load `Run` when it is asked for: steps of the workflow do not need it."""
    if name == "Run":
        from tessphot_lib.interface.run import Run

        return Run
    raise AttributeError(f"module 'tessphot_lib' has no attribute {name!r}")
