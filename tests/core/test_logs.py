"""What a job says, and where."""

import logging
import re
import subprocess
import sys

from paths import PROJECT

from tessphot_lib.core import logs


def run(tmp_path, body):
    path = tmp_path / "logs" / "job.log"
    program = (
        "import logging, warnings\n"
        "from tessphot_lib.core.errors import InputDataError\n"
        "from tessphot_lib.core.logs import log_to\n"
        f"log_to({str(path)!r})\n{body}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    return done, path.read_text()


def test_log_and_warnings_go_to_the_file(tmp_path):
    done, log = run(tmp_path, "logging.getLogger('a.b').info('hello')\nwarnings.warn('careful')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    first, *others = log.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO a\.b: hello", first)
    assert "UserWarning: careful" in others[0]


def test_error_of_the_user_is_one_line(tmp_path):
    done, log = run(tmp_path, "raise InputDataError('a.fits: no keyword CAMERA')")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: a.fits: no keyword CAMERA\n"
    assert log.endswith(" ERROR tessphot: error: a.fits: no keyword CAMERA\n")
    assert "Traceback" not in log


def test_unexpected_error_comes_with_its_traceback(tmp_path):
    done, log = run(tmp_path, "1 / 0")
    assert done.returncode == 1
    for said in (done.stderr, log):
        assert "Traceback (most recent call last)" in said
        assert "ZeroDivisionError: division by zero" in said


def test_log_is_written_anew(tmp_path):
    run(tmp_path, "logging.getLogger().info('old')")
    assert "old" not in run(tmp_path, "")[1]


def test_waiting_is_said_on_stderr_now_and_then(capsys, monkeypatch):
    clock = iter([0.0, 3.0, 9.9, 10.1, 11.0])
    monkeypatch.setattr(logs.time, "monotonic", lambda: next(clock))
    downloads = logging.getLogger("tessphot_lib.io.archives.download")
    logs.replace_signs_of_life(logs.SignsOfLife("old: "))
    logs.replace_signs_of_life(logs.SignsOfLife("job: "))
    for number in range(5):
        downloads.warning("no answer %d", number)
    downloads.info("a file")
    logs.replace_signs_of_life(None)
    downloads.warning("unheard")
    assert capsys.readouterr().err == "job: no answer 0\njob: no answer 3\n"
