"""What everything else stands on: constants, containers, settings, geometry.

Containers are plain and immutable: they check that their arrays belong
together, and know nothing about files or algorithms.

Pixel coordinates are ``(row, column)``, zero-based, on the science pixels of
one CCD; cubes are ``(cadence, row, column)``. Times are BTJD (BJD_TDB minus
2457000.0, days) and fluxes e-/s unless a name says otherwise.
"""
