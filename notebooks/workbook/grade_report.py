"""Write what grading found: for a spreadsheet, CI, Gradescope, the class and each student."""

import csv
import io
import json
import re
import statistics
import unicodedata
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from workbook import grade_text
from workbook.exercises import EXERCISES, Exercise
from workbook.grade_text import (
    MARKS,
    advise,
    feedback,
    kind,
    legend,
    notes,
    number,
    one_line,
    passed,
    plain,
    points,
)
from workbook.grades import GradedClass, Student
from workbook.language import _, language
from workbook.sections import SECTIONS

NAME_CHARS = 60  # of a folder, so that even four bytes for each stay below a file system's 255
RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(10))}
# Also in its wide and small forms, and behind what another locale's sheet takes for a separator.
FORMULA = re.compile("(^|[,;|\"'])( *)(?=[=+\\-@＝＋－＠﹦﹢﹣﹫−])")


def write_report(graded: GradedClass, out: Path) -> None:
    """Write all files below `out`, the page last, each whole or not at all.

    Raises OSError when one cannot be written, as on Windows while a spreadsheet has it open.
    """
    folders = folder_names([student.name for student in graded.students])
    for student, folder in zip(graded.students, folders, strict=True):
        write(out / "students" / folder / "results.json", gradescope(student))
        write(out / "students" / folder / "feedback.txt", feedback(student))
    write(out / "grades.csv", grades_csv(graded, folders))
    write(out / "junit.xml", junit(graded))
    write(out / "report.html", page(graded, folders))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(text, encoding="utf-8", newline="")
    new.replace(path)


def folder_names(names: Iterable[str]) -> list[str]:
    """A folder's name for each, safe and different on every system, also where case is ignored."""
    taken: set[str] = set()
    folders = []
    for name in names:
        letters = unicodedata.normalize("NFKC", plain(name))
        kept = (c if unicodedata.category(c)[0] in "LMN" or c in "-_." else "_" for c in letters)
        stem = "".join(kept).strip("-_. ")[:NAME_CHARS].rstrip("-_. ") or "student"
        if stem.partition(".")[0].casefold() in RESERVED:
            stem = f"_{stem}"
        folder, number = stem, 1
        while folder.casefold() in taken:
            number += 1
            folder = f"{stem}-{number}"
        taken.add(folder.casefold())
        folders.append(folder)
    return folders


# ── The files ────────────────────────────────────────────────────────────────────────────────


def cell(text: str) -> str:
    """One line that no spreadsheet takes for a formula: an apostrophe stands before it.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    return FORMULA.sub(r"\1\2'", one_line(text))


def grades_csv(graded: GradedClass, folders: list[str]) -> str:
    """A row for each student. What is not known is empty: no total where something is ungraded."""
    rows = io.StringIO()
    writer = csv.writer(rows)
    writer.writerow(["name", "total", "max", *(e.id for e in EXERCISES), "notes", "folder"])
    for student, folder in zip(graded.students, folders, strict=True):
        unsure = bool(student.ungraded)
        scores = [
            "" if unsure and kind(g) == "unchecked" else number(g.score) for g in student.grades
        ]
        total = "" if unsure else number(student.score)
        row = [cell(student.name), total, number(GradedClass.MAX_SCORE), *scores]
        writer.writerow([*row, cell(_("; ").join(notes(student))), cell(folder)])
    return "\ufeff" + rows.getvalue()  # by this mark Excel knows UTF-8


def gradescope(student: Student) -> str:
    """The `results.json` that Gradescope reads, with a test for each check.

    https://gradescope-autograders.readthedocs.io/en/latest/specs/
    """
    tests: list[dict[str, Any]] = []
    for grade in student.grades:
        told = advise(grade)
        passing = {outcome.check for outcome in grade.outcomes if outcome.passed}
        worth = round(1 / len(grade.exercise.titles), 4)
        for count, (check, title) in enumerate(grade.exercise.titles.items(), 1):
            test = {
                "name": _(": ").join((grade.exercise.id, title)),
                "number": f"{place(grade.exercise)}.{count}",
                "score": worth if check in passing else 0,
                "max_score": worth,
                "status": "passed" if check in passing else "failed",
                "visibility": "visible",
            }
            if check not in passing:
                test["output"] = told.get(check) or one_line(grade.note) or passed(grade)
                test["output_format"] = "text"
            tests.append(test)
    output = points(student)
    if student.ungraded:
        output += "\n" + _("Not everything could be graded: {why}").format(why=student.ungraded)
    results = {
        "score": round(student.score, 4),
        "output": plain(output),
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": tests,
    }
    return json.dumps(results, indent=1, ensure_ascii=False) + "\n"


def place(exercise: Exercise) -> str:
    """Its section and its place there: "3.2"."""
    section = next(s for s in SECTIONS if s.stem == exercise.section)
    return f"{SECTIONS.index(section) + 1}.{section.exercises.index(exercise.name) + 1}"


def junit(graded: GradedClass) -> str:
    """A suite for each student, a case for each check. What was not handed in is skipped."""
    root = ET.Element("testsuites", name="workbook")
    totals: Counter[str] = Counter()
    for student in graded.students:
        suite = ET.SubElement(root, "testsuite", name=one_line(student.name))
        counts: Counter[str] = Counter()
        for grade in student.grades:
            told = advise(grade)
            done = {outcome.check for outcome in grade.outcomes}
            for check, title in grade.exercise.titles.items():
                group = grade.exercise.id.replace("/", ".")
                case = ET.SubElement(suite, "testcase", classname=group, name=check)
                counts["tests"] += 1
                if check in told:
                    counts["failures"] += 1
                    ET.SubElement(case, "failure", message=title).text = told[check]
                elif check not in done:
                    result = "skipped" if grade.missing else "error"
                    counts["skipped" if grade.missing else "errors"] += 1
                    why = one_line(grade.note or student.ungraded) or legend()[kind(grade)]
                    ET.SubElement(case, result, message=why)
        set_counts(suite, counts)
        totals += counts
    set_counts(root, totals)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def set_counts(element: ET.Element, counts: Counter[str]) -> None:
    for name in ("tests", "failures", "errors", "skipped"):
        element.set(name, str(counts[name]))


# ── The page ─────────────────────────────────────────────────────────────────────────────────


@dataclass
class Misconception:
    """A check that failed with one hint, and whom; `example` is what one of them made it see."""

    exercise: Exercise
    check: str
    hint: str
    example: str
    of: int  # students whose answer could be checked
    students: list[int] = field(default_factory=list)


def misconceptions(graded: GradedClass) -> list[Misconception]:
    """The most common first. Of checks that saw the same in an answer, the first one counts."""
    found: dict[tuple[str, str, int | None], Misconception] = {}
    for at, exercise in enumerate(EXERCISES):
        checked = [n for n, s in enumerate(graded.students) if s.grades[at].outcomes]
        for n in checked:
            seen: set[str] = set()
            for outcome in graded.students[n].grades[at].outcomes:
                if outcome.passed or outcome.advice in seen:
                    continue
                seen.add(outcome.advice)
                hint = exercise.hints[outcome.hint - 1].partition("\n")[0] if outcome.hint else ""
                seen_line = rf"^{re.escape(_('seen:'))} *(.*)"
                line = re.search(seen_line, plain(outcome.advice), re.MULTILINE)
                example = line[1] if line else plain(outcome.advice).partition("\n")[0]
                key = (exercise.id, outcome.check, outcome.hint)
                new = Misconception(exercise, outcome.title, hint, example, len(checked))
                found.setdefault(key, new).students.append(n)
    return sorted(found.values(), key=lambda m: -len(m.students))


def page(graded: GradedClass, folders: list[str]) -> str:
    """One file that needs no network and runs no script."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: plain(value) if type(value) is str else value,  # not Markup
    )
    by_exercise = [
        Counter(kind(student.grades[at]) for student in graded.students)
        for at in range(len(EXERCISES))
    ]
    scores = [student.score for student in graded.students if not student.ungraded]
    return environment.get_template("report.html.jinja").render(
        _=_,
        language=language(),
        text=grade_text,
        graded=graded,
        numbered=list(enumerate(graded.students, 1)),
        folders=folders,
        sections=SECTIONS,
        exercises=list(zip(EXERCISES, by_exercise, strict=True)),
        misconceptions=misconceptions(graded),
        median=number(statistics.median(scores)) if scores else "–",
        marks=MARKS,
        legend=legend(),
    )
