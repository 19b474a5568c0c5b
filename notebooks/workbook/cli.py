"""The `workbook` command."""

import os
import sys
import time
import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from workbook.exercises import EXERCISES, Exercise, find_exercises
from workbook.progress import is_solved, next_hint
from workbook.results import check_exercises, use_utf8
from workbook.results import hint as render_hint
from workbook.sections import ROOT, SECTIONS, find_section
from workbook.server import ServerError, serve

app = typer.Typer(add_completion=False, rich_markup_mode="rich")
use_utf8()
console = Console()


def fail(message: object) -> typer.Exit:
    typer.secho(str(message), fg="red", err=True)
    return typer.Exit(2)


def find(names: list[str]) -> list[Exercise]:
    """The exercises that the names fit, in order; all where there is no name."""
    try:
        found = {e.id for name in names for e in find_exercises(name)}
    except LookupError as error:
        raise fail(error.args[0]) from None
    return [e for e in EXERCISES if not names or e.id in found]


@app.callback(invoke_without_command=True)
def sections(context: typer.Context) -> None:
    """A workbook for asynchronous FastAPI. Without a command: what there is and what is solved."""
    if context.invoked_subcommand:
        return
    table = Table("section", Column("exercises", no_wrap=True), box=None, pad_edge=False)
    for section in SECTIONS:
        exercises = [exercise for exercise in EXERCISES if exercise.section == section.stem]
        marks = [("✓ " if is_solved(e) else "· ") + e.name for e in exercises]
        table.add_row(section.stem, "  ".join(marks))
        table.add_row("", f"[dim]{section.question}[/]")
    console.print(table)
    console.print(
        "\n[bold]workbook lab[/] opens the notebooks, [bold]workbook run 01[/] starts an app, "
        "[bold]workbook check unblock[/] checks an exercise."
    )


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(context: typer.Context) -> None:
    """Open JupyterLab on the notebooks. Further options are JupyterLab's own."""
    options = [
        f"--notebook-dir={ROOT}",  # so that the notebooks' links to the apps work
        "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb",
        # A notebook whose browser tab was closed keeps its server alive: end it after a while.
        "--MappingKernelManager.cull_idle_timeout=600",
        "--log-level=WARN",  # leaves the address, which is what one looks for
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")  # JupyterLab refuses root otherwise; containers are root
    # The kernel of this environment, whatever kernels the user has installed elsewhere.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    # A terminal in JupyterLab finds `workbook`, `uvicorn` and `fastapi`, activated or not.
    os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    settings = str(ROOT / "notebooks" / "workbook" / "jupyter")
    paths = [settings, *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(paths)
    # Its import compiles a grammar that nothing here needs, for more than a second.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    from jupyterlab.labapp import LabApp  # type: ignore[import-untyped]

    LabApp.launch_instance([*options, *context.args])


@app.command()
def run(
    section: Annotated[str, typer.Argument(help="01, or any part of the name that fits only one")],
    port: Annotated[int, typer.Option(help="0: any free one")] = 8000,
    browser: Annotated[bool, typer.Option(help="open the app's page")] = True,
) -> None:
    """Start a section's app, show the line that does the same, and open its page."""
    try:
        stem = find_section(section).stem
        with serve(stem, port=port, echo=sys.stdout) as server:
            if browser:
                webbrowser.open(server.url)
            while server.process.poll() is None:
                time.sleep(0.1)  # Windows hears Ctrl-C between two of these, not in a wait()
        raise typer.Exit(1)  # it ended by itself; its log has said why
    except LookupError as error:
        raise fail(error.args[0]) from None
    except ServerError as error:
        raise fail(error) from None
    except KeyboardInterrupt:
        console.print("stopped")


Names = Annotated[
    list[str] | None, typer.Argument(help="unblock, 06/one, or 06 for all three of it")
]


@app.command()
def check(
    names: Names = None,
    answer: Annotated[Path | None, typer.Option(help="check this file instead of yours")] = None,
) -> None:
    """Check exercises, all without a name. Exit code 0: all solved; 1: not yet; 2: wrong usage."""
    exercises = find(names or [])
    if answer and (len(exercises) != 1 or not answer.is_file()):
        raise fail("--answer wants one exercise and a file that is there")
    raise typer.Exit(0 if check_exercises(exercises, answer, console) else 1)


@app.command()
def hint(
    name: Annotated[str, typer.Argument(help="the exercise")],
    number: Annotated[int, typer.Argument(help="which; without it, the next one")] = 0,
) -> None:
    """Show an exercise's next hint."""
    exercises = find([name])
    if len(exercises) != 1:
        raise fail(f"{name} is a section: which of {', '.join(e.name for e in exercises)}?")
    if not 0 <= number <= len(exercises[0].hints):
        raise fail(f"{exercises[0].name} has hints 1 to {len(exercises[0].hints)}")
    console.print(render_hint(exercises[0], number or next_hint(exercises[0])))


@app.command()
def watch(names: Names = None) -> None:
    """Check an exercise whenever you save it. Ctrl-C ends this."""
    import watchfiles

    exercises = find(names or [])
    folders = {exercise.file.parent for exercise in exercises}
    console.print(f"watching {len(exercises)} exercises: save one to check it, Ctrl-C to end")
    try:
        for changes in watchfiles.watch(*folders, raise_interrupt=True):
            changed = {Path(path) for _, path in changes}
            if saved := [e for e in exercises if e.file in changed and e.file.exists()]:
                check_exercises(saved, console=console)
    except KeyboardInterrupt:
        console.print("stopped")


@app.command()
def bundle(
    out: Annotated[Path, typer.Argument(metavar="OUT.zip", help="the zip to write")],
) -> None:
    """For instructors: make the zip that students get. Exit code 1: not made, and why."""
    from workbook.bundle import BundleError, make_bundle

    try:
        with console.status("making it, and trying it out"):
            names = make_bundle(out)
    except (BundleError, OSError) as error:
        typer.secho(str(error), fg="red", err=True)
        raise typer.Exit(1) from None
    console.print(f"{out}: {len(names)} files. No answer is inside, and its commands work.")


@app.command()
def grade(
    submissions: Annotated[
        Path, typer.Argument(help="a folder with a folder or zip for each student, or a zip of it")
    ],
    out: Annotated[Path, typer.Option(help="where grades, report and feedback go")],
) -> None:
    """For instructors: grade a class. Exit code 0: all graded; 1: not all; 2: wrong usage.

    Stopped by Ctrl-C, it goes on from there when started again.
    """
    from rich.progress import Progress

    from workbook import grade, grade_report
    from workbook.archives import Unreadable

    if not submissions.exists():
        raise fail(f"There is no {submissions}")
    try:
        with Progress(console=console) as progress:
            task = progress.add_task("grading", total=None)
            graded = grade.grade(
                submissions,
                out,
                started=lambda answers: progress.update(task, total=answers),
                done=lambda: progress.advance(task),
            )
            grade_report.write_report(graded, out)
    except KeyboardInterrupt:
        console.print("stopped: the same command goes on from here")
        raise typer.Exit(130) from None
    except Unreadable as error:
        raise fail(f"{submissions} {error}") from None
    except OSError as error:
        raise fail(error) from None
    ungraded = [student for student in graded.students if student.ungraded]
    for student in ungraded:
        console.print(f"{student.name}: {student.ungraded}", markup=False)
    console.print(f"{len(graded.students)} students, {out / 'report.html'}", markup=False)
    if not all(limit.held for limit in graded.limits):
        console.print("Some limits could not be enforced here: the report says which.")
    raise typer.Exit(1 if ungraded or not graded.students else 0)
