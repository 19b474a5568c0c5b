"""Have one student's answers checked: by a proctor (`proctor.py`), in a box where there is one."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbook import box
from workbook.exercises import EXERCISES
from workbook.language import language
from workbook.launch import PACKAGE
from workbook.runner import DEADLINE, Outcome, complete, outcome, run
from workbook.sections import ROOT

FIRST_USER = 61_000  # for root, who makes each proctor a user of its own, beyond systemd's
PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ")

Result = tuple[list[Outcome], str]  # and why it was broken off


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


@dataclass
class Examiner:
    """Starts proctors, and knows those that are at work."""

    boxed: bool
    at_work: set[subprocess.Popen[bytes]] = field(default_factory=set)
    stopped: bool = False

    def check(
        self, answers: Mapping[str, Path], work: Path, seat: int
    ) -> Iterator[tuple[str, Result]]:
        """The result for each answer, by its exercise's id, in their order, as they come.

        All answers lie in folders of one folder, this student's alone. `work` is a folder for the
        proctor's, and `seat` a number that no other proctor at work has. An answer whose check the
        proctor does not survive, and those after it, have no result.
        """
        if os.name != "posix":  # no limits, and no boxes
            for exercise in EXERCISES:
                if exercise.id in answers:
                    yield exercise.id, (run(exercise, answers[exercise.id]).outcomes, "")
            return
        jobs = [(name, str(path)) for name, path in answers.items()]
        folder = next(iter(answers.values())).parents[1]
        exercises = {exercise.id: exercise for exercise in EXERCISES}
        seen: dict[str, Outcome] = {}
        lines = self.proctor(folder, work, seat, jobs)
        while line := next_line(lines):
            if "exercise" in line:
                exercise, seen = exercises[line["exercise"]], {}
            elif "check" in line:
                seen[line["check"]] = outcome(exercise, line)
            elif "reason" in line:
                yield exercise.id, (complete(exercise, seen, line["reason"]), line["reason"])

    def proctor(
        self, answers: Path, work: Path, seat: int, jobs: list[tuple[str, str]]
    ) -> Iterator[dict[str, Any]]:
        """What a proctor tells, line by line."""
        if self.stopped:
            return
        user = FIRST_USER + seat if self.boxed and is_root() else 0
        order = {"user": user, "boxed": self.boxed, "jobs": jobs, "answers": str(answers)}
        env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        env |= {"PYTHONPATH": str(ROOT / "notebooks"), "WORKBOOK_LANG": language()}
        env |= {"PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-P", str(PACKAGE / "proctor.py")]
        with folder_for(user, work) as own:
            order["work"] = env["HOME"] = str(own)
            process = subprocess.Popen(
                [*(box.outer(answers, own) if self.boxed else []), *command],
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for us, who end it
            )
            self.at_work.add(process)
            timer = threading.Timer(60 + 1.5 * DEADLINE * len(jobs), end, [process])
            timer.start()
            assert process.stdin
            assert process.stdout
            try:
                if self.stopped:  # too late for `stop` to know of this one
                    return
                with contextlib.suppress(BrokenPipeError):  # no box could be made: it says nothing
                    process.stdin.write(json.dumps(order).encode() + b"\n")
                    process.stdin.flush()
                yield from map(json.loads, process.stdout)
            finally:
                timer.cancel()
                end(process)
                process.wait()
                process.stdout.close()
                self.at_work.discard(process)

    def stop(self) -> None:
        self.stopped = True
        for process in list(self.at_work):
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a proctor: by its lifeline, too, for one that became another user outlives its box."""
    assert process.stdin
    process.kill()
    with contextlib.suppress(OSError):
        process.stdin.close()


def next_line(lines: Iterator[dict[str, Any]]) -> dict[str, Any] | None:
    """What a proctor tells next; nothing when it has ended, in whatever way."""
    try:
        return next(lines, None)
    except (OSError, ValueError) as error:  # no process could be had, or it was cut off in a line
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return None


@contextlib.contextmanager
def folder_for(user: int, parent: Path) -> Iterator[Path]:
    """A new folder that belongs to this user, for a while."""
    path = Path(tempfile.mkdtemp(prefix="seat-", dir=parent))
    try:
        if user:
            os.chown(path, user, user)
        yield path
    finally:
        remove(path)


def remove(folder: Path) -> None:
    """Remove a folder, whatever an answer has made of it: without rights, a thousand deep."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except (OSError, RecursionError):
        if os.name != "posix":
            return
        for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
            subprocess.run([*command, "--", str(folder)], capture_output=True, check=False)


def can_box() -> bool:
    """Whether boxes work here. bubblewrap installed is not enough: a container may refuse it."""
    if not shutil.which("bwrap"):
        return False
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        return any("ready" in line for line in Examiner(True).proctor(PACKAGE, Path(folder), 0, []))
