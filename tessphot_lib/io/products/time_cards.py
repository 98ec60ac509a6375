"""Header cards of the time system, the same in all products."""

from typing import Any

from tessphot_lib.core.constants import BTJD_OFFSET


def time_cards(columns: str = "TIME") -> list[tuple[str, Any, str]]:
    """Cards of barycentric times in BTJD; ``columns`` are what is in days."""
    return [
        ("TIMEREF", "SOLARSYSTEM", "barycentric correction applied to times"),
        ("TIMESYS", "TDB", "time system is Barycentric Dynamical Time"),
        ("BJDREFI", int(BTJD_OFFSET), "integer part of BTJD reference date"),
        ("BJDREFF", 0.0, "fraction of the day in BTJD reference date"),
        ("TIMEUNIT", "d", f"time unit for {columns}"),
    ]
