"""Bars with the time left, and messages without long lists."""

import logging
from logging.handlers import QueueHandler
from queue import Queue

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from tessphot_lib.plan import progress
from tessphot_lib.plan.progress import INTERVAL, Progress, ShortLists, duration, follow


@pytest.fixture
def run():
    """A logger as Snakemake's, a clock, and what was written."""

    class Run:
        now = 0.0

        def __init__(self):
            self.said = []
            self.logger = logging.Logger("run")
            self.logger.addHandler(Progress(self.said.append, lambda: self.now))

        def tell(self, event, **more):
            self.logger.info("", extra={"event": event, **more})

    return Run()


def test_each_rule_of_many_jobs_has_a_bar(run):
    blocks = {f"simulate_s0014_b000112{n}": 1 for n in range(4)}
    run.tell("run_info", stats={"backgrounds": 8, "prf": 1, "tile_photometry": 64} | blocks)
    for jobid in range(3):
        run.tell("job_info", jobid=jobid, rule_name="backgrounds")
    run.tell("job_info", jobid=10, rule_name="prf")
    run.tell("job_info", jobid=11, rule_name="simulate_s0014_b0001121")
    run.now = 100.0
    for jobid in (0, 1, 10):
        run.tell("job_finished", job_id=jobid)
    run.tell("progress", done=3, total=77)
    (text,) = run.said
    assert text.splitlines() == [
        "  backgrounds        [######------------------] 2 of 8, about 5 min left",
        "  simulate           [------------------------] 0 of 4",
    ]
    run.now += INTERVAL - 1
    run.tell("progress", done=3, total=77)
    assert len(run.said) == 1  # not so often


def test_events_are_called_as_snakemake_does():
    names = {"run_info", "job_info", "job_finished", "progress", "job_error", "group_error"}
    assert names <= {str(event) for event in LogEvent}


def test_what_is_no_event_is_passed_over(run):
    run.logger.info("hello")
    run.logger.info(None, extra={"event": None})
    run.tell("job_finished", job_id=99)
    run.now = 10 * INTERVAL
    run.tell("progress", done=1, total=2)
    assert run.said == []


def test_lists_of_files_of_failed_jobs_are_short():
    about = {"input": [f"{n}.fits" for n in range(1300)], "output": ["a"]}
    record = logging.makeLogRecord(about | {"event": "job_info"})
    assert ShortLists().filter(record)
    assert len(record.input) == 1300
    record = logging.makeLogRecord(about | {"event": "job_error"})
    assert ShortLists().filter(record)
    assert record.input == ["0.fits", "1.fits", "2.fits", "... (1300 files)"]
    assert record.output == ["a"]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_bars_are_for_terminals(monkeypatch, is_terminal):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: is_terminal, raising=False)
    logger = logging.Logger("run")
    follow(logger)
    assert [type(one) for one in logger.handlers] == [Progress] * is_terminal
    assert [type(one) for one in logger.filters] == [ShortLists]
    logger = logging.Logger("run by a plugin")
    logger.addHandler(QueueHandler(Queue()))
    follow(logger)
    assert [type(one) for one in logger.handlers] == [QueueHandler]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(40.4, "40 s"), (700, "12 min"), (5399, "90 min"), (12600, "3.5 h"), (207360, "2.4 d")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
