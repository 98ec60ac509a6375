"""Photometry of the full-frame images of TESS: the functions behind the workflow.

Pixel coordinates are ``(row, column)``, zero-based, on the 2048 x 2048 science
pixels of one CCD, pixel centres at integers; cubes are ``(cadence, row, column)``.
Times are BTJD (BJD_TDB - 2457000, days), fluxes e-/s.
"""

__version__ = "0.1.0"
