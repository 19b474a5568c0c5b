"""Run exercises' checks, each in a process of its own, several at once."""

import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbook.exercises import Exercise
from workbook.language import _, language
from workbook.launch import FORK, launch
from workbook.sections import ROOT

DEADLINE = 90  # seconds for an exercise, far more than its checks' own deadlines add up to
AT_ONCE = 2 * (os.cpu_count() or 1)  # more than half of a check is waiting


@dataclass(frozen=True)
class Outcome:
    """What one check found. `hint` counts from 1."""

    check: str
    title: str
    passed: bool
    advice: str = ""
    hint: int | None = None


@dataclass(frozen=True)
class Report:
    exercise: Exercise
    answer: Path
    outcomes: list[Outcome]

    @property
    def solved(self) -> bool:
        """Whether every check has run and passed: none run is no pass."""
        return bool(self.outcomes) and all(outcome.passed for outcome in self.outcomes)


def run(exercise: Exercise, answer: Path | None = None, *checks: str) -> Report:
    """Check an answer, by default the student's file, on a real server. Never raises for it.

    Some `checks`, by the names of their functions, or all.
    """
    answer = (answer or exercise.file).absolute()
    command = [exercise.id, str(answer), *checks]
    # It runs elsewhere, and where a notebook lies can be what says the language.
    process = launch(command, ROOT, {"WORKBOOK_LANG": language()}, "workbook.run_checks")
    assert process.stdout is not None
    assert process.stdin is not None
    timer = threading.Timer(DEADLINE, process.kill)
    timer.start()
    seen: dict[str, Outcome] = {}
    printed = []
    for line in process.stdout:
        try:
            fields = json.loads(line)
        except ValueError:
            printed.append(line.decode(errors="replace"))  # it could not even start
            continue
        seen[fields["check"]] = outcome(exercise, fields)
    process.wait()
    timer.cancel()
    process.stdin.close()
    process.stdout.close()
    outcomes = complete(exercise, seen, "".join(printed[-20:]))
    return Report(exercise, answer, [o for o in outcomes if not checks or o.check in checks])


def outcome(exercise: Exercise, fields: dict[str, Any]) -> Outcome:
    """What a line of `run_checks.py` tells."""
    return Outcome(title=exercise.titles[fields["check"]], **fields)


def complete(exercise: Exercise, seen: Mapping[str, Outcome], reason: str) -> list[Outcome]:
    """An outcome for each check, also for those of which nothing was heard."""
    missing = _("The check did not come to its end. {reason}").format(reason=reason).strip()
    return [
        seen.get(check, Outcome(check, title, passed=False, advice=missing))
        for check, title in exercise.titles.items()
    ]


def run_all(
    jobs: Iterable[tuple[Exercise, Path | None, *tuple[str, ...]]],
    done: Callable[[Report], None] = lambda report: None,
) -> list[Report]:
    """Check many, a few at once; `done` is called with each report, in the order of the jobs.

    A job is what `run` takes.
    """
    if os.name == "posix":
        os.environ.setdefault(FORK, "1")
    reports = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for report in pool.map(lambda job: run(*job), jobs):
            done(report)
            reports.append(report)
    return reports
