"""Checks of `crunch`: who computes, on how many cores, and who is left in the end."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import psutil
import pytest

from workbook.checking import SERVERS, Advice, end, expect, start_answer, wait_for_end
from workbook.language import _
from workbook.launch import descendants
from workbook.server import Server, ServerError

pytestmark = pytest.mark.anyio

FEW, LIMIT = 1_000, 100_000
PRIMES = {FEW: 168, LIMIT: 9_592}  # below each
SECONDS = 30  # a process may import the app before it computes, on a busy machine


@pytest.fixture(scope="module")
def shared_answer(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One server for all checks: each process that it starts may have to import the app anew."""
    server = start_answer(request, {})
    yield server
    left = family(server)[1:]  # only one check judges what is left
    with suppress(ServerError):
        server.stop()
    kill(left)
    if complaint := end(server):
        did = _("stopped {file}").format(file=server.app.name)
        raise Advice(did, _("it ends and leaves nothing behind"), complaint)


@pytest.fixture
def answer(shared_answer: Server, request: pytest.FixtureRequest) -> Server:
    request.node.stash[SERVERS] = [shared_answer]  # whose log tells of what went wrong
    return shared_answer


async def warm(client: httpx.AsyncClient, processes: int) -> None:
    """Have as many processes started as the app may want to keep for its work."""
    await asyncio.gather(*(count(client, FEW) for _process in range(processes)))


def family(server: Server) -> list[psutil.Process]:
    """The server's process, and those that come from it."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(server.pid)
        return [process, *descendants(server.pid)]
    return []


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


async def count(client: httpx.AsyncClient, limit: int = LIMIT) -> float:
    """Have the primes counted, and tell how long it took."""
    started = time.perf_counter()
    answer = await client.get(f"/primes/{limit}", timeout=SECONDS)
    expected = {"limit": limit, "primes": PRIMES[limit]}
    expect(
        answer.status_code == 200 and answer.json() == expected,
        did=f"GET /primes/{limit}",
        expected=_("200 and {body}").format(body=json.dumps(expected)),
        seen=_("{status} and {text}").format(status=answer.status_code, text=answer.text[:200]),
        hint=4,
    )
    return time.perf_counter() - started


async def test_ping_stays_quick(client: httpx.AsyncClient) -> None:
    """`/ping` stays quick while primes are counted."""
    for _round in range(3):  # of three rounds on a busy machine, one clear one will do
        counting = asyncio.ensure_future(count(client))
        pings: list[float] = []
        while not counting.done():
            await asyncio.sleep(0.01 * (len(pings) + 1))
            asked = time.perf_counter()
            await client.get("/ping", timeout=SECONDS)
            pings.append(time.perf_counter() - asked)
        seconds = await counting
        # Held up, the server answers one ping before the count and one after it, and no more.
        quick = len(pings) > 2 and max(pings) < seconds / 2
        if quick:
            break
    expect(
        quick,
        did=_("GET /primes/{limit}, and /ping again and again meanwhile").format(limit=LIMIT),
        expected=_("/ping answers long before the primes are counted"),
        seen=_("the primes took {primes:.2f} s, and one /ping {ping:.2f} s").format(
            primes=seconds, ping=max(pings)
        ),
        hint=1,
    )


async def test_two_counts_keep_two_cores_busy(answer: Server, client: httpx.AsyncClient) -> None:
    """Two counts at once keep two cores busy."""
    await warm(client, 2)
    rounds = []
    for _round in range(3):  # one clear round will do
        cores, share = await watch_two_counts(answer, client)
        rounds.append(f"{cores:.1f}")
        # Where others use the cores, too, what two processes did by turns tells enough.
        if cores > 1.4 or share > 0.2:
            return
    expect(
        False,
        did=_("GET /primes/{limit}, two at once, three times").format(limit=LIMIT),
        expected=_("two processes (or whatever has a GIL of its own) count at the same time"),
        seen=_("{cores} cores were busy, counting one after the other or by turns").format(
            cores=", ".join(rounds)
        ),
        hint=2,
    )


def cpu_seconds(server: Server) -> dict[int, float]:
    """What each of its processes has computed so far."""
    seconds = {}
    for process in family(server):
        with suppress(psutil.Error):
            times = process.cpu_times()
            seconds[process.pid] = times.user + times.system
    return seconds


async def watch_two_counts(server: Server, client: httpx.AsyncClient) -> tuple[float, float]:
    """How many cores two counts kept busy, and the lesser of two processes' share of the work.

    Both until the first count is done: what begins after that was not done at the same time.
    """
    before = cpu_seconds(server)
    after: dict[int, float] = {}
    began = time.perf_counter()
    counts = [asyncio.ensure_future(count(client)) for _count in range(2)]
    while not any(work.done() for work in counts):
        await asyncio.wait(counts, timeout=0.05, return_when=asyncio.FIRST_COMPLETED)
        after |= cpu_seconds(server)  # again and again, for a process may live for one count only
    wall = time.perf_counter() - began
    await asyncio.gather(*counts)
    used = [seconds - before.get(pid, 0) for pid, seconds in after.items()]
    most, second, *_others = [*sorted(used, reverse=True), 0.0]
    return sum(used) / wall, second / (most + second or 1)


# The last check, for it stops the server that all share.
async def test_processes_end_with_the_app(answer: Server, client: httpx.AsyncClient) -> None:
    """When the app is stopped, its processes are gone with it."""
    await warm(client, 1)
    started = family(answer)[1:]
    stopped = True
    try:
        answer.stop()
    except ServerError:
        stopped = False
    left = wait_for_end(started, 2)
    kill(left)
    expect(
        stopped,
        did=_("had primes counted, then sent the app SIGTERM"),
        expected=_("it ends"),
        seen=_("it was still there 5 s later"),
        hint=3,
    )
    expect(
        not left,
        did=_("had primes counted, then sent the app SIGTERM"),
        expected=_("every process that it started is gone a moment later"),
        seen=_("{left} of the {count} ran on").format(left=len(left), count=len(started)),
        hint=3,
    )
