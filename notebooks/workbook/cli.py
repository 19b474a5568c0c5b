"""The `workbook` command."""

import os
import sys
import time
import webbrowser
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from workbook.sections import ROOT, SECTIONS, find_section
from workbook.server import ServerError, serve

app = typer.Typer(add_completion=False, rich_markup_mode="rich")
console = Console()


def fail(message: object) -> typer.Exit:
    typer.secho(str(message), fg="red", err=True)
    return typer.Exit(2)


@app.callback(invoke_without_command=True)
def sections(context: typer.Context) -> None:
    """A workbook for asynchronous FastAPI. Without a command: the sections."""
    if context.invoked_subcommand:
        return
    table = Table("section", "the question it answers", "notebook", box=None, pad_edge=False)
    for section in SECTIONS:
        notebook = section.notebook if section.notebook.exists() else None
        where = str(notebook.relative_to(ROOT)) if notebook else "to come"
        table.add_row(section.stem, section.question, where)
    console.print(table)
    console.print(
        "\n[bold]workbook lab[/] opens the notebooks, [bold]workbook run 01[/] starts an app."
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
