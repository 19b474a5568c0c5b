"""The `workbook` command."""

import errno
import os
import socket
import sys
import time
import webbrowser
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from typer import rich_utils

from workbook.exercises import EXERCISES, Exercise, find_exercises
from workbook.language import LANGUAGES, _, language
from workbook.launch import option_value
from workbook.progress import is_solved, next_hint
from workbook.results import check_exercises, use_utf8, wrap_chinese
from workbook.results import hint as render_hint
from workbook.results import task as render_task
from workbook.sections import ROOT, SECTIONS, find_section
from workbook.server import ServerError, serve

# Typer reads it too late for the help, which is put together below; and what is started from here
# is to follow.
if (wish := option_value(sys.argv, "--lang")) in LANGUAGES:
    os.environ["WORKBOOK_LANG"] = wish

app = typer.Typer(add_completion=False, rich_markup_mode="rich")
rich_utils.ARGUMENTS_PANEL_TITLE = _("Arguments")
rich_utils.OPTIONS_PANEL_TITLE = _("Options")
rich_utils.COMMANDS_PANEL_TITLE = _("Commands")
rich_utils.ERRORS_PANEL_TITLE = _("Error")
rich_utils.REQUIRED_LONG_STRING = _("[required]")
rich_utils.DEFAULT_STRING = _("[default: {}]")
rich_utils.RICH_HELP = _("Try [blue]'{command_path} {help_option}'[/] for help.")
use_utf8()
wrap_chinese()
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


class Language(StrEnum):
    en = "en"
    zh = "zh"


@app.callback(
    invoke_without_command=True,
    help=_(
        "A workbook for asynchronous FastAPI. Without a command: what there is and what is solved."
    ),
)
def sections(
    context: typer.Context,
    lang: Annotated[Language | None, typer.Option(help=_("English, or Chinese (中文)"))] = None,
) -> None:
    if context.invoked_subcommand:
        return
    exercises_column = Column(_("exercises"), no_wrap=True)
    table = Table(_("section"), exercises_column, box=None, pad_edge=False)
    for section in SECTIONS:
        exercises = [exercise for exercise in EXERCISES if exercise.section == section.stem]
        marks = [("✓ " if is_solved(e) else "· ") + e.name for e in exercises]
        table.add_row(section.stem, "  ".join(marks))
        table.add_row("", f"[dim]{_(section.question)}[/]")
    console.print(table)
    more = _(
        "[bold]workbook lab[/] opens the notebooks, [bold]workbook run 01[/] starts an app, "
        "[bold]workbook check unblock[/] checks an exercise."
    )
    console.print(f"\n{more}")


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    help=_("Open JupyterLab on the notebooks. Further options are JupyterLab's own."),
)
def lab(context: typer.Context) -> None:
    folder = "notebooks/zh" if language() == "zh" else "notebooks"
    options = [
        f"--notebook-dir={ROOT}",  # so that the notebooks' links to the apps work
        f"--LabApp.default_url=/lab/tree/{folder}/00_start_here.ipynb",
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


@app.command(help=_("Start a section's app, show the line that does the same, and open its page."))
def run(
    section: Annotated[
        str, typer.Argument(help=_("01, or any part of the name that fits only one"))
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help=_("0: any free one"))] = 8000,
    browser: Annotated[bool, typer.Option(help=_("open the app's page"))] = True,
) -> None:
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
    except ServerError as error:  # its log has been shown
        if is_taken(port):
            advice = _("Port {port} is taken: add --port 0, which takes a free one.")
            raise fail(advice.format(port=port)) from None
        raise fail(str(error).partition("\n")[0].rstrip(":：")) from None
    except KeyboardInterrupt:
        console.print(_("stopped"))


def is_taken(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return False
    except OSError as error:
        return error.errno == errno.EADDRINUSE


Names = Annotated[
    list[str] | None, typer.Argument(help=_("unblock, 06/one, or 06 for all three of it"))
]


@app.command(
    help=_(
        "Check exercises, all without a name. Exit code 0: all solved; 1: not yet; 2: wrong usage."
    )
)
def check(
    names: Names = None,
    answer: Annotated[Path | None, typer.Option(help=_("check this file instead of yours"))] = None,
) -> None:
    exercises = find(names or [])
    if answer and (len(exercises) != 1 or not answer.is_file()):
        raise fail(_("--answer wants one exercise and a file that is there"))
    try:
        solved = check_exercises(exercises, answer, console)
    except KeyboardInterrupt:
        console.print(_("stopped"))
        raise typer.Exit(130) from None
    raise typer.Exit(0 if solved else 1)


def find_one(name: str) -> Exercise:
    exercises = find([name])
    if len(exercises) != 1:
        which = _(", ").join(exercise.name for exercise in exercises)
        raise fail(_("{name} is a section: which of {names}?").format(name=name, names=which))
    return exercises[0]


Name = Annotated[str, typer.Argument(help=_("the exercise"))]


@app.command(help=_("Show an exercise's task."))
def task(name: Name) -> None:
    try:
        console.print(render_task(find_one(name)))
    except (LookupError, OSError) as error:
        raise fail(error) from None


@app.command(help=_("Show an exercise's next hint."))
def hint(
    name: Name,
    number: Annotated[int, typer.Argument(help=_("which; without it, the next one"))] = 0,
) -> None:
    exercise = find_one(name)
    if not 0 <= number <= len(exercise.hints):
        text = _("{name} has hints 1 to {count}")
        raise fail(text.format(name=exercise.name, count=len(exercise.hints)))
    console.print(render_hint(exercise, number or next_hint(exercise)))


@app.command(help=_("Check an exercise whenever you save it. Ctrl-C ends this."))
def watch(names: Names = None) -> None:
    import watchfiles

    exercises = find(names or [])
    folders = {exercise.file.parent for exercise in exercises}
    text = _("watching {names}: save one to check it, Ctrl-C to end")
    console.print(text.format(names=_(", ").join(exercise.name for exercise in exercises)))
    try:
        for changes in watchfiles.watch(*folders, raise_interrupt=True):
            changed = {Path(path) for _kind, path in changes}
            if saved := [e for e in exercises if e.file in changed and e.file.exists()]:
                check_exercises(saved, console=console)
    except KeyboardInterrupt:
        console.print(_("stopped"))


@app.command(
    help=_("For instructors: make the zip that students get. Exit code 1: not made, and why.")
)
def bundle(
    out: Annotated[Path, typer.Argument(metavar="OUT.zip", help=_("the zip to write"))],
) -> None:
    from workbook.bundle import BundleError, make_bundle

    try:
        with console.status(_("making it, and trying it out")):
            names = make_bundle(out)
    except (BundleError, OSError) as error:
        typer.secho(str(error), fg="red", err=True)
        raise typer.Exit(1) from None
    text = _("{zip}: {count} files. No answer is inside, and its commands work.")
    console.print(text.format(zip=out, count=len(names)))


@app.command(
    help=_(
        "For instructors: grade a class. Exit code 0: all graded; 1: not all; 2: wrong usage.\n\n"
        "Stopped by Ctrl-C, it goes on from there when started again."
    )
)
def grade(
    submissions: Annotated[
        Path,
        typer.Argument(help=_("a folder with a folder or zip for each student, or a zip of it")),
    ],
    out: Annotated[Path, typer.Option(help=_("where grades, report and feedback go"))],
) -> None:
    from rich.progress import Progress

    from workbook import grade, grade_report, grades
    from workbook.archives import Unreadable

    if not submissions.exists():
        raise fail(_("There is no {path}").format(path=submissions))
    try:
        with Progress(console=console) as progress:
            task = progress.add_task(_("grading"), total=None)

            def started(answers: int, limits: list[grades.Limit]) -> None:
                if not all(limit.held for limit in limits):
                    text = _("Some limits cannot be enforced here: the report says which.")
                    console.print(text)
                progress.update(task, total=answers)

            graded = grade.grade(
                submissions, out, started=started, done=lambda: progress.advance(task)
            )
            grade_report.write_report(graded, out)
    except KeyboardInterrupt:
        console.print(_("stopped: the same command goes on from here"))
        raise typer.Exit(130) from None
    except Unreadable as error:
        raise fail(f"{submissions} {error}") from None
    except OSError as error:
        raise fail(error) from None
    if not graded.students:
        text = _("There is no student's folder or zip in {path}").format(path=submissions)
        typer.secho(text, fg="red", err=True)
        raise typer.Exit(1)
    ungraded = [student for student in graded.students if student.ungraded]
    for student in ungraded:
        console.print(_(": ").join((student.name, student.ungraded)), markup=False)
    text = _("{count} students, {report}")
    text = text.format(count=len(graded.students), report=out / "report.html")
    console.print(text, markup=False)
    raise typer.Exit(1 if ungraded else 0)
