"""Section 1: computing leaves the loop, and then the GIL; the process pool ends with the app."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from conftest import assert_gone
from crowd import burst
from workbook import ROOT, Server, serve


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("01_async_vs_def") as server:
        yield server
    assert "Traceback" not in server.log()


@pytest.mark.anyio
@pytest.mark.claim("1.6")
async def test_cpu_work_starves_the_loop_unless_it_leaves_it(server: Server) -> None:
    """Contract: starves the loop; leaves the loop alive; a process pool."""
    await burst(server.url, "/cpu/process", count=2)  # the pool's processes run after this
    for _ in range(8):  # one clear round is enough: what other programs do blurs the others
        loop, threads, processes = [
            await burst(server.url, f"/cpu/{style}", 2) for style in ("async", "def", "process")
        ]
        worst = max(threads.slowest_ping, processes.slowest_ping)
        if loop.slowest_ping > max(0.4 * loop.seconds, 2 * worst):
            return
    pytest.fail(f"{loop.slowest_ping=} {threads.slowest_ping=} {processes.slowest_ping=}")


def threads_that_want_a_core(server: Server) -> int:
    """How many threads of the server and its pool run, or would if a core were free (Linux)."""
    process = psutil.Process(server.pid)
    family = [process.pid, *(child.pid for child in process.children(recursive=True))]
    wanting = 0
    for stat in (stat for pid in family for stat in Path(f"/proc/{pid}/task").glob("*/stat")):
        with contextlib.suppress(OSError):  # the pool of threads has let this one go
            wanting += stat.read_text().rpartition(")")[2].split()[0] == "R"
    return wanting


@pytest.mark.anyio
@pytest.mark.claim("1.6")
async def test_threads_share_the_gil_and_processes_use_the_other_core(server: Server) -> None:
    async def measured(path: str, count: int) -> tuple[float, float]:
        """How long it took, and how many threads wanted a core meanwhile, on average."""
        running = asyncio.create_task(burst(server.url, path, count))
        wanting = []
        while not running.done():
            await asyncio.sleep(0.01)
            wanting.append(threads_that_want_a_core(server))
        return (await running).seconds, sum(wanting) / len(wanting)

    await burst(server.url, "/cpu/process", count=2)
    for _ in range(8):
        one, _ = await measured("/cpu/def", 1)
        threads, at_a_time = await measured("/cpu/def", 2)
        processes, at_once = await measured("/cpu/process", 2)
        # On busy cores two processes are as slow as two threads, but still want two of them.
        spread = threads > 1.3 * processes or at_once > 1.3 * at_a_time > 0
        if threads > 1.5 * one and spread:
            return
    pytest.fail(f"{one=} {threads=} {processes=} {at_a_time=} {at_once=}")


def warm_workers(server_pid: int, url: str) -> list[psutil.Process]:
    """The pool's two processes, once each of them has done something."""
    names: set[str] = set()
    deadline = time.monotonic() + 30
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        while len(names) < 2 and time.monotonic() < deadline:
            names.add(client.get("/cpu/process?n=1").json()["thread"])
    workers = psutil.Process(server_pid).children(recursive=True)
    assert len(workers) >= 2
    return workers


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_the_pools_processes_end_with_the_app(way: str) -> None:
    """Contract: the pool's processes end with the app, whatever ends it."""
    with serve("01_async_vs_def") as server:
        workers = warm_workers(server.pid, server.url)
        if way == "kill":
            server.process.kill()
    assert_gone(workers)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to a process group")
def test_ctrl_c_ends_it_without_a_traceback() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "examples.01_async_vs_def:app", "--port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    log = ""
    try:
        while "Uvicorn running on" not in log:
            line = process.stdout.readline()
            assert line, log
            log += line
        url = log.split("Uvicorn running on ")[1].split()[0]
        workers = warm_workers(process.pid, url)
        os.killpg(process.pid, signal.SIGINT)
        log += process.communicate(timeout=30)[0]
    finally:
        process.kill()
    assert "Application shutdown complete" in log
    assert "Traceback" not in log
    assert_gone(workers)
