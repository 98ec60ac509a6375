"""Warnings about single stars, as they stand in the column ``errors`` of the diagnostics."""

MINIMUM_APERTURE = "Using minimum aperture."  # downstream packages look for these two texts
SWITCHED_TO_HALO = "Automatically switched to Halo photometry"
LIMITED_APERTURE = "Aperture limited by missing pixels."
UNKNOWN_LIGHT = "More light than the known stars give: is a star missing in the catalog?"


UNEXPECTED = "Traceback: "  # begins the remark of a star on which the code itself failed
