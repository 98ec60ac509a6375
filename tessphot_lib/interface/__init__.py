"""Runs and their stars in Python and in notebooks."""
