"""Apertures: which pixels, how crowded, their sums."""
