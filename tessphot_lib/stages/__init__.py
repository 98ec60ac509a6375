"""The steps of the pipeline: read, compute, write."""
