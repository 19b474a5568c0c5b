"""What is said of a grade, to its student and about it, in plain text.

What comes from students (names, what their apps said) is hostile until shown otherwise: `plain`
takes out what could act in a terminal, a page, XML or a mail.
"""

import re
import textwrap

from workbook.exercises import EXERCISES
from workbook.grades import Grade, GradedClass, Student
from workbook.language import _

ADVICE_CHARS = 3000  # of one check: enough for advice and a traceback

ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*.?"
)
# Control characters, those that turn the direction of what follows, half a pair, none at all.
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def plain(text: str) -> str:
    """Text that only says something: terminals' codes are left out, what is unsafe shows as �."""
    return UNSAFE.sub("\ufffd", ANSI.sub("", text).replace("\r\n", "\n"))


def one_line(text: str) -> str:
    return " ".join(plain(text).split())


def short(text: str, length: int) -> str:
    """The beginning and the end, where a traceback says what happened."""
    if len(text) <= length:
        return text
    left_out = _("… {count} characters are left out …").format(count=len(text) - length)
    return f"{text[: length * 2 // 3]}\n{left_out}\n{text[-length // 3 :]}"


def number(value: float) -> str:
    """Points, with two decimals at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def kind(grade: Grade) -> str:
    if grade.missing or not grade.outcomes:
        return "missing" if grade.missing else "unchecked"
    return "solved" if grade.solved else "partly" if grade.passed else "failed"


MARKS = {"solved": "✓", "partly": "◐", "failed": "✗", "missing": "–", "unchecked": "?"}


def legend() -> dict[str, str]:
    return {
        "solved": _("solved"),
        "partly": _("partly solved"),
        "failed": _("not solved yet"),
        "missing": _("not handed in"),
        "unchecked": _("could not be checked"),
    }


def advise(grade: Grade) -> dict[str, str]:
    """What to tell of each check that failed, by its name: the same only once, and one hint."""
    told: dict[str, str] = {}
    said: dict[str, str] = {}  # by the advice, the title of the check that first gave it
    for outcome in grade.outcomes:
        if outcome.passed:
            continue
        if outcome.advice in said:
            text = _("As above: {check}").format(check=said[outcome.advice])
        else:
            text = short(plain(outcome.advice).strip(), ADVICE_CHARS)
        if not told and outcome.hint:
            hints = grade.exercise.hints
            heading, _newline, body = hints[outcome.hint - 1].partition("\n")
            text += "\n\n" + _("Hint {number} of {count}: {text}").format(
                number=outcome.hint, count=len(hints), text=f"{heading}\n{body.strip()}"
            )
        said.setdefault(outcome.advice, outcome.title)
        told[outcome.check] = text
    return told


def explain(grade: Grade) -> str:
    """An exercise's checks, each with its mark, and what those that failed have seen."""
    told = advise(grade)
    lines = [one_line(grade.note)] if grade.note else []
    for outcome in grade.outcomes:
        lines.append(f"{MARKS['solved' if outcome.passed else 'failed']} {outcome.title}")
        if not outcome.passed:
            lines.append(textwrap.indent(told[outcome.check], "    ") + "\n")
    return "\n".join(lines).strip()


def has_text(grade: Grade) -> bool:
    """Whether there is more to explain than its mark."""
    return kind(grade) in ("partly", "failed") or bool(grade.note)


def passed(grade: Grade) -> str:
    if not grade.outcomes:
        return legend()[kind(grade)]
    count = len(grade.exercise.titles)
    return _("{passed} of {count} checks passed").format(passed=grade.passed, count=count)


def points(student: Student) -> str:
    if all(kind(grade) == "unchecked" for grade in student.grades):
        return legend()["unchecked"]  # and 0 points would say that something is known
    return _("{score} of {max} points, {solved} of {count} exercises solved").format(
        score=number(student.score),
        max=number(GradedClass.MAX_SCORE),
        solved=student.solved,
        count=len(EXERCISES),
    )


def names(student: Student, wanted: str) -> str:
    return _(", ").join(g.exercise.name for g in student.grades if kind(g) == wanted)


def notes(student: Student) -> list[str]:
    """What the instructor should know, the gravest first."""
    told = [_("not graded, or only in part: {why}").format(why=student.ungraded)]
    of_grades = [_(": ").join((g.exercise.id, g.note)) for g in student.grades if g.note]
    return [*(told if student.ungraded else []), *student.notes, *of_grades]


def feedback(student: Student) -> str:
    """A mail's text to the student: what is solved, and what to look at next."""
    parts = [_("Your exercises: {points}.").format(points=points(student))]
    if student.ungraded:
        why = one_line(student.ungraded)
        parts.append(_("Not everything could be graded, so this may change: {why}").format(why=why))
    if solved := names(student, "solved"):
        parts.append(_("Well done: {names}.").format(names=solved))
    if missing := names(student, "missing"):
        parts.append(_("Not handed in: {names}.").format(names=missing))
    if unchecked := names(student, "unchecked"):
        parts.append(_("Could not be checked: {names}.").format(names=unchecked))
    for grade in student.grades:
        if has_text(grade):
            heading = _(": ").join((f"{MARKS[kind(grade)]} {grade.exercise.id}", passed(grade)))
            parts.append(f"{heading}\n\n{textwrap.indent(explain(grade), '  ')}")
    if student.solved < len(EXERCISES):
        more = _(
            "To go on, change the file, then: workbook check NAME. More hints: workbook hint NAME."
        )
        parts.append(more)
    return "\n\n".join(parts) + "\n"
