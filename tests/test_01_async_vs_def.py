"""Section 1: what overlaps, what queues, and who starves."""

import asyncio
import inspect
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import redis.asyncio

from workbook import ROOT, Server, serve
from workbook.timeline import Burst, burst

pytestmark = pytest.mark.anyio


SLEEP = 0.6  # seconds: long, because it costs no CPU and drowns the noise of a busy machine


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The app, with a second copy of it as its upstream."""
    with serve("01_async_vs_def") as upstream:
        url = f"{upstream.url}/sleep/async?seconds={SLEEP}"
        with serve("01_async_vs_def", env={"UPSTREAM_URL": url}) as server:
            yield server
        assert "Traceback" not in server.log() + upstream.log()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client:
        yield client


def queued(burst: Burst) -> bool:
    """Whether the answers came one by one, evenly from first to last: a staircase."""
    ends = sorted(span.end for span in burst.requests)
    return ends[0] < 0.4 * ends[-1] and ends[len(ends) // 2] < 0.8 * ends[-1]


def path_to(kind: str, style: str) -> str:
    return f"/fetch/{style}" if kind == "fetch" else f"/sleep/{style}?seconds={SLEEP}"


@pytest.mark.claim("1.1")
@pytest.mark.parametrize("kind", ["sleep", "fetch"])
async def test_awaiting_handlers_overlap_on_one_thread(server: Server, kind: str) -> None:
    path = path_to(kind, "async")
    assert not queued(await burst(server.url, path))
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        answers = await asyncio.gather(*(client.get(path) for _ in range(10)))
    assert {answer.json()["thread"] for answer in answers} == {"MainThread"}


@pytest.mark.claim("1.2")
@pytest.mark.parametrize("kind", ["sleep", "fetch"])
async def test_def_handlers_overlap_in_threads_and_leave_the_loop_free(
    server: Server, client: httpx.Client, kind: str
) -> None:
    threaded = await burst(server.url, path_to(kind, "def"))
    assert not queued(threaded)
    assert threaded.slowest_ping < SLEEP
    assert client.get(path_to(kind, "def")).json()["thread"] != "MainThread"


@pytest.mark.claim("1.2")
def test_a_plain_file_read_belongs_in_def(client: httpx.Client) -> None:
    """Contract: `GET /file/async`, `/file/def`: `aiofiles`, plain read in `def`."""
    assert client.get("/file/def").json()["thread"] != "MainThread"
    assert client.get("/file/async").json()["thread"] == "MainThread"


@pytest.mark.claim("1.3")
@pytest.mark.parametrize("kind", ["sleep", "fetch"])
async def test_a_blocking_call_on_the_loop_makes_everybody_wait(server: Server, kind: str) -> None:
    blocking = await burst(server.url, path_to(kind, "blocking"), count=4)
    assert queued(blocking)
    assert blocking.seconds > 0.9 * 4 * SLEEP
    assert blocking.slowest_ping > 0.9 * SLEEP


CURES = {
    "await": ("    time.sleep(seconds)  # WRONG", "    await asyncio.sleep(seconds)  # RIGHT"),
    "drop async": ("async def sleep_blocking", "def sleep_blocking"),
    "async client": (
        "    client: httpx.Client = request.state.sync_client\n"
        "    client.get(UPSTREAM_URL).raise_for_status()  # WRONG",
        "    client: httpx.AsyncClient = request.state.async_client\n"
        "    (await client.get(UPSTREAM_URL)).raise_for_status()  # RIGHT",
    ),
}


@pytest.mark.claim("1.4")
@pytest.mark.parametrize("cure", CURES)
async def test_the_cure_is_one_word(server: Server, tmp_path: Path, cure: str) -> None:
    """The same check that the blocking handler fails above."""
    wrong, right = CURES[cure]
    text = server.app.read_text(encoding="utf-8")
    assert text.count(wrong) == 1
    copy = tmp_path / "cured.py"
    copy.write_text(text.replace(wrong, right), encoding="utf-8")
    path = path_to("fetch" if "client" in cure else "sleep", "blocking")
    with serve(copy, env={"UPSTREAM_URL": f"{server.url}/sleep/async?seconds={SLEEP}"}) as cured:
        after = await burst(cured.url, path)
    assert not queued(after)
    assert after.slowest_ping < SLEEP


@pytest.mark.claim("1.5")
async def test_80_slow_def_requests_come_in_two_waves_of_40(server: Server) -> None:
    crowd = await burst(server.url, "/sleep/def?seconds=1.5", count=80)
    assert crowd.waves() == [40, 40]
    assert crowd.seconds > 2 * 1.5


@pytest.mark.claim("1.1")
async def test_80_awaiting_requests_come_in_one_wave(server: Server) -> None:
    crowd = await burst(server.url, "/sleep/async?seconds=1.5", count=80)
    ends = [span.end for span in crowd.requests]
    assert max(ends) - min(ends) < 1.5  # the last came before a second wave could


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


@pytest.mark.claim("1.6")
async def test_threads_share_the_gil_and_processes_use_the_other_core(server: Server) -> None:
    await burst(server.url, "/cpu/process", count=2)
    for _ in range(8):
        one = await burst(server.url, "/cpu/def?n=2000000", count=1)
        threads = await burst(server.url, "/cpu/def?n=2000000", count=2)
        processes = await burst(server.url, "/cpu/process?n=2000000", count=2)
        if threads.seconds > max(1.5 * one.seconds, 1.3 * processes.seconds):
            return
    pytest.fail(f"{one.seconds=} {threads.seconds=} {processes.seconds=}")


@pytest.mark.claim("1.7")
async def test_aioredis_is_redis_asyncio_today() -> None:
    assert not inspect.iscoroutinefunction(redis.Redis.execute_command)
    assert inspect.iscoroutinefunction(redis.asyncio.Redis.execute_command)


@pytest.mark.claim("1.7")
async def test_redis_asyncio_waits_without_blocking_the_loop(tmp_path: Path) -> None:
    program = shutil.which("redis-server")
    if not program:
        required = "CI" in os.environ and sys.platform == "linux"
        assert not required, "CI has to install redis-server"
        pytest.skip("needs redis-server on the PATH (apt, brew: redis-server, redis)")
    path = str(tmp_path / "redis.sock")  # no port, so nobody can take it
    options = ["--port", "0", "--unixsocket", path, "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen([program, *options], stdout=subprocess.DEVNULL) as process:
        try:
            async with redis.asyncio.Redis(unix_socket_path=path) as client:
                while not os.path.exists(path):
                    await asyncio.sleep(0.02)
                waiting = [asyncio.ensure_future(client.blpop(["mail"])) for _ in range(10)]
                async with redis.asyncio.Redis(unix_socket_path=path) as sender:
                    await sender.rpush("mail", *range(10))
                letters = await asyncio.wait_for(asyncio.gather(*waiting), 10)
            assert {int(letter[1]) for letter in letters if letter} == set(range(10))
        finally:
            process.terminate()


ROUTES = {
    "/sleep/async?seconds=0.01": "async",
    "/sleep/def?seconds=0.01": "def",
    "/sleep/blocking?seconds=0.01": "blocking",
    "/fetch/async": "async",
    "/fetch/def": "def",
    "/fetch/blocking": "blocking",
    "/cpu/async?n=9999": "async",
    "/cpu/def?n=9999": "def",
    "/cpu/process?n=9999": "process",
    "/file/async": "async",
    "/file/def": "def",
    "/ping": "ping",
}


@pytest.fixture(scope="module")
def quick(server: Server) -> Iterator[Server]:
    """The app, with an upstream that doesn't sleep."""
    with serve("01_async_vs_def", env={"UPSTREAM_URL": f"{server.url}/ping"}) as quick:
        yield quick


@pytest.mark.parametrize("path", ROUTES)
async def test_every_route_answers_80_clients_at_once(quick: Server, path: str) -> None:
    """Contract: each answer tells `style`, `thread` and `elapsed` seconds."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=quick.url, limits=limits, timeout=60, trust_env=False
    ) as client:
        answers = await asyncio.gather(*(client.get(path) for _ in range(80)))
    reports = [answer.raise_for_status().json() for answer in answers]
    assert {report["style"] for report in reports} == {ROUTES[path]}
    assert all(report["thread"] for report in reports)
    assert all(report["elapsed"] >= (0.01 if "0.01" in path else 0) for report in reports)


BAD_SECONDS = ["nan", "inf", "-inf", "1e999", "-1", "6", "5.0001", "abc", "", "1" * 5000]
BAD_ROUNDS = ["0", "-1", "-" + "9" * 30, "9" * 10, "9" * 30, "9" * 5000, "abc", "1.5", "nan", ""]


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [("/sleep/async", "seconds", value) for value in BAD_SECONDS]
    + [("/sleep/def", "seconds", value) for value in ("nan", "-1", "6")]
    + [("/sleep/blocking", "seconds", value) for value in ("nan", "-1", "6")]
    + [("/cpu/def", "n", value) for value in BAD_ROUNDS]
    + [("/cpu/async", "n", value) for value in ("-1", "9" * 10)]
    + [("/cpu/process", "n", value) for value in ("-1", "9" * 10)],
)
def test_senseless_numbers_get_422_with_a_sentence(
    client: httpx.Client, path: str, name: str, value: str
) -> None:
    """Contract: `seconds` is 0 to 5, `n` is bounded, else 422."""
    answer = client.get(path, params={name: value})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["msg"].startswith(("Input should be", "Unable to parse"))


@pytest.mark.parametrize("value", ["0", "0.0", "5", "1e-300"])
def test_sensible_numbers_are_taken(client: httpx.Client, value: str) -> None:
    if value == "5":  # the largest, and no need to wait for it
        with pytest.raises(httpx.ReadTimeout):
            client.get("/sleep/async", params={"seconds": value}, timeout=0.2)
    else:
        assert client.get("/sleep/async", params={"seconds": value}).status_code == 200


@pytest.mark.parametrize("upstream", ["refuses", "missing", "http://localhost:port"])
def test_an_upstream_that_fails_is_a_502_that_names_it(server: Server, upstream: str) -> None:
    """Contract: upstream down → 502."""
    with socket.socket() as silent:  # bound and not listening: it refuses, and stays ours
        silent.bind(("127.0.0.1", 0))
        urls = {
            "refuses": f"http://127.0.0.1:{silent.getsockname()[1]}/",
            "missing": f"{server.url}/nowhere",
        }
        url = urls.get(upstream, upstream)
        with serve("01_async_vs_def", env={"UPSTREAM_URL": url}) as caller:
            for style in ("async", "def", "blocking"):
                answer = httpx.get(f"{caller.url}/fetch/{style}", trust_env=False)
                assert (answer.status_code, style) == (502, style)
                assert url in answer.json()["detail"]
        assert "Traceback" not in caller.log()


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
    assert not psutil.wait_procs(workers, timeout=10)[1]


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
    assert not psutil.wait_procs(workers, timeout=10)[1]
