"""Single stars: from their cutouts to their light curves, in one process."""
