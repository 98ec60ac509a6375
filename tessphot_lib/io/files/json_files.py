"""JSON files that appear complete or not at all."""

import json
from pathlib import Path
from typing import Any

from tessphot_lib.io.files.atomic import complete_file


def write_json(path: Path, content: Any, *, indent: int | None = None) -> None:
    """Write text, numbers, lists and mappings; anything else as `str` gives it.

    Parameters
    ----------
    path : Path
        Missing parent folders are made.
    content : list or mapping
    indent : int, optional
        Spaces per level, for people who read it; all on one line by default.

    Raises
    ------
    OutputError
        If it cannot be written: no space, no permission.
    """
    with complete_file(path) as partial:
        text = json.dumps(content, indent=indent, default=str)
        partial.write_text(text + "\n", encoding="utf-8")
