"""The files that the pipeline makes."""
