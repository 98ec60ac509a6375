"""The measuring engine: from a pixel cube and a list of stars to light curves."""
