"""Files on a file system without locks: NFS without lockd, Lustre without flock."""

import ast
import os
import subprocess
import sys

import pytest
from paths import PROJECT

CODE = """
from pathlib import Path
from tessphot_lib.io.products.todo_sqlite import create_todo, read_todo
import h5py, pandas as pd

stars = pd.DataFrame({"tic_id": [7, 8], "tmag": [9.0, 8.0], "cbv_area": 1})
create_todo(Path("todo.sqlite"), stars.assign(sector=14, camera=1, ccd=1, cadence_seconds=1800))
with h5py.File("a.hdf5", "w", locking=False) as file:
    file["x"] = [4, 5]
with h5py.File("a.hdf5", "r", locking=False) as file:
    print(read_todo(Path("todo.sqlite"))["tic_id"].tolist(), file["x"][:].tolist())
"""
NO_LOCKS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#define LOCKS(name) int name(int fd, int cmd, ...) { \\
    va_list list; va_start(list, cmd); void *p = va_arg(list, void *); va_end(list); \\
    if (cmd == F_SETLK || cmd == F_SETLKW || cmd == F_GETLK) { errno = ENOLCK; return -1; } \\
    int (*real)(int, int, ...) = dlsym(RTLD_NEXT, #name); return real(fd, cmd, p); }
int flock(int fd, int operation) { errno = ENOLCK; return -1; }
LOCKS(fcntl)
LOCKS(fcntl64)
"""


@pytest.fixture
def without_locks(tmp_path):
    """Environment in which no process can lock a file."""
    (tmp_path / "no_locks.c").write_text(NO_LOCKS.replace("\\\\", "\\"))
    library = tmp_path / "no_locks.so"
    command = ["cc", "-shared", "-fPIC", "-o", str(library), str(tmp_path / "no_locks.c"), "-ldl"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no C compiler, or not this kind of library")
    known = {key: value for key, value in os.environ.items() if key != "HDF5_USE_FILE_LOCKING"}
    return known | {"LD_PRELOAD": str(library), "PYTHONPATH": str(PROJECT)}


def test_files_are_written_and_read_without_locks(tmp_path, without_locks):
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=tmp_path,
        env=without_locks,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[8, 7] [4, 5]\n"


def test_no_file_of_ours_is_locked():
    """Also outside of the workflow, which tells HDF5 so."""
    opened = [
        f"{path.name}:{call.lineno}"
        for path in (PROJECT / "tessphot_lib").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) == "h5py.File"
        and "locking=False" not in [ast.unparse(one) for one in call.keywords]
    ]
    assert opened == []
