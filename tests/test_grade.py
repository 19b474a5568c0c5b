"""`workbook grade`: a small class, whole, interrupted, and with what cannot be read."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from conftest import assert_gone
from waiting import until
from workbook import ROOT, box
from workbook.exercises import find_exercises

NAMES = ("no_globals", "frame", "safe_names")  # their checks wait for little
EXERCISES = [found for name in NAMES for found in find_exercises(name)]


def hand_in(folder: Path) -> Path:
    """A class of three: all solved, nothing changed, and one that is wrong in one way."""
    for student in ("Ana Ng", "王小明", "=cmd()"):
        (folder / student).mkdir(parents=True)
    for exercise in EXERCISES:
        shutil.copy(exercise.solution, folder / "Ana Ng")
        shutil.copy(exercise.file, folder / "王小明")
    wrong = ROOT / "tests" / "answers" / "05_sse" / "frame" / "wrong_json.py"
    shutil.copy(wrong, folder / "=cmd()" / "frame.py")
    return folder


def start(folder: Path, out: Path, **env: str) -> subprocess.Popen[str]:
    def hear_sigint() -> None:  # a shell that starts the tests in the background ignores it
        signal.signal(signal.SIGINT, signal.default_int_handler)

    return subprocess.Popen(
        [sys.executable, "-m", "workbook", "grade", str(folder), "--out", out.name],
        cwd=out.parent,  # as README has it: a path from where we are
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        preexec_fn=hear_sigint if os.name == "posix" else None,
    )


def grade(folder: Path, out: Path, **env: str) -> tuple[int, str]:
    process = start(folder, out, **env)
    printed, _ = process.communicate(timeout=200)
    return process.returncode, printed


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def kept(out: Path) -> list[str]:
    file = out / ".work" / "results.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [json.loads(line)["key"] for line in lines]


def descendants(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small class, graded without a stop."""
    folder = tmp_path_factory.mktemp("whole")
    code, printed = grade(hand_in(folder / "class"), folder / "graded")
    assert code == 0, printed
    return folder


def test_each_check_that_passes_counts(whole: Path) -> None:
    graded = rows(whole / "graded")
    assert graded["Ana Ng"]["total"] == "3"
    assert 0 < float(graded["王小明"]["total"]) < 2
    assert float(graded["'=cmd()"]["total"]) < 1
    assert {"report.html", "grades.csv", "junit.xml", "students"} <= {
        path.name for path in (whole / "graded").iterdir()
    }


def test_nobody_is_graded_twice(whole: Path) -> None:
    before = kept(whole / "graded")
    assert len(before) == len(set(before)) == 7
    table = (whole / "graded" / "grades.csv").read_bytes()
    assert grade(whole / "class", whole / "graded")[0] == 0
    assert kept(whole / "graded") == before
    assert (whole / "graded" / "grades.csv").read_bytes() == table


@pytest.fixture(params=["SIGINT", "SIGTERM", "SIGKILL"])
def stopped(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The small class, whose grading was stopped in the middle."""
    process = start(hand_in(tmp_path / "class"), tmp_path / "graded")
    until(lambda: kept(tmp_path / "graded"), 60)
    running = descendants(process)
    process.send_signal(getattr(signal, request.param))
    printed, _ = process.communicate(timeout=30)
    if request.param == "SIGINT":
        assert process.returncode == 130
        assert "goes on from here" in printed
    assert_gone(running)
    return tmp_path


@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
def test_what_was_stopped_goes_on_and_ends_alike(stopped: Path, whole: Path) -> None:
    before = kept(stopped / "graded")
    assert 0 < len(before) < 7
    assert grade(stopped / "class", stopped / "graded")[0] == 0
    after = kept(stopped / "graded")
    assert after[: len(before)] == before
    assert len(after) == len(set(after)) == 7
    assert rows(stopped / "graded") == rows(whole / "graded")
    assert not list((stopped / "graded" / ".work").glob("seat-*"))


def test_what_cannot_be_read_is_named_and_the_rest_is_graded(tmp_path: Path) -> None:
    (tmp_path / "class" / "Bo").mkdir(parents=True)
    shutil.copy(EXERCISES[0].solution, tmp_path / "class" / "Bo")
    (tmp_path / "class" / "Cy.zip").write_bytes(b"PK\x03\x04 and no more")
    code, printed = grade(tmp_path / "class", tmp_path / "graded")
    assert code == 1
    assert "Cy" in printed
    assert rows(tmp_path / "graded")["Bo"]["total"] == "1"
    assert rows(tmp_path / "graded")["Cy"]["total"] == ""
    feedback = (tmp_path / "graded" / "students" / "Cy" / "feedback.txt").read_text("utf-8")
    assert "Not everything could be graded" in feedback
    assert "Not handed in" not in feedback  # something was: nobody knows what
    assert "points" not in feedback


def test_without_a_box_it_grades_and_says_what_it_could_not_prevent(tmp_path: Path) -> None:
    (tmp_path / "class" / "Bo").mkdir(parents=True)
    shutil.copy(EXERCISES[0].solution, tmp_path / "class" / "Bo")
    (tmp_path / "nothing").mkdir()
    code, printed = grade(tmp_path / "class", tmp_path / "graded", PATH=str(tmp_path / "nothing"))
    assert code == 0, printed
    assert "cannot be enforced" in printed
    assert rows(tmp_path / "graded")["Bo"]["total"] == "1"
    page = (tmp_path / "graded" / "report.html").read_text(encoding="utf-8")
    assert "install bubblewrap" in page


def test_what_only_a_box_prevents_is_not_said_to_be_prevented_without() -> None:
    """A process that leaves its parents is seen by nobody who looks at children."""
    held = {limit.what for limit in box.limits(boxed=False) if limit.held}
    assert held <= {
        "Using more than 60 s of processor time",
        "Running on for ever",
    }
    assert all(limit.held for limit in box.limits(boxed=True)) == (os.name == "posix")


def test_no_class_is_no_pass(tmp_path: Path) -> None:
    assert grade(tmp_path / "nowhere", tmp_path / "graded")[0] == 2
    (tmp_path / "class").mkdir()
    code, printed = grade(tmp_path / "class", tmp_path / "graded")
    assert code == 1
    assert "There is no student's folder or zip" in printed
