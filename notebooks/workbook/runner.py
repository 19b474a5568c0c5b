"""Run exercises' checks, each in a process of its own, several at once."""

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbook.exercises import Exercise
from workbook.language import _, language
from workbook.launch import FORK, Process, launch
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
    digest: str  # of what was checked; empty when the answer changed meanwhile

    @property
    def solved(self) -> bool:
        """Whether every check has run and passed: none run is no pass."""
        return bool(self.outcomes) and all(outcome.passed for outcome in self.outcomes)


def run(exercise: Exercise, answer: Path | None = None, *checks: str) -> Report:
    """Check an answer, by default the student's file, on a real server. Never raises for it.

    Some `checks`, by the names of their functions, or all.
    """
    return watch_over(exercise, answer, checks, started=lambda process: None)


def watch_over(
    exercise: Exercise,
    answer: Path | None,
    checks: tuple[str, ...],
    started: Callable[[Process], None],
) -> Report:
    """What `run` does; `started` is called with the process in which the checks run."""
    answer = (answer or exercise.file).absolute()
    before = digest(answer)
    command = [exercise.id, str(answer), *checks]
    # It runs elsewhere, and where a notebook lies can be what says the language.
    process = launch(command, ROOT, {"WORKBOOK_LANG": language()}, "workbook.run_checks")
    assert process.stdout is not None
    assert process.stdin is not None
    timer = threading.Timer(DEADLINE, process.kill)
    seen: dict[str, Outcome] = {}
    printed = []
    try:
        timer.start()
        started(process)
        for line in process.stdout:
            try:
                fields = json.loads(line)
            except ValueError:
                printed.append(line.decode(errors="replace"))  # it could not even start
                continue
            seen[fields["check"]] = outcome(exercise, fields)
        process.wait()
    finally:
        timer.cancel()
        process.kill()  # if we were interrupted; the answers' servers watch it, and go
        process.wait()
        process.stdin.close()
        process.stdout.close()
    outcomes = complete(exercise, seen, "".join(printed[-20:]))
    outcomes = [each for each in outcomes if not checks or each.check in checks]
    # Each check reads the file anew: changed meanwhile, it is not one text that was checked.
    return Report(exercise, answer, outcomes, before if digest(answer) == before else "")


def digest(answer: Path) -> str:
    """Changes when the file does; empty for one that cannot be read."""
    try:
        return hashlib.sha256(answer.read_bytes()).hexdigest()
    except OSError:
        return ""


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

    A job is what `run` takes. Interrupted, it leaves no check running.
    """
    if os.name == "posix":
        os.environ.setdefault(FORK, "1")
    processes: list[Process] = []
    stopped = threading.Event()

    def started(process: Process) -> None:
        processes.append(process)
        if stopped.is_set():  # it may have come too late to be killed below
            process.kill()

    reports = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            futures = [
                pool.submit(watch_over, exercise, answer, tuple(checks), started)
                for exercise, answer, *checks in jobs
            ]
            for future in futures:
                while not wait([future], 0.1).done:
                    pass  # Windows hears Ctrl-C between two of these, not in a longer wait
                done(future.result())
                reports.append(future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stopped.set()
            for process in processes:
                with contextlib.suppress(OSError):  # it has ended this moment
                    process.kill()
            raise  # once the threads have ended, which wait for nothing any more
    return reports
