"""A class to grade, of the right, wrong and hostile answers that there are.

`python tests/school_class.py FOLDER 100` makes one of 100 students in FOLDER/class, grades it into
FOLDER/graded, and tells how long that took and which grades are not what they should be.
"""

import csv
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from workbook import ROOT
from workbook.exercises import EXERCISES, Exercise

ANSWERS = ROOT / "tests" / "answers"
HOSTILE = ROOT / "tests" / "hostile"
SURNAMES = ("王", "李", "Müller", "O'Neill", "=SUM(A1)", "Nguyễn", "陈")


def kinds(exercise: Exercise) -> dict[str, list[Path]]:
    """What people hand in, by what becomes of it."""
    folder = ANSWERS / exercise.section / exercise.name
    return {
        "right": [exercise.solution, *sorted(folder.glob("right_*.py"))],
        "wrong": sorted(folder.glob("wrong_*.py")),
        "starter": [exercise.file],
        "hostile": sorted(HOSTILE.glob("*.py")),
        "missing": [],
    }


def make_class(folder: Path, size: int, seed: int = 7) -> Iterator[tuple[str, Exercise, Path]]:
    """Write what each student hands in, and tell it: no file is the same as any other."""
    chance = random.Random(seed)
    for number in range(size):
        student = f"{SURNAMES[number % len(SURNAMES)]} {number:03}"
        (folder / student).mkdir(parents=True)
        for exercise in EXERCISES:
            # One in fifty is hostile: in a class of 100 that is a lot.
            kind = chance.choices(
                ["right", "wrong", "starter", "hostile", "missing"], [44, 34, 10, 2, 10]
            )[0]
            if not (answers := kinds(exercise)[kind]):
                continue
            source = chance.choice(answers)
            text = source.read_text(encoding="utf-8")
            if kind == "hostile":
                text += "\n" + exercise.file.read_text(encoding="utf-8")
            handed_in = folder / student / f"{exercise.name}.py"
            handed_in.write_text(f"{text}\n# handed in by {student}\n", encoding="utf-8")
            yield student, exercise, source


def surprises(out: Path, handed_in: list[tuple[str, Exercise, Path]]) -> list[str]:
    """The grades that are not what they should be."""
    with (out / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        folders = {row["name"].lstrip("'"): row["folder"] for row in csv.DictReader(file)}
    found = []
    for student, exercise, source in handed_in:
        results = out / "students" / folders[student] / "results.json"
        tests = json.loads(results.read_text(encoding="utf-8"))["tests"]
        passed = {
            check: any(
                exercise.name in t["name"] and title in t["name"] and t["status"] == "passed"
                for t in tests
            )
            for check, title in exercise.titles.items()
        }
        name = f"{student}: {exercise.name}, {source.name}: {passed}"
        first_line = source.read_text(encoding="utf-8").partition("\n")[0]
        if source.name.startswith("right_") or source == exercise.solution:
            if not all(passed.values()):
                found.append(name)
        elif source.name.startswith("wrong_"):
            if passed[first_line.partition("Fails: ")[2].partition(".")[0]]:
                found.append(name)
        elif all(passed.values()):
            found.append(name)
    return found


def main(folder: Path, size: int) -> None:
    handed_in = list(make_class(folder / "class", size))
    started = time.monotonic()
    command = [sys.executable, "-m", "workbook", "grade", str(folder / "class")]
    code = subprocess.run([*command, "--out", str(folder / "graded")]).returncode
    seconds = time.monotonic() - started
    print(f"{size} students, {len(handed_in)} answers: {seconds:.0f} s, exit code {code}")
    print(*surprises(folder / "graded", handed_in), sep="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
