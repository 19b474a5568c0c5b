"""Fixtures that more than one file uses, and the order in which tests run."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, sync_playwright

from notebook_runs import NotebookRuns

# ── Which test pins what ─────────────────────────────────────────────────────────────────────


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "claim(id): the claim of the chapter that this test pins")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let `pytest -k 1.3` find the tests that pin claim 1.3."""
    for mark in item.iter_markers("claim"):
        item.extra_keyword_matches.update(mark.args)


# ── Notebooks run in the background while the other tests do ─────────────────────────────────


def _notebook(item: pytest.Item) -> Path | None:
    """The notebook that a test wants to have been run: its parameter `notebook`."""
    params: dict[str, Path] = getattr(getattr(item, "callspec", None), "params", {})
    return params.get("notebook")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ask for the notebooks' results as late as possible: they run from the start."""
    items.sort(key=lambda item: _notebook(item) is not None)


@pytest.fixture(scope="session", autouse=True)
def notebook_runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NotebookRuns]:
    """The runs of the notebooks that the selected tests ask for."""
    # Kernels write here what would else stay in the user's home when we are killed.
    for variable in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        os.environ[variable] = str(tmp_path_factory.mktemp(variable.lower()))
    with NotebookRuns(filter(None, map(_notebook, request.session.items))) as runs:
        yield runs


# ── Async tests, and a browser ───────────────────────────────────────────────────────────────


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")  # Playwright occupies the thread's event loop as long as it runs
def browser() -> Iterator[Browser]:
    """Chromium: the system's where there is one, else the one that Playwright downloaded."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    options = ["--disable-background-networking", "--disable-component-update"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--no-sandbox")  # Chromium refuses to sandbox root
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=program, args=options)
        except Error as error:
            if "CI" in os.environ or program:
                raise
            pytest.skip(f"needs a browser, `playwright install chromium` gets one ({error.name})")
        yield browser
        browser.close()
