"""Grade a class: several students at once. Stopped at any time, it goes on from there."""

import hashlib
import json
import os
import queue
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from workbook import box
from workbook.examine import Examiner, Result, can_box
from workbook.exercises import EXERCISES, Exercise
from workbook.grades import Grade, GradedClass, Student
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
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
            try:
                fields = json.loads(line)
            except ValueError:  # half a line: we were stopped while we wrote it
                continue
            outcomes = [Outcome(**each) for each in fields["outcomes"]]
            self.results[fields["key"]] = outcomes, fields["reason"]

    def add(self, key: str, result: Result) -> None:
        outcomes, reason = result
        line = {"key": key, "outcomes": [asdict(each) for each in outcomes], "reason": reason}
        with self.lock, self.file.open("a", encoding="utf-8") as file:
            self.results[key] = result
            file.write(json.dumps(line) + "\n")


def key(exercise: Exercise, answer: Path) -> str:
    """Changes when the answer does, or what checks it."""
    digest = hashlib.sha256()
    for file in (answer, exercise.checks, PACKAGE / "checking.py"):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return f"{exercise.id} {digest.hexdigest()}"


def grade(
    folder: Path,
    out: Path,
    started: Callable[[int], None] = lambda answers: None,
    done: Callable[[], None] = lambda: None,
) -> GradedClass:
    """Grade the submissions in a folder, or go on with it; `out` holds what is known so far.

    `started` is called with the number of answers, `done` for each when its grade is known.
    Raises OSError when `folder` cannot be read or `out` not be written.
    """
    work = out / WORK
    shutil.rmtree(work / "answers", ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    submissions = read_submissions(folder, work / "answers")
    started(sum(len(submission.answers) for submission in submissions))
    kept = Kept(work / "results.jsonl")
    examiner = Examiner(boxed=can_box())
    seats: queue.SimpleQueue[int] = queue.SimpleQueue()
    for seat in range(SEATS):
        seats.put(seat)

    def examine(submission: Submission) -> Student:
        seat = seats.get()
        try:
            return grade_student(submission, work / f"seat-{seat}", seat, examiner, kept, done)
        finally:
            seats.put(seat)

    with ThreadPoolExecutor(SEATS) as pool:
        try:
            students = list(pool.map(examine, submissions))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            examiner.stop()
            raise
    return GradedClass(students, box.limits(examiner.boxed))


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
    keys = {name: key(exercises[name], path) for name, path in submission.answers.items()}
    results = {name: kept.results[keys[name]] for name in keys if keys[name] in kept.results}
    for _ in results:
        done()
    todo = [name for name in submission.answers if name not in results]
    for _ in range(TRIES):
        answers = {name: submission.answers[name] for name in todo}
        for name, result in examiner.check(answers, work, seat) if todo else ():
            results[name] = result
            kept.add(keys[name], result)
            done()
        todo = [name for name in todo if name not in results]
        todo = todo[1:] + todo[:1]  # what ended its proctor waits for the others
    grades = [
        Grade(exercise, tuple(results[exercise.id][0]), results[exercise.id][1])
        if exercise.id in results
        else Grade(exercise, (), missing=exercise.id not in submission.answers)
        for exercise in EXERCISES
    ]
    broken_off = ", ".join(todo)
    ungraded = broken_off and f"The checks broke off at {broken_off}: grade again."
    return Student(
        submission.name, tuple(grades), submission.notes, submission.unreadable or ungraded
    )
