"""Fixtures that more than one file uses, and the order in which tests run."""

import contextlib
import functools
import os
import shutil
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Error, sync_playwright
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from workbook.launch import FORK, has_ended
from workbook.submissions import Submission, read_submissions

os.environ["WORKBOOK_LANG"] = "en"  # whatever the developer speaks
os.environ[FORK] = "1"  # hundreds of servers, and an import of FastAPI for each is minutes
# Hundreds of HTTP clients, too, and each would read all certificates anew.
ssl.create_default_context = functools.cache(ssl.create_default_context)  # type: ignore[assignment]
# jsonschema, of nbformat and others, imports it to compile, for a second, a grammar that nobody
# needs here, and does without where it is missing.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

collect_ignore = ["hostile"]  # brings a conftest.py and checks of its own, in vain

# ── Which test pins what ─────────────────────────────────────────────────────────────────────


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "claim(id): the claim of the chapter that this test pins")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let `pytest -k 1.3` find the tests that pin claim 1.3."""
    for mark in item.iter_markers("claim"):
        item.extra_keyword_matches.update(mark.args)


# ── With -n, who runs what, and when ─────────────────────────────────────────────────────────


# What shares no server: each test has a turn of its own, whichever process is free.
FILES_APART = {
    "test_check_command.py",
    "test_checking.py",
    "test_cli.py",
    "test_examples.py",
    "test_serve.py",
    "test_serve_stop.py",
}
TESTS_APART = ("test_notebook_runs", "test_right_answers", "test_a_bundle_that_does_not_work")


class Turns(LoadScopeScheduling):  # type: ignore[misc]
    """A file's tests share a process, and so its servers, unless they are apart.

    Not xdist's own `loadgroup`: under pytest 9.2, xdist 3.8 overlooks all groups, in silence.
    """

    def _split_scope(self, nodeid: str) -> str:
        path, _, name = nodeid.partition("::")
        if Path(path).name in FILES_APART or name.startswith(TESTS_APART):
            return nodeid
        if "fuzzer" in name or "generated" in name:
            return "fuzz"  # one process imports schemathesis, which takes 2 s, and not every one
        return path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Turns:
    return Turns(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest go first, so that nobody waits for them at the end."""
    longest = ["test_01_async_vs_def", "test_grade", "test_bundle", "test_notebooks"]
    longest += ["test_grade_hostile", "test_teeth", "test_checking", "test_check_command"]
    items.sort(key=lambda item: [*longest, item.path.stem].index(item.path.stem))


# ── Async tests, processes, and a browser ────────────────────────────────────────────────────


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def assert_gone(processes: Sequence[psutil.Process], seconds: float = 10) -> None:
    """Wait until they have ended."""
    deadline = time.monotonic() + seconds
    left = list(processes)
    while left := [each for each in left if not has_ended(each)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def read_processes(pids: Path) -> list[psutil.Process]:
    """Those that are still there of which answers have told."""
    told = pids.read_text().split()
    assert told, "no answer has started"
    there = []
    for pid in told:
        with contextlib.suppress(psutil.NoSuchProcess):
            there.append(psutil.Process(int(pid)))
    return there


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


# ── What students hand in ────────────────────────────────────────────────────────────────────


@pytest.fixture
def handed_in(tmp_path: Path) -> Path:
    folder = tmp_path / "handed_in"
    folder.mkdir()
    return folder


@pytest.fixture
def read(handed_in: Path, tmp_path: Path) -> Callable[[], dict[str, Submission]]:
    def read() -> dict[str, Submission]:
        found = read_submissions(handed_in, tmp_path / "into")
        assert len({each.name for each in found}) == len(found)
        return {each.name: each for each in found}

    return read
