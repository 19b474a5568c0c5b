"""Check exercises and show what was found, in a terminal or a notebook."""

import os
import sys
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.markdown import Markdown
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from workbook.exercises import Exercise, find_exercises
from workbook.progress import remember
from workbook.runner import Report, run_all


def mark(solved: bool) -> Text:
    return Text("✓", style="green") if solved else Text("✗", style="red")


def render(report: Report) -> RenderableType:
    """An exercise's checks, and advice for each that failed."""
    table = Table.grid(padding=(0, 1))
    for outcome in report.outcomes:
        table.add_row(mark(outcome.passed), outcome.title)
    advice: list[RenderableType] = [
        Panel(Text(outcome.advice), title=Text(outcome.title), title_align="left")
        for outcome in report.outcomes
        if not outcome.passed
    ]
    passed = sum(outcome.passed for outcome in report.outcomes)
    count = f"{passed} of {len(report.outcomes)} checks"
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
        console.print(f"{solved} of {len(reports)} solved")
    return all(report.solved for report in reports)


def hint(exercise: Exercise, number: int) -> RenderableType:
    title = f"{exercise.name}: hint {number} of {len(exercise.hints)}"
    return Panel(Markdown("### " + exercise.hints[number - 1]), title=title, title_align="left")


def check(name: str) -> None:
    """Check an exercise from a notebook: `check("06_lifespan/one_client")`, or a section's.

    Raises LookupError, with the nearest names, for one that isn't there.
    """
    check_exercises(find_exercises(name))


def use_utf8() -> None:
    """Let Windows print ✓ where its output is redirected."""
    if os.name == "nt":
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
