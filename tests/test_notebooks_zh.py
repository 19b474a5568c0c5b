"""The Chinese notebooks are the English ones with other prose, and speak Chinese when they run."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from workbook import ROOT, pad
from workbook.language import catalogue

ENGLISH = ROOT / "notebooks"
CHINESE = ENGLISH / "zh"
NAMES = sorted({path.stem for folder in (ENGLISH, CHINESE) for path in folder.glob("*.ipynb")})
HAN = re.compile("[一-鿿]")


def read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def without_prose(cell: dict[str, Any]) -> dict[str, Any]:
    return {**cell, "source": ""} if cell["cell_type"] == "markdown" else cell


@pytest.mark.parametrize("name", NAMES)
def test_twins_differ_in_prose_only(name: str) -> None:
    english, chinese = (read(folder / f"{name}.ipynb") for folder in (ENGLISH, CHINESE))
    pairs = itertools.zip_longest(english["cells"], chinese["cells"], fillvalue={"cell_type": ""})
    drifted = [
        ours.get("id", f"{theirs.get('id')}, which is in Chinese only")
        for ours, theirs in pairs
        if without_prose(ours) != without_prose(theirs)
    ]
    assert not drifted, f"{name}: not the same in notebooks/zh, beginning with {drifted[0]}"
    assert {**english, "cells": []} == {**chinese, "cells": []}


@pytest.mark.parametrize("name", NAMES)
def test_no_paragraph_is_left_in_english(name: str) -> None:
    english, chinese = (read(folder / f"{name}.ipynb")["cells"] for folder in (ENGLISH, CHINESE))
    prose = ["".join(cell["source"]) for cell in chinese if cell["cell_type"] == "markdown"]
    paragraphs = [paragraph for text in prose for paragraph in text.split("\n\n")]
    originals = {"".join(cell["source"]) for cell in english}
    assert not [paragraph for paragraph in paragraphs if not HAN.search(paragraph)]
    assert not [text for text in prose if text in originals]


@pytest.mark.parametrize("page", [*sorted(CHINESE.glob("*.ipynb")), CHINESE / "README.md"])
def test_no_link_is_dead(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)\s]+)\)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if not (page.parent / link.partition("#")[0]).exists()]


def run(path: Path, last: str) -> Any:
    """Run a notebook up to and including that cell, and return it with its outputs."""
    import nbformat  # both are slow to import, and most tests here run no notebook
    from nbclient import NotebookClient

    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    notebook.cells = notebook.cells[: [cell.id for cell in notebook.cells].index(last) + 1]
    NotebookClient(
        notebook,
        timeout=60,  # seconds, for each cell
        kernel_name="python3",
        shutdown_kernel="immediate",
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    return notebook


@pytest.mark.parametrize(
    ("name", "last", "says"),
    [
        ("00_start_here", "cell-11", ["正常", "运行在 MainThread 上"]),
        ("02_background_tasks", "cell-08", ["邮件已发", "审计日志"]),
    ],
)
def test_notebook_runs_in_the_language_of_its_folder(
    name: str, last: str, says: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the cell that is the `last` one here: all of them all the way would take minutes."""
    for variable in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.delenv("WORKBOOK_LANG", raising=False)
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    code = [cell for cell in run(CHINESE / f"{name}.ipynb", last).cells if cell.cell_type == "code"]
    outputs = [output for cell in code for output in cell.outputs]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert all(text in printed for text in says), printed
    assert "missing from font" not in printed  # of which matplotlib warns, and draws a box
    plots = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(plots) == sum("draw_moments(" in cell.source for cell in code)


def test_plots_have_a_character_for_each_of_the_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import font_manager  # slow to import, and no other test here needs it

    from workbook.plots import choose_font

    monkeypatch.setenv("WORKBOOK_LANG", "zh")
    choose_font()
    chosen = font_manager.findfont(font_manager.FontProperties(), fallback_to_default=False)
    font = font_manager.get_font(chosen)
    characters = {*"".join(catalogue("zh").values())}
    assert HAN.search("".join(characters))
    wide = {each for each in characters if cell_len(each) == 2}
    assert not {each for each in wide if ord(each) not in font.get_charmap()}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_is_padded_takes_as_many_columns(
    language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBOOK_LANG", language)
    texts = ["", "-", "mail", "邮件", "10 MiB + 1 字节"]
    assert {cell_len(pad(text, 17)) for text in texts} == {17}
    assert pad("more than fits", 4) == "more than fits"
    assert (pad("mail", 6) == "mail  ") == (language == "en")
