"""The exercises' checks bite: right answers pass, wrong ones fail where and as they should."""

import ast
import re
from pathlib import Path

import pytest

from workbook import ROOT, SECTIONS
from workbook.exercises import EXERCISES, Exercise
from workbook.runner import Report, run_all

ANSWERS = ROOT / "tests" / "answers"
CLAIM = re.compile(r"# Wrong: (?P<what>.+) Fails: (?P<check>test_\w+)\. Hint: (?P<hint>\d)\.")


def answers(exercise: Exercise, kind: str) -> list[Path]:
    return sorted((ANSWERS / exercise.section / exercise.name).glob(f"{kind}_*.py"))


def claim(wrong: Path) -> re.Match[str]:
    """What its first line says: the misconception, the check that must fail, and the hint."""
    first_line = wrong.read_text(encoding="utf-8").partition("\n")[0]
    found = CLAIM.fullmatch(first_line)
    assert found, f"{wrong.name}: {first_line}"
    return found


def told(report: Report) -> str:
    """What a run found, for who has to mend a check."""
    lines = [
        f"{outcome.check}: {'passed' if outcome.passed else outcome.advice}"
        for outcome in report.outcomes
    ]
    return "\n".join([str(report.answer.relative_to(ROOT)), *lines])


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.id)
def test_right_answers_pass_and_wrong_ones_fail_where_they_say(exercise: Exercise) -> None:
    right = [exercise.solution, *answers(exercise, "right")]
    wrong = answers(exercise, "wrong")
    assert len(right) >= 3
    assert len(wrong) >= 3
    claims = {path: claim(path) for path in wrong}
    jobs: list[tuple[Exercise, Path, *tuple[str, ...]]]
    jobs = [(exercise, path) for path in (exercise.file, *right)]
    jobs += [(exercise, path, claims[path]["check"]) for path in wrong]
    reports = {report.answer: report for report in run_all(jobs)}

    assert not reports[exercise.file].solved, "the starter passes"
    for path in right:
        assert reports[path].solved, told(reports[path])
    for path in wrong:
        [outcome] = reports[path].outcomes
        assert not outcome.passed, told(reports[path])
        assert outcome.hint == int(claims[path]["hint"]), told(reports[path])
    claimed = {each["check"] for each in claims.values()}
    assert claimed == set(exercise.titles), "a check that no wrong answer is for"


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.id)
def test_an_exercise_is_complete(exercise: Exercise) -> None:
    starter = exercise.file.read_text(encoding="utf-8")
    task = ast.get_docstring(ast.parse(starter))
    assert task
    assert task.splitlines()[0].endswith(".")  # the symptom, in a sentence
    assert task.endswith(f"Check it: workbook check {exercise.name}")
    assert starter.count("TODO") == 1
    assert "TODO" not in exercise.solution.read_text(encoding="utf-8")
    assert 3 <= len(exercise.hints) <= 5
    assert all(len(hint) > 40 for hint in exercise.hints)
    for named in re.findall(r"hint=(\d+)", exercise.checks.read_text(encoding="utf-8")):
        assert 1 <= int(named) <= len(exercise.hints)
    for path in answers(exercise, "right"):
        assert path.read_text(encoding="utf-8").startswith("# Right: ")


def test_no_file_is_astray() -> None:
    names = {section.stem: set(section.exercises) for section in SECTIONS}
    expected = {e.file for e in EXERCISES} | {e.checks for e in EXERCISES}
    expected |= {e.file.with_suffix(end) for e in EXERCISES for end in (".md", ".zh.md")}
    assert set((ROOT / "exercises").glob("*/*.*")) == expected
    assert set((ROOT / "solutions").rglob("*.py")) == {e.solution for e in EXERCISES}
    for path in ANSWERS.rglob("*.py"):
        section, name = path.relative_to(ANSWERS).parts[:2]
        assert name in names[section]
        assert path.name.startswith(("right_", "wrong_"))
