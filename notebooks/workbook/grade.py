"""Grade a class: several students at once. Stopped at any time, it goes on from there."""

import contextlib
import hashlib
import json
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import cache
from pathlib import Path

from workbook import box
from workbook.examine import Examiner, Result, can_box, remove
from workbook.exercises import EXERCISES, Exercise
from workbook.grades import Grade, GradedClass, Limit, Student
from workbook.language import _, language
from workbook.launch import PACKAGE
from workbook.runner import Outcome
from workbook.submissions import Submission, read_submissions

WORK = ".work"  # in the output folder: copies of the answers, and what has been graded already
TRIES = 3  # of a student whose proctor did not come to its end
SEATS = 6 * (os.cpu_count() or 1)  # students at once: most of a check is waiting


class Kept:
    """The results so far, in a file that grows by a line for each, by what was checked."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lock = threading.Lock()
        self.results: dict[str, Result] = {}
        known = file.read_text(encoding="utf-8") if file.exists() else ""
        if known and not known.endswith("\n"):  # half a line: we were stopped while we wrote it
            known = known[: known.rfind("\n") + 1]
            file.write_text(known, encoding="utf-8")
        for line in known.splitlines():
            with contextlib.suppress(ValueError):  # cut off by a full disk: it is checked again
                fields = json.loads(line)
                outcomes = [Outcome(**each) for each in fields["outcomes"]]
                self.results[fields["key"]] = outcomes, fields["reason"]

    def add(self, key: str, result: Result) -> None:
        outcomes, reason = result
        line = {"key": key, "outcomes": [asdict(each) for each in outcomes], "reason": reason}
        with self.lock, self.file.open("a", encoding="utf-8") as file:
            self.results[key] = result
            file.write(json.dumps(line) + "\n")


@cache
def digest_of_checker() -> bytes:
    """Of all our code: a check's result may depend on any of it."""
    digest = hashlib.sha256()
    for file in sorted(PACKAGE.glob("*.py")):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.digest()


def key(exercise: Exercise, answer: Path, boxed: bool) -> str:
    """Changes when the answer does, or what checks it, or the language in which it is told."""
    digest = hashlib.sha256(digest_of_checker())
    for file in (answer, exercise.checks):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    kind = "boxed" if boxed else "unboxed"
    return f"{exercise.id} {language()} {kind} {digest.hexdigest()}"


def grade(
    folder: Path,
    out: Path,
    started: Callable[[int, list[Limit]], None] = lambda answers, limits: None,
    done: Callable[[], None] = lambda: None,
) -> GradedClass:
    """Grade the submissions in a folder, or go on with it; `out` holds what is known so far.

    `started` is called with the number of answers, and with the limits that hold here or do not;
    `done` for each answer when its grade is known.
    Raises OSError when `folder` cannot be read or `out` not be written.
    """
    work = out.resolve() / WORK  # a box knows no folder that we are in
    remove(work / "answers")
    for left in work.glob("seat-*"):  # by a grading that was killed
        remove(left)
    work.mkdir(parents=True, exist_ok=True)
    submissions = read_submissions(folder, work / "answers")
    kept = Kept(work / "results.jsonl")
    examiner = Examiner(boxed=can_box())
    limits = box.limits(examiner.boxed)
    started(sum(len(submission.answers) for submission in submissions), limits)
    seats: queue.SimpleQueue[int] = queue.SimpleQueue()
    for seat in range(SEATS):
        seats.put(seat)

    def examine(submission: Submission) -> Student:
        seat = seats.get()
        try:
            return grade_student(submission, work, seat, examiner, kept, done)
        finally:
            seats.put(seat)

    with ThreadPoolExecutor(SEATS) as pool:
        try:
            students = list(pool.map(examine, submissions))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            examiner.stop()
            raise
    return GradedClass(students, limits)


def grade_student(
    submission: Submission,
    work: Path,
    seat: int,
    examiner: Examiner,
    kept: Kept,
    done: Callable[[], None],
) -> Student:
    """Have what is not known yet checked."""
    exercises = {exercise.id: exercise for exercise in EXERCISES}
    keys = {
        name: key(exercises[name], path, examiner.boxed)
        for name, path in submission.answers.items()
    }
    results = {name: kept.results[keys[name]] for name in keys if keys[name] in kept.results}
    for _name in results:
        done()
    todo = [name for name in submission.answers if name not in results]
    for _time in range(TRIES):
        answers = {name: submission.answers[name] for name in todo}
        for name, result in examiner.check(answers, work, seat) if todo else ():
            results[name] = result
            kept.add(keys[name], result)
            done()
        todo = [name for name in todo if name not in results]
        todo = todo[1:] + todo[:1]  # what ended its proctor waits for the others
    readable = not submission.unreadable  # else nobody knows what is in there
    grades = [
        Grade(exercise, tuple(results[exercise.id][0]), results[exercise.id][1])
        if exercise.id in results
        else Grade(exercise, (), missing=exercise.id not in submission.answers and readable)
        for exercise in EXERCISES
    ]
    ungraded = ""
    if broken_off := _(", ").join(todo):
        ungraded = _("The checks broke off at {names}: grade again.").format(names=broken_off)
    return Student(
        submission.name, tuple(grades), submission.notes, submission.unreadable or ungraded
    )
