"""Ways to read and write files that all formats share."""
