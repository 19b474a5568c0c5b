"""Checks of clean_up: what is opened and closed when the start, or a release, fails."""

import asyncio
import re

import httpx
import pytest

from workbook.checking import START_SECONDS, Advice, Start, expect
from workbook.language import _
from workbook.server import ServerError

pytestmark = pytest.mark.anyio

SERVICES = ["database", "cache", "queue"]


def steps(word: str, log: str) -> list[str]:
    """Which services the app has "opened", or was "closing", in this order."""
    return re.findall(rf"^{word} (\w+)$", log, re.M)


def told(names: list[str]) -> str:
    return ", ".join(names) or _("none")


def log_of_failing_start(start: Start, **env: str) -> str:
    """What an app printed whose start has to fail."""
    variables = " ".join(f"{key}={value}" for key, value in env.items())
    did = _("started the app with {variables}").format(variables=variables)
    expected = _("the start fails: the process ends with the error in its log")
    try:
        start(**env)
    except Advice as advice:
        error = advice.__cause__
        if not isinstance(error, ServerError):
            raise
        log, ended = str(error), error.exit_code is not None
    else:
        seen = _("it accepts requests, with a service missing")
        expect(False, did=did, expected=expected, seen=seen, hint=3)
    expect(
        ended,
        did=did,
        expected=expected,
        seen=_("it neither runs nor ends for {seconds} s").format(seconds=START_SECONDS),
        hint=3,
    )
    return log


def expect_closed(log: str, expected: list[str], *, did: str, hint: int) -> None:
    """Expect these services to be closed, once each and in this order."""
    closed = steps("closing", log)
    missing = [name for name in expected if name not in closed]
    never = [name for name in closed if name not in expected]
    seen = _("closed: {names}; left open: {missing}") if missing else _("closed: {names}")
    expect(
        closed == expected,
        did=did,
        expected=_("closed, in this order: {names}").format(names=told(expected)),
        seen=seen.format(names=told(closed), missing=told(missing)),
        hint=hint if missing and not never else 2,
    )


async def log_of_stop(start: Start, **env: str) -> str:
    """What an app prints from its start to its end."""
    server = start(**env)
    await asyncio.to_thread(server.stop)
    return server.log()


async def test_stop_closes_in_reverse(start: Start) -> None:
    """All three are open while the app runs, and closed in reverse when it stops."""
    server = start()
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=5) as client:
        answer = await client.get("/health")
    expect(
        answer.status_code == 200 and answer.json() == dict.fromkeys(SERVICES, True),
        did="GET /health",
        expected=_("200, and true for the database, the cache and the queue"),
        seen=f"{answer.status_code} {answer.text[:200]}",
        hint=3,
    )
    await asyncio.to_thread(server.stop)
    expect_closed(server.log(), SERVICES[::-1], did=_("stopped the app"), hint=2)


async def test_failing_start_closes_the_rest(start: Start) -> None:
    """When one can't be opened, those opened before it are closed, and no other."""
    for failing, opened in [("queue", ["database", "cache"]), ("cache", ["database"])]:
        log = log_of_failing_start(start, FAIL_OPEN=failing)
        did = _("started the app with {variables}").format(variables=f"FAIL_OPEN={failing}")
        expect_closed(log, opened[::-1], did=did, hint=1)


async def test_failing_start_fails(start: Start) -> None:
    """The app does not run without one of its services, and its log tells which."""
    log = log_of_failing_start(start, FAIL_OPEN="cache")
    expect(
        "the cache does not open" in log,
        did=_("started the app with {variables}").format(variables="FAIL_OPEN=cache"),
        expected=_("the error is in the log"),
        seen=_("the process ended, and its log does not say why"),
        hint=3,
    )


async def test_failing_release_stops_no_other(start: Start) -> None:
    """One that refuses to close keeps no other open, at a stop or at a failing start."""
    for failing in ("queue", "queue,cache"):
        log = await log_of_stop(start, FAIL_CLOSE=failing)
        did = _("started the app with {variables}, and stopped it").format(
            variables=f"FAIL_CLOSE={failing}"
        )
        expect_closed(log, SERVICES[::-1], did=did, hint=4)
    log = log_of_failing_start(start, FAIL_OPEN="queue", FAIL_CLOSE="cache")
    variables = "FAIL_OPEN=queue FAIL_CLOSE=cache"
    did = _("started the app with {variables}").format(variables=variables)
    expect_closed(log, ["cache", "database"], did=did, hint=4)


async def test_failing_release_is_told(start: Start) -> None:
    """The error of one that refuses to close is in the log."""
    log = await log_of_stop(start, FAIL_CLOSE="cache")
    error = "the cache does not close"
    expect(
        error in log,
        did=_("started the app with {variables}, and stopped it").format(
            variables="FAIL_CLOSE=cache"
        ),
        expected=_('"{error}" is in the log').format(error=error),
        seen=_("the log does not mention it"),
        hint=4,
    )
