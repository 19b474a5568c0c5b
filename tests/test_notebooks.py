"""Every notebook runs from top to bottom in a fresh kernel, and is stored without outputs."""

import json
import sys
from pathlib import Path

import psutil
import pytest

from conftest import assert_gone
from notebook_run import failure
from workbook import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(autouse=True)
def clean_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels write here what would else stay in the user's home when we are killed."""
    for variable in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(notebook: Path) -> None:
    if report := failure(notebook):
        pytest.fail(report, pytrace=False)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_without_outputs(path: Path) -> None:
    """The reader predicts first."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert not [cell["id"] for cell in cells if cell.get("outputs") or cell.get("execution_count")]


def fail_in(folder: Path, *cells: str) -> str:
    """Run a notebook of these cells, which has to fail, and return what the report says."""
    path = folder / "failing.ipynb"
    code: dict[str, object] = {
        "cell_type": "code",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    notebook = {
        "cells": [{**code, "source": text} for text in cells],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    path.write_text(json.dumps(notebook), encoding="utf-8")
    report = failure(path)
    assert report
    return report


def test_a_failing_cell_is_shown_with_its_traceback_and_leaves_no_server(tmp_path: Path) -> None:
    report = fail_in(
        tmp_path,
        "import sys; from workbook import serve; server = serve('01')",
        "print('pid', server.pid, 'python', sys.executable)\n1 / 0  # this very cell",
    )
    assert "failing.ipynb" in report
    assert "1 / 0  # this very cell" in report
    assert "ZeroDivisionError: division by zero" in report
    assert f"python {sys.executable}" in report  # not some kernel the user once installed
    pid = int(report.rpartition("pid ")[2].split()[0])
    if psutil.pid_exists(pid):
        assert_gone([psutil.Process(pid)], 5)


def test_an_app_that_does_not_start_is_shown_without_our_own_frames(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("print(undefined_name)\n", encoding="utf-8")
    report = fail_in(tmp_path, "from workbook import serve\nserve('broken.py')")
    assert "NameError: name 'undefined_name' is not defined" in report
    assert "workbook/server.py" not in report.replace("\\", "/")
