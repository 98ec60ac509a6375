"""Files that are dated in the future: what is made from them looks older than they are.

Snakemake takes that for a fault and ends the run with the first job that reads one.
"""

import os
import time
from collections.abc import Iterable

from tessphot_lib.core.errors import InputDataError
from tessphot_lib.plan.progress import duration

TOLERANCE = 1.0  # [s] clocks of file servers are never quite right


def refuse_future(paths: Iterable[str]) -> None:
    """Check that no file is newer than now; files that are not there are passed over.

    Raises
    ------
    InputDataError
        With their number, the latest one, and what to do.
    """
    now = time.time()
    late: dict[str, float] = {}
    for path in paths:
        try:
            ahead = os.stat(path).st_mtime - now
        except OSError:
            continue
        if ahead > TOLERANCE:
            late[path] = ahead
    if late:
        path, ahead = max(late.items(), key=lambda one: one[1])
        others = "as is 1 other file" if len(late) == 2 else f"as are {len(late) - 1} other files"
        raise InputDataError(
            f"{path}: dated {duration(ahead)} in the future by the clock of this machine"
            f"{f', {others}' if len(late) > 1 else ''}; Snakemake would "
            "refuse what is made from it as older. Set the clock, or touch the files"
        )
