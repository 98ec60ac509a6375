"""A WCS without distortion, as the text that `pixels.hdf5` holds."""

WCS = """CTYPE1  = 'RA---TAN'
CTYPE2  = 'DEC--TAN'
CRPIX1  =               1000.0
CRPIX2  =               1000.0
CRVAL1  =                 80.0
CRVAL2  =                -66.0
CD1_1   =              -0.0058
CD1_2   =                  0.0
CD2_1   =                  0.0
CD2_2   =               0.0058"""
