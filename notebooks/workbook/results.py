"""Check exercises and show what was found, in a terminal or a notebook."""

import os
import re
import sys
from pathlib import Path

from rich import _wrap
from rich.console import Console, Group, RenderableType
from rich.markdown import Markdown
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from workbook.exercises import Exercise, find_exercises
from workbook.language import _, language
from workbook.progress import remember
from workbook.runner import Report, run_all

OPENING, CLOSING = "（“‘《", "，。、；：！？）”’》…"
HAN = "\u3400-\u9fff"
# What a line of Chinese may break before and after, with what has to stay beside it.
WORD = re.compile(
    rf"\s*(?:[{OPENING}]*(?:`[^`]+`|[{HAN}]|`|[^\s`{HAN}{OPENING}{CLOSING}]+)[{CLOSING}]*"
    rf"|[{OPENING}{CLOSING}]+)\s*"
)


def mark(solved: bool) -> Text:
    return Text("✓", style="green") if solved else Text("✗", style="red")


def render(report: Report) -> RenderableType:
    """An exercise's checks, what each that failed has seen, and a hint for the first of them."""
    table = Table.grid(padding=(0, 1))
    advice: list[RenderableType] = []
    told: dict[str, str] = {}  # by what was seen, the check that told it
    for outcome in report.outcomes:
        table.add_row(mark(outcome.passed), outcome.title)
        if outcome.passed:
            continue
        parts: list[RenderableType] = [Text(outcome.title, style="bold")]
        if outcome.advice in told:
            parts += [Text(_("As above: {check}").format(check=told[outcome.advice]))]
        else:
            parts += [Text(outcome.advice)]
        if not told and outcome.hint:
            parts += [Text(), hint_text(report.exercise, outcome.hint)]
        told.setdefault(outcome.advice, outcome.title)
        advice.append(Panel(Group(*parts)))
    if advice:
        advice.append(Text(_("More: workbook hint {name}").format(name=report.exercise.name)))
    passed = sum(outcome.passed for outcome in report.outcomes)
    count = _("{passed} of {count} checks").format(passed=passed, count=len(report.outcomes))
    heading = Text.assemble(mark(report.solved), " ", (report.exercise.id, "bold"), f"  {count}")
    return Group(heading, table, *advice)


def check_exercises(
    exercises: list[Exercise], answer: Path | None = None, console: Console | None = None
) -> bool:
    """Check them all, print each result as it comes, and say whether all are solved."""
    console = console or Console()

    def show(report: Report) -> None:
        remember(report)
        console.print(render(report))
        console.print()

    reports = run_all([(exercise, answer) for exercise in exercises], show)
    if len(reports) > 1:
        solved = sum(report.solved for report in reports)
        console.print(_("{solved} of {count} solved").format(solved=solved, count=len(reports)))
    return all(report.solved for report in reports)


def task(exercise: Exercise) -> RenderableType:
    """Raises LookupError when the file has lost it."""
    return Panel(Markdown(exercise.task), title=exercise.name, title_align="left")


def hint(exercise: Exercise, number: int) -> RenderableType:
    return Panel(hint_text(exercise, number), title=exercise.name, title_align="left")


def hint_text(exercise: Exercise, number: int) -> RenderableType:
    heading, _newline, text = exercise.hints[number - 1].partition("\n")
    first_line = _("hint {number} of {count}: {heading}").format(
        number=number, count=len(exercise.hints), heading=heading
    )
    return Group(Text(first_line, style="bold"), Markdown(text))


def check(name: str) -> None:
    """Check an exercise from a notebook: `check("06_lifespan/one_client")`, or a section's.

    Raises LookupError, with the nearest names, for one that isn't there.
    """
    wrap_chinese()
    check_exercises(find_exercises(name))


def wrap_chinese() -> None:
    """Where the reader's language is Chinese, let rich break lines between its characters, too.

    It only does so at spaces, of which Chinese has few, and has no setting for it.
    """
    if language() == "zh":
        _wrap.re_word = WORD


def use_utf8() -> None:
    """Let Windows print ✓ where its output is redirected."""
    if os.name == "nt":
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
