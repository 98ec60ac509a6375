"""One module per rule of the workflow: read, compute, write."""
