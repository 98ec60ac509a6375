"""Where things are: the project, and the real data beside it (absent on most machines)."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
REALDATA = PROJECT.parent / "shared" / "realdata"
