"""What Snakemake says while a run goes on: bars with the time left, errors without long lists."""

import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from logging.handlers import QueueHandler
from typing import Any

MOST_FILES = 4  # that a message on a failed job names
LEAST_JOBS = 4  # of a rule that has a bar
INTERVAL = 20.0  # [s] between bars
WIDTH = 24  # [characters] of a bar
OF_A_BLOCK = re.compile(r"_s\d{4}(_cam\d_ccd\d)?_b\d+$")  # rules for each block of images


class ShortLists(logging.Filter):
    """Shortens the lists of files of failed jobs: a block has hundreds of images."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every message through."""
        is_failure = str(getattr(record, "event", "")) in ("job_error", "group_error")
        for name in ("input", "output") if is_failure else ():
            files = getattr(record, name, None)
            if isinstance(files, list) and len(files) > MOST_FILES:
                shown = [*files[: MOST_FILES - 1], f"... ({len(files)} files)"]
                setattr(record, name, shown)
        return True


class Progress(logging.Handler):
    """Writes a bar for each rule of many jobs that is being worked on.

    It follows the events of Snakemake's log.

    Parameters
    ----------
    write : callable
        Gets the text.
    clock : callable
        Tells the time [s].
    """

    def __init__(
        self, write: Callable[[str], Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(logging.INFO)
        self._write, self._clock = write, clock
        self._totals: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._began: dict[str, float] = {}
        self._rules: dict[Any, str] = {}  # of the running jobs
        self._last = clock()

    def emit(self, record: logging.LogRecord) -> None:
        """Count a job, or write the bars."""
        event = str(getattr(record, "event", "") or "")
        about = record.__dict__
        if event == "run_info":
            self._totals = Counter()
            for name, count in (about.get("stats") or {}).items():
                self._totals[_without_block(name)] += count
        elif event == "job_info":
            rule = _without_block(about.get("rule_name") or "")
            self._rules[about.get("jobid")] = rule
            self._began.setdefault(rule, self._clock())
        elif event == "job_finished":
            self._done[self._rules.pop(about.get("job_id"), "")] += 1
        elif event == "progress" and self._clock() - self._last >= INTERVAL:
            self._last = self._clock()
            if lines := self.lines():
                self._write("\n".join(lines) + "\n")

    def lines(self) -> list[str]:
        """Return a bar for each rule of at least `LEAST_JOBS` jobs that is being worked on."""
        return [
            self._bar(rule)
            for rule in self._began
            if self._totals[rule] >= LEAST_JOBS and self._done[rule] < self._totals[rule]
        ]

    def _bar(self, rule: str) -> str:
        done, total = self._done[rule], self._totals[rule]
        filled = WIDTH * done // total
        bar = "#" * filled + "-" * (WIDTH - filled)
        spent = self._clock() - self._began[rule]
        left = f", about {duration(spent / done * (total - done))} left" if done else ""
        return f"  {rule:<18} [{bar}] {done} of {total}{left}"


def duration(seconds: float) -> str:
    """Say how long something takes: 40 s, 12 min, 3.5 h, 2.4 d."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} d"


def follow(logger: logging.Logger) -> None:
    """Shorten the messages of a logger; on a terminal, write bars, too.

    Not where a plugin of Snakemake (``--logger``), which it feeds by a queue, shows the run.
    """
    logger.addFilter(ShortLists())
    has_plugin = any(isinstance(one, QueueHandler) for one in logger.handlers)
    if sys.stderr.isatty() and not has_plugin:
        logger.addHandler(Progress(sys.stderr.write))


def _without_block(rule: str) -> str:
    return OF_A_BLOCK.sub("", rule)
