"""Section 1: what overlaps, what queues, and who starves."""

import asyncio
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import redis.asyncio

from crowd import burst, get_at_once
from upstream import Upstream
from workbook import Server, serve

if TYPE_CHECKING:
    from workbook.timeline import Burst

pytestmark = pytest.mark.anyio


SLEEP = 0.6  # seconds: long, because it costs no CPU and drowns the noise of a busy machine


@pytest.fixture(scope="module")
def running() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture
def upstream(running: Upstream) -> Iterator[Upstream]:
    yield running
    running.reset()


# Each start of this app starts two more processes, for seconds of CPU: most tests share one.
@pytest.fixture(scope="module")
def server(running: Upstream) -> Iterator[Server]:
    with serve("01_async_vs_def", env={"UPSTREAM_URL": running.url}) as server:
        yield server
    assert "Traceback" not in server.log()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client:
        yield client


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


def queued(burst: "Burst") -> bool:
    """Whether the answers came one by one, evenly from first to last: a staircase."""
    ends = sorted(span.end for span in burst.requests)
    return ends[0] < 0.4 * ends[-1] and ends[len(ends) // 2] < 0.8 * ends[-1]


@pytest.fixture(params=["sleep", "fetch"])
def kind(request: pytest.FixtureRequest, upstream: Upstream) -> str:
    upstream.delay = SLEEP
    return str(request.param)


def path_to(kind: str, style: str) -> str:
    return f"/fetch/{style}" if kind == "fetch" else f"/sleep/{style}?seconds={SLEEP}"


@pytest.mark.claim("1.1")
async def test_awaiting_handlers_overlap_on_one_thread(server: Server, kind: str) -> None:
    path = path_to(kind, "async")
    assert not queued(await burst(server.url, path))
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        answers = await asyncio.gather(*(client.get(path) for _ in range(10)))
    assert {answer.json()["thread"] for answer in answers} == {"MainThread"}


@pytest.mark.claim("1.2")
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
async def test_a_blocking_call_on_the_loop_makes_everybody_wait(server: Server, kind: str) -> None:
    blocking = await burst(server.url, path_to(kind, "blocking"), count=4)
    assert queued(blocking)
    assert blocking.seconds > 0.9 * 4 * SLEEP
    assert blocking.slowest_ping > 0.9 * SLEEP


CURES = {
    "await": (
        "/sleep/blocking",
        "    time.sleep(seconds)  # WRONG",
        "    await asyncio.sleep(seconds)  # RIGHT",
    ),
    "drop async": ("/sleep/blocking", "async def sleep_blocking", "def sleep_blocking"),
    "async client": (
        "/fetch/blocking",
        "    client: httpx.Client = request.state.sync_client\n"
        "    client.get(UPSTREAM_URL).raise_for_status()  # WRONG",
        "    client: httpx.AsyncClient = request.state.async_client\n"
        "    (await client.get(UPSTREAM_URL)).raise_for_status()  # RIGHT",
    ),
}


@pytest.fixture(scope="module")
def cured(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app with cured copies of its handlers, and the app itself as its upstream."""
    text = server.app.read_text(encoding="utf-8")
    copy = text
    for cure, (path, wrong, right) in CURES.items():
        found = re.search(rf'@app\.get\("{path}"\).*?(?=\n\n\n)', text, re.DOTALL)
        assert found
        assert found[0].count(wrong) == 1
        copy += "\n\n" + found[0].replace(wrong, right).replace(path, f"/{cure}") + "\n"
    app = tmp_path_factory.mktemp("cured") / "cured.py"
    app.write_text(copy, encoding="utf-8")
    with serve(app, env={"UPSTREAM_URL": f"{server.url}/sleep/async?seconds={SLEEP}"}) as cured:
        yield cured


@pytest.mark.claim("1.4")
@pytest.mark.parametrize("cure", CURES)
async def test_the_cure_is_one_word(cured: Server, cure: str) -> None:
    """The same check that the blocking handler fails above."""
    after = await burst(cured.url, f"/{cure}?seconds={SLEEP}")
    assert not queued(after)
    assert after.slowest_ping < SLEEP


@pytest.mark.claim("1.5")
async def test_80_slow_def_requests_come_in_two_waves_of_40(server: Server) -> None:
    for _ in range(3):  # one clear round is enough: a busy machine stretches the others
        crowd = await burst(server.url, "/sleep/def?seconds=2", count=80)
        ends = sorted(span.end for span in crowd.requests)
        assert ends[40] >= 2 * 2  # no more than 40 in the first wave
        if ends[79] - ends[40] < 2:  # and no less, or the last would come in a third
            return
    pytest.fail(f"{ends[40]=} {ends[79]=}")


def test_waves_are_told_apart_by_the_longest_pause() -> None:
    from workbook.timeline import Burst, Span

    ends = [1.5 + 0.01 * n for n in range(40)] + [3.3 + 0.01 * n for n in range(40)]
    assert Burst("", [Span(0, end) for end in reversed(ends)], []).waves() == [40, 40]


@pytest.mark.claim("1.1")
async def test_80_awaiting_requests_come_in_one_wave(server: Server) -> None:
    for _ in range(4):  # one clear round is enough: a busy machine stretches the others
        crowd = await burst(server.url, "/sleep/async?seconds=1.5", count=80)
        ends = [span.end for span in crowd.requests]
        if max(ends) - min(ends) < 1.5:  # the last came before a second wave could
            return
    pytest.fail(f"{min(ends)=} {max(ends)=}")


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
    "/sleep/async?seconds=0.5": "async",
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


@pytest.mark.parametrize("path", ROUTES)
async def test_every_route_answers_80_clients_at_once(server: Server, path: str) -> None:
    """Contract: each answer tells `style`, `thread` and `elapsed` seconds."""
    answers = await get_at_once(server.url + path, 80)
    assert {status for status, _ in answers} == {200}
    reports = [json.loads(body) for _, body in answers]
    assert {report["style"] for report in reports} == {ROUTES[path]}
    assert all(report["thread"] for report in reports)
    # uvloop counts a sleep from the beginning of the loop's turn: a full turn shortens it.
    least = 0.1 if "0.5" in path else 0.01 if "0.01" in path else 0
    assert all(report["elapsed"] >= least for report in reports)


def assert_502(caller: Server, upstream: str) -> None:
    with httpx.Client(base_url=caller.url, trust_env=False) as client:
        for style in ("async", "def", "blocking"):
            answer = client.get(f"/fetch/{style}")
            assert (answer.status_code, style) == (502, style)
            assert upstream in answer.json()["detail"]
    assert "Traceback" not in caller.log()


@pytest.mark.parametrize("way", ["refuses", "missing"])
def test_an_upstream_that_fails_is_a_502_that_names_it(
    server: Server, upstream: Upstream, way: str
) -> None:
    """Contract: upstream down → 502."""
    if way == "missing":
        upstream.answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        assert_502(server, upstream.url)
    else:
        upstream.go_down()
        try:
            assert_502(server, upstream.url)
        finally:
            upstream.listen()


def test_an_address_that_is_none_is_a_502_that_names_it() -> None:
    url = "http://localhost:port"
    with serve("01_async_vs_def", env={"UPSTREAM_URL": url}) as caller:
        assert_502(caller, url)
