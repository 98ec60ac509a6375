"""Threads of the linear algebra of a command."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

# Read by libraries when they are loaded; Snakemake sets the same ones for its jobs.
VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread inside of this, as a job of the workflow does.

    So that sums are the same on any machine, and commands do not take cores that others use.
    It holds for libraries that are loaded already and for those that are loaded inside: scipy
    loads its own when it is first needed.
    """
    before = {name: os.environ.get(name) for name in VARIABLES}
    os.environ.update(dict.fromkeys(VARIABLES, "1"))
    try:
        with threadpool_limits(1):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
