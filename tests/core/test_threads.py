"""Linear algebra of commands in one thread."""

import os
import subprocess
import sys

from threadpoolctl import threadpool_info

from tessphot_lib.core.threads import VARIABLES, one_thread

LATE = """
import numpy, threadpoolctl
from tessphot_lib.core.threads import one_thread
with one_thread():
    import scipy.linalg
    threads = {one["filepath"]: one["num_threads"] for one in threadpoolctl.threadpool_info()}
assert threads and set(threads.values()) == {1}, threads
"""


def threads():
    return [one["num_threads"] for one in threadpool_info()]


def test_one_thread_inside_and_everything_as_before_outside(monkeypatch):
    monkeypatch.setenv(VARIABLES[0], "3")
    monkeypatch.delenv(VARIABLES[1], raising=False)
    before, environment = threads(), dict(os.environ)
    with one_thread():
        assert set(threads()) == {1}
        assert {os.environ[name] for name in VARIABLES} == {"1"}
    assert threads() == before
    assert dict(os.environ) == environment


def test_libraries_that_are_loaded_late_take_one_thread():
    many = os.environ | dict.fromkeys(VARIABLES, "2")
    subprocess.run([sys.executable, "-c", LATE], env=many, check=True)
