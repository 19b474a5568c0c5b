"""The pytest plugin behind the exercises' checks: an answer on a real server, failures as advice.

`exercises/pytest.ini` loads it. A check asks for `client` (an httpx.AsyncClient) or `answer` (the
running server), and says by `expect` what it did, expected and saw.
"""

import os
import re
import sysconfig
import time
import traceback
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from rich.cells import cell_len

from workbook import pad
from workbook.exercises import EXERCISES, Exercise
from workbook.language import _, catalogue, language
from workbook.launch import FORK, PACKAGE, descendants, has_ended
from workbook.server import STOP_SECONDS, Server, ServerError, serve

ANSWER_SECONDS = 10  # the longest that a check waits for any one thing
START_SECONDS = 10
LOG_SECONDS = 0.05  # an app answers 500 first, and tells then why
FLOOD_BYTES = 3_000_000

Start = Callable[..., Server]

catalogue(language())  # read it once, before this process is forked for each exercise


class Advice(AssertionError):
    """A check that failed, told so that a student can act on it."""

    def __init__(self, did: str, expected: str, seen: object, hint: int | None = None) -> None:
        said = {_("did:"): did, _("expected:"): expected, _("seen:"): seen}
        width = max(map(cell_len, said)) + 1
        super().__init__("\n".join(f"{pad(label, width)}{text}" for label, text in said.items()))
        self.hint = hint


def expect(condition: object, *, did: str, expected: str, seen: object, hint: int) -> None:
    """Go on when the condition holds, else fail with advice and the hint that fits, from 1."""
    if not condition:
        raise Advice(did, expected, seen, hint)


# ── The answer, running ──────────────────────────────────────────────────────────────────────


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--answer", type=Path, help="check this file, not the one beside the check")


def exercise_of(item: pytest.Item | pytest.Module) -> Exercise | None:
    return next((e for e in EXERCISES if e.checks == item.path), None)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def environment() -> Mapping[str, str]:
    """Variables for the answer. A check file that needs some has a fixture of this name."""
    return {}


def start_answer(request: pytest.FixtureRequest, env: Mapping[str, str]) -> Server:
    """Start the answer, for a fixture of whatever scope, which has to `end` it.

    Raises Advice when it does not start; the cause is what `serve` raised.
    """
    os.environ.setdefault(FORK, "1")
    exercise = exercise_of(request.node)
    assert exercise, request.node.path
    path: Path = request.config.getoption("answer") or exercise.file
    try:
        return serve(path, env=env, start_seconds=START_SECONDS, most_log_bytes=10 * FLOOD_BYTES)
    except (OSError, RuntimeError) as error:
        did = _("started {file}").format(file=path.name)
        seen = str(error)
        if own := own_traceback(seen):  # without uvicorn's and Python's part of it
            seen = seen.partition("\n")[0] + f"\n\n{own}"
        raise Advice(did, _("it accepts requests"), seen.rstrip()) from error


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    """Starts the answer: `start(LIMIT="9")` with a variable, as often as a check needs it.

    Raises Advice as `start_answer` does, at once for variables with which it has not started.
    """
    failed = request.node.parent.stash.setdefault(FAILED_START, {})
    servers: list[Server] = []
    request.node.stash[SERVERS] = servers

    def start(**env: str) -> Server:
        if (key := str(sorted(env.items()))) in failed:
            raise failed[key]
        try:
            server = start_answer(request, env)
        except Advice as advice:  # of whatever kind: the next would end likewise
            failed[key] = advice
            raise
        servers.append(server)
        return server

    yield start
    stash = request.node.parent.stash
    complaints = []
    failed_check = FAILED in request.node.stash  # has told enough: how it ends is not judged, too
    for server in servers:
        complaint = end(server, quickly=failed_check or FAILED_END in stash)
        if complaint and not failed_check:
            did = _("stopped {file}").format(file=server.app.name)
            complaints.append(Advice(did, _("it ends and leaves nothing behind"), complaint))
            stash[FAILED_END] = True
    if complaints:
        raise complaints[0]


FAILED_START = pytest.StashKey[dict[str, Advice]]()
FAILED_END = pytest.StashKey[bool]()
FAILED = pytest.StashKey[bool]()
SERVERS = pytest.StashKey[list[Server]]()


def end(server: Server, quickly: bool = False) -> str | None:
    """Stop a server, and say what was not as it should be.

    Quickly, where a check has failed, or one has waited for it to end: one deadline is enough.
    """
    children = descendants(server.pid) if server.process.poll() is None else []
    complaint = None
    try:
        server.stop(0.5 if quickly else STOP_SECONDS)
    except ServerError as error:
        complaint = str(error).partition("\n")[0]
    if left := wait_for_end(children, 0.5 if quickly else 2):
        told = _("it left a process running: {pid}").format(pid=left[0].pid)
        complaint = complaint or told
        for child in left:
            child.kill()
    if server.logged_bytes > FLOOD_BYTES:
        size = server.logged_bytes // 1_000_000
        complaint = complaint or _("it floods its log: {size} MB").format(size=size)
    return complaint


def wait_for_end(processes: Sequence[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that have not ended by then."""
    deadline = time.monotonic() + seconds
    while left := [process for process in processes if not has_ended(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)  # psutil.wait_procs would wait for zombies
    return left


@pytest.fixture
def answer(start: Start, environment: Mapping[str, str]) -> Server:
    return start(**environment)


@pytest.fixture
async def client(answer: Server) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client for the answer, that waits 10 s at most for any one thing."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=answer.url, trust_env=False, verify=False, limits=limits, timeout=ANSWER_SECONDS
    ) as client:
        yield client


# ── Failures as advice ───────────────────────────────────────────────────────────────────────


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, Any]:
    report = yield
    exercise = exercise_of(item)
    if exercise and report.failed and call.excinfo:
        item.stash[FAILED] = True
        error = call.excinfo.value
        hint = error.hint if isinstance(error, Advice) else None
        if not isinstance(error, Advice):
            title = exercise.titles[getattr(item, "originalname", item.name)]
            expected = _("the conversation goes as the task says")
            error = Advice(title, expected, surprise(error))
        text = str(error)
        time.sleep(LOG_SECONDS)
        log = "".join(server.log() for server in item.stash.get(SERVERS, []))
        if own := own_traceback(log):
            text += "\n\n" + _("Your app's own traceback:") + f"\n\n{own}"
        answer: Path = item.config.getoption("answer") or exercise.file
        text = text.replace(f"{answer.absolute().parent}{os.sep}", "")  # it says nothing
        report.advice, report.hint = text, hint
        if hint:
            told = _("Hint {number} of {count}: {text}")
            hints = exercise.hints
            text += "\n\n" + told.format(number=hint, count=len(hints), text=hints[hint - 1])
        else:
            text += "\n\n" + _("Next: workbook hint {name}").format(name=exercise.name)
        if not item.config.option.fulltrace:  # for who writes checks: pytest --full-trace
            report.longrepr = text
            report.sections.clear()
    return report


def surprise(error: BaseException) -> str:
    """What went wrong between a check and an answer, in a sentence."""
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return _("nothing came in time")
    if isinstance(error, httpx.TransportError | OSError):
        why = str(error) or type(error).__name__
        return _("the connection broke: {why}").format(why=why)
    frames = traceback.extract_tb(error.__traceback__)
    where = next((f.line for f in reversed(frames) if f.name.startswith("test_")), "")
    kind = type(error).__name__
    return _("{kind}: {error}, at `{line}`").format(kind=kind, error=error, line=where)


def code_of_others() -> list[str]:
    """What the path of a file has in it that is Python's, installed, or the workbook's own."""
    libraries = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    folders = ["site-packages", "dist-packages", PACKAGE, *libraries]
    return ["<frozen ", *(os.path.normcase(f"{folder}{os.sep}") for folder in folders)]


def own_traceback(log: str) -> str:
    """The last traceback in an answer's log, from where it enters the answer's own file."""
    _, begun, last = log.rpartition("Traceback (most recent call last):\n")
    if not begun or "ClientDisconnect" in last:  # the check hung up: an effect, not the fault
        return ""
    lines = re.split(r"\n(?=\S)", last, maxsplit=1)
    frames = re.split(r"(?m)^(?=  File )", re.sub(r"(?m)^[ ^~]+$\n?", "", lines[0]))
    others = code_of_others()
    own = [f for f in frames if not any(folder in os.path.normcase(f) for folder in others)]
    if not own:
        return ""
    ending = lines[1].partition("\n")[0] if len(lines) > 1 else ""
    return "".join(own[-4:]).rstrip() + f"\n{ending}"
