"""Fixtures that more than one file uses, and the order in which tests run."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Error, sync_playwright

from workbook.launch import FORK

os.environ[FORK] = "1"  # hundreds of servers, and an import of FastAPI for each is minutes

# ── Which test pins what ─────────────────────────────────────────────────────────────────────


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "claim(id): the claim of the chapter that this test pins")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let `pytest -k 1.3` find the tests that pin claim 1.3."""
    for mark in item.iter_markers("claim"):
        item.extra_keyword_matches.update(mark.args)


# ── With -n, a file's tests share a process, and each notebook has its own turn ───────────────


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def is_notebook(item: pytest.Item) -> bool:
        return getattr(item, "originalname", "") == "test_notebook_runs"

    def rank(item: pytest.Item) -> int:
        """The longest go first, so that nobody waits for them at the end."""
        longest = ["test_01_async_vs_def", "test_serve"]
        if item.path.stem in longest:
            return longest.index(item.path.stem)
        return len(longest) + (not is_notebook(item))

    items.sort(key=rank)
    for item in items:
        group = item.name if is_notebook(item) else item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))


# ── Async tests, and a browser ───────────────────────────────────────────────────────────────


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")  # Playwright occupies the thread's event loop as long as it runs
def browser() -> Iterator[Browser]:
    """Chromium: the system's where there is one, else the one that Playwright downloaded."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
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
