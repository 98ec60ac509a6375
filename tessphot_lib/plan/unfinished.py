"""What a run that failed or was killed has left to be made.

Snakemake deletes the outputs of a job that fails, and with them what it knew of them. If a job
had to run because of another setting or another set of images, and not because of a new file,
the next call finds only that an intermediate file is missing which nothing needs: "Nothing to
be done", and the old results stay for new ones. So what a run is going to make is noted before
its first job, and what is missing of that afterwards is made in any case.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from tessphot_lib.io.files.json_files import write_json

UNFINISHED = Path(".snakemake/tessphot/unfinished.json")


def lost_files() -> set[str]:
    """Return what earlier runs were going to make and what is not there."""
    if not UNFINISHED.exists():
        return set()
    try:
        noted = json.loads(UNFINISHED.read_text(encoding="utf-8"))
    except ValueError:  # a disk that was full; then it is as Snakemake sees it
        return set()
    return {path for path in noted if not Path(path).exists()}


def note_wanted(paths: Iterable[str]) -> None:
    """Note what a run is going to make, beside what was lost before."""
    write_json(UNFINISHED, sorted(lost_files().union(paths)))


def forget_made() -> None:
    """Forget, at the end of a run, what is there by now."""
    if lost := lost_files():
        write_json(UNFINISHED, sorted(lost))
    else:
        UNFINISHED.unlink(missing_ok=True)
