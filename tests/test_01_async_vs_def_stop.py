"""Section 1: its process pool ends with the app, whatever ends that."""

import os
import signal
import subprocess
import sys
import time

import httpx
import psutil
import pytest

from conftest import assert_gone
from workbook import ROOT, serve


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
