"""Run one exercise's checks by pytest, in a process of its own that writes a line for each.

Started by `runner.py`. Its standard input is a lifeline, as a server's is (`_child.py`).
"""

import json
import os
import sys
import threading
from typing import Any

import pytest

from workbook.exercises import EXERCISES
from workbook.launch import FORK, find_zygote


class Lines:
    """Writes each check's result, once its teardown is over, as a line of JSON."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.reports: list[pytest.TestReport] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.reports.append(report)
        if report.when != "teardown":
            return
        failures = [r for r in self.reports if not r.passed]  # a skipped check is no pass
        line = {
            "check": report.location[2].partition("[")[0],
            "passed": not failures,
            "advice": getattr(failures[0], "advice", str(failures[0].longrepr)) if failures else "",
            "hint": getattr(failures[0], "hint", None) if failures else None,
        }
        os.write(self.fd, json.dumps(line).encode() + b"\n")
        self.reports = []


def leave_with_starter() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)  # the answers' servers watch us in the same way


def main(arguments: list[str]) -> None:
    """Check an exercise, by its id, with an answer, a path; some checks by their names, or all."""
    exercise_id, answer, *names = arguments
    if os.getenv(FORK) and os.name == "posix":
        find_zygote()  # before there is any thread
    threading.Thread(target=leave_with_starter, daemon=True).start()
    lines = os.dup(1)
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.dup2(devnull, 2)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # nobody's plugin, and a quicker start
    checks = next(e.checks for e in EXERCISES if e.id == exercise_id)
    options: list[Any] = ["-c", str(checks.parents[1] / "pytest.ini"), "--noconftest"]
    options += ["--assert=plain"]  # they say by `expect` what they saw; rewriting takes time
    options += ["-p", "anyio", "-p", "no:unraisableexception", "--answer", answer]
    options += [f"{checks}::{name}" for name in names] or [str(checks)]
    pytest.main(options, plugins=[Lines(lines)])


if __name__ == "__main__":
    main(sys.argv[1:])
