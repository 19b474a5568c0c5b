"""What grading writes: each file read by what it is for, with names and texts that are hostile."""

import csv
import json
import re
from collections import Counter
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest
from junitparser import Error, Failure, JUnitXml, Skipped

from graded_class import GRADED, fail, school_class, solved
from workbook.exercises import EXERCISES, find_exercises
from workbook.grade_report import folder_names, misconceptions, write, write_report
from workbook.grade_text import feedback
from workbook.grades import Grade, GradedClass, Student
from workbook.runner import Outcome


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("graded")
    write_report(GRADED, out)
    return out


@pytest.fixture(scope="module")
def folders() -> list[str]:
    return folder_names([student.name for student in GRADED.students])


# ── Folders and files ────────────────────────────────────────────────────────────────────────


def test_each_student_has_a_folder_of_a_safe_name_and_nothing_else_is_written(
    out: Path, folders: list[str]
) -> None:
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert files == {"grades.csv", "junit.xml", "report.html"} | {
        f"students/{folder}/{name}"
        for folder in folders
        for name in ("feedback.txt", "results.json")
    }
    assert len({folder.casefold() for folder in folders}) == len(GRADED.students)
    reserved = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
    for folder in folders:
        assert re.fullmatch(r"[^\s/\\:*?\"<>|.-][^\s/\\:*?\"<>|]*(?<![.-])", folder)
        assert not reserved.fullmatch(folder)
        assert len(folder.encode()) < 255
    assert "王伟" in folders


def test_the_same_grades_give_the_same_bytes_also_over_older_ones(
    out: Path, tmp_path: Path
) -> None:
    write_report(school_class(3), tmp_path)
    write_report(school_class(40), tmp_path)
    for path in out.rglob("*.*"):
        assert path.is_dir() or path.read_bytes() == (tmp_path / path.relative_to(out)).read_bytes()


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "grades.csv"
    write(path, "whole")
    with pytest.raises(UnicodeEncodeError):
        write(path, "x" * 100_000 + "\ud800")
    assert path.read_text(encoding="utf-8") == "whole"


def test_a_class_of_nobody_has_a_report(tmp_path: Path) -> None:
    write_report(GradedClass([]), tmp_path)
    assert "There is nothing to note." in (tmp_path / "report.html").read_text(encoding="utf-8")


# ── A spreadsheet ────────────────────────────────────────────────────────────────────────────


def test_no_cell_is_a_formula_whatever_separates_cells(out: Path) -> None:
    text = (out / "grades.csv").read_text(encoding="utf-8")
    with (out / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    cells += re.split(r"[;\t|\n]", text)  # as other locales' spreadsheets would
    assert not [c for c in cells if re.match(r"[\s\"]*[=+@＝＋－＠-]", c)]
    assert not re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\u202e]", text)


def test_the_grades_are_a_row_for_each_student_and_chinese_survives_excel(out: Path) -> None:
    raw = (out / "grades.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(raw.decode("utf-8-sig").splitlines()))
    assert len(rows) == len(GRADED.students)
    assert set(rows[0]) == {"name", "total", "max", "notes", "folder", *(e.id for e in EXERCISES)}
    for row, student in zip(rows, GRADED.students, strict=True):
        if student.ungraded:
            assert row["total"] == "", "what is not known is no 0"
            assert student.ungraded in row["notes"]
            continue
        assert float(row["total"]) == pytest.approx(student.score, abs=0.005)
        for grade in student.grades:
            assert float(row[grade.exercise.id]) == pytest.approx(grade.score, abs=0.005)
    assert [row["name"] for row in rows][-18:][:2] == ["王伟", "王芳"]


# ── Gradescope ───────────────────────────────────────────────────────────────────────────────

VISIBILITY = {"enum": ["hidden", "after_due_date", "after_published", "visible"]}
FORMAT = {"enum": ["text", "html", "simple_format", "md", "ansi"]}
RESULTS = {  # https://gradescope-autograders.readthedocs.io/en/latest/specs/
    "type": "object",
    "additionalProperties": False,
    "required": ["score", "tests"],
    "properties": {
        "score": {"type": "number", "minimum": 0, "maximum": len(EXERCISES)},
        "execution_time": {"type": "number", "minimum": 0},
        "output": {"type": "string"},
        "output_format": FORMAT,
        "test_output_format": FORMAT,
        "test_name_format": FORMAT,
        "visibility": VISIBILITY,
        "stdout_visibility": VISIBILITY,
        "extra_data": {"type": "object"},
        "leaderboard": {"type": "array"},
        "tests": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "score", "max_score", "status"],
                "properties": {
                    "score": {"type": "number", "minimum": 0},
                    "max_score": {"type": "number", "exclusiveMinimum": 0},
                    "status": {"enum": ["passed", "failed"]},
                    "name": {"type": "string", "minLength": 1},
                    "name_format": FORMAT,
                    "number": {"type": "string", "pattern": r"^\d+(\.\d+)*$"},
                    "output": {"type": "string", "minLength": 1},
                    "output_format": FORMAT,
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "visibility": VISIBILITY,
                    "extra_data": {"type": "object"},
                },
            },
        },
    },
}


def test_results_are_what_gradescope_documents(out: Path, folders: list[str]) -> None:
    checks = [(exercise, check) for exercise in EXERCISES for check in exercise.titles]
    for student, folder in zip(GRADED.students, folders, strict=True):
        text = (out / "students" / folder / "results.json").read_text(encoding="utf-8")
        results = json.loads(text)
        jsonschema.validate(results, RESULTS)
        tests = results["tests"]
        assert len(tests) == len(checks)
        assert results["score"] == pytest.approx(student.score, abs=1e-3)
        assert sum(test["score"] for test in tests) == pytest.approx(student.score, abs=0.01)
        assert sum(test["max_score"] for test in tests) == pytest.approx(len(EXERCISES), abs=0.01)
        for test in tests:
            assert (test["status"] == "passed") == (test["score"] == test["max_score"])
            assert test["status"] == "passed" or test["output"]
        if student.ungraded:
            assert student.ungraded in results["output"]


# ── JUnit ────────────────────────────────────────────────────────────────────────────────────


def test_junit_tells_failed_from_not_handed_in_and_not_checked(out: Path) -> None:
    suites = list(JUnitXml.fromfile(str(out / "junit.xml")))
    assert len(suites) == len(GRADED.students)
    for suite, student in zip(suites, GRADED.students, strict=True):
        found: dict[str, str] = {}
        for case in suite:
            kinds = [type(result) for result in case.result]
            found[f"{case.classname}.{case.name}"] = kinds[0].__name__ if kinds else "passed"
        expected: dict[str, str] = {}
        for grade in student.grades:
            outcomes = {outcome.check: outcome.passed for outcome in grade.outcomes}
            nothing = Skipped if grade.missing else Error
            for check in grade.exercise.titles:
                passed = outcomes.get(check)
                kind = nothing.__name__ if passed is None else "passed" if passed else "Failure"
                expected[f"{grade.exercise.id.replace('/', '.')}.{check}"] = kind
        assert found == expected
        counts = Counter(found.values())
        assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (
            len(found),
            counts["Failure"],
            counts["Error"],
            counts["Skipped"],
        )
    texts = [
        r.text for suite in suites for case in suite for r in case.result if type(r) is Failure
    ]
    assert all("expected:" in text or text.startswith("As above") for text in texts)
    assert any("Hint 1 of" in text for text in texts)


# ── What a student reads ─────────────────────────────────────────────────────────────────────

(UNBLOCK,) = find_exercises("unblock")
(GATHER,) = find_exercises("gather")


def test_feedback_says_what_was_seen_once_and_gives_one_hint(out: Path, folders: list[str]) -> None:
    first, second, third = UNBLOCK.titles
    grades = (
        Grade(
            UNBLOCK,
            (
                fail(UNBLOCK, first, 2, "\x1b[1mone after another"),
                fail(UNBLOCK, second, 3, "\x1b[1mone after another"),
                Outcome(third, UNBLOCK.titles[third], passed=True),
            ),
        ),
        solved(GATHER),
        *(Grade(exercise, (), missing=True) for exercise in EXERCISES[2:]),
    )
    text = feedback(Student("Ann", grades, notes=("for the instructor only",)))
    assert "Your exercises: 1.33 of 18 points, 1 of 18 exercises solved." in text
    assert "Well done: gather." in text
    assert "Not handed in: crunch, respond_first" in text
    assert "◐ 01_async_vs_def/unblock: 1 of 3 checks passed" in text
    assert f"✓ {UNBLOCK.titles[third]}" in text
    assert text.count("seen:     one after another\n") == 1
    assert f"As above: {UNBLOCK.titles[first]}" in text
    assert re.findall(r"Hint (\d) of \d: (.*)", text) == [("2", UNBLOCK.hints[1].splitlines()[0])]
    assert "instructor" not in text
    for folder in folders:
        sent = (out / "students" / folder / "feedback.txt").read_text(encoding="utf-8")
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", sent)


def test_feedback_of_a_flood_stays_short() -> None:
    flood = Outcome("test_x", "x", passed=False, advice="begin " + "x" * 10_000_000 + " the end")
    grades = (Grade(UNBLOCK, (flood,)), *map(solved, EXERCISES[1:]))
    text = feedback(Student("Ann", grades))
    assert len(text) < 5000
    assert "begin" in text
    assert "the end" in text


def test_feedback_of_who_solved_all_asks_for_nothing_more() -> None:
    text = feedback(Student("Ann", tuple(map(solved, EXERCISES))))
    assert "18 of 18 points" in text
    assert "workbook" not in text


def test_the_most_common_misconception_comes_first() -> None:
    check, other, _ = UNBLOCK.titles
    rest = tuple(Grade(exercise, (), missing=True) for exercise in EXERCISES[1:])

    def student(*outcomes: Outcome) -> Student:
        return Student("Ann", (Grade(UNBLOCK, outcomes, missing=not outcomes), *rest))

    graded = GradedClass(
        [
            student(fail(UNBLOCK, check, 1, "a")),
            student(fail(UNBLOCK, check, 2, "b"), fail(UNBLOCK, other, 2, "b")),
            student(fail(UNBLOCK, check, 2, "c"), fail(UNBLOCK, other, 1, "d")),
            student(),
        ]
    )
    found = [(m.check, m.hint, m.example, m.students, m.of) for m in misconceptions(graded)]
    hints = [hint.splitlines()[0] for hint in UNBLOCK.hints]
    assert found == [
        (UNBLOCK.titles[check], hints[1], "b", [1, 2], 3),
        (UNBLOCK.titles[check], hints[0], "a", [0], 3),
        (UNBLOCK.titles[other], hints[0], "d", [2], 3),
    ]
