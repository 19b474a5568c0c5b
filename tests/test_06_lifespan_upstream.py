"""Section 6: one pooled client for the app's life, and an upstream that does as it likes."""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from crowd import get_at_once
from test_06_lifespan import APP, in_thread, load, sqlite
from upstream import Upstream
from workbook import Server, serve

PATIENCE = 0.5  # UPSTREAM_TIMEOUT of the server that is to run out of it

# A client for every request: nothing to start, nothing to stop, and nothing to reuse.
NAIVE = """
import os

import httpx
from fastapi import FastAPI

app = FastAPI()

@app.get("/upstream")
async def call_upstream():
    async with httpx.AsyncClient() as client:
        return (await client.get(os.environ["UPSTREAM_URL"])).text
"""


@pytest.fixture(scope="module")
def running() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture
def upstream(running: Upstream) -> Iterator[Upstream]:
    yield running
    running.reset()


@pytest.fixture(scope="module")
def server(running: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    url = sqlite(tmp_path_factory.mktemp("data") / "users.db")
    with serve("06_lifespan", env={"DATABASE_URL": url, "UPSTREAM_URL": running.url}) as server:
        yield server
    assert "Traceback" not in server.log()


@pytest.fixture(scope="module")
def hasty_server(running: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    url = sqlite(tmp_path_factory.mktemp("data") / "users.db")
    env = {"DATABASE_URL": url, "UPSTREAM_URL": running.url, "UPSTREAM_TIMEOUT": str(PATIENCE)}
    with serve("06_lifespan", env=env) as server:
        yield server
    assert "Traceback" not in server.log()


def get(server: Server) -> httpx.Response:
    return httpx.get(f"{server.url}/upstream", trust_env=False, verify=False, timeout=30)


def burst(url: str, calls: int) -> Counter[int]:
    """Call so often at once, and count the answers by status."""
    answers = asyncio.run(get_at_once(f"{url}/upstream", calls))
    return Counter(status for status, _ in answers)


def call_in_turn(server: Server, calls: int) -> float:
    """Call so often, one after another, and return the median time of a call."""
    with httpx.Client(base_url=server.url, trust_env=False, verify=False) as client:
        answers = [client.get("/upstream") for _ in range(calls)]
    assert {answer.status_code for answer in answers} == {200}
    return statistics.median(answer.elapsed.total_seconds() for answer in answers)


# ── The pool ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.claim("6.2")
def test_a_pooled_client_saves_a_connection_per_call(
    server: Server, upstream: Upstream, tmp_path: Path
) -> None:
    """Contract: 200 calls one after another open at most 3 connections."""
    before = upstream.opened
    pooled = call_in_turn(server, 200)
    assert upstream.opened - before <= 3

    path = tmp_path / "naive.py"
    path.write_text(NAIVE)
    with serve(path, env={"UPSTREAM_URL": upstream.url}) as naive:
        before = upstream.opened
        per_request = call_in_turn(naive, 10)
        assert upstream.opened - before == 10
    assert pooled < per_request / 2


@pytest.mark.claim("6.2")
def test_a_burst_opens_no_more_than_100_connections_and_the_next_reuses_them(
    server: Server, upstream: Upstream
) -> None:
    """Contract: bursts reuse them, never more than 100 are open."""
    upstream.delay, upstream.peak = 1, 0
    assert burst(server.url, 150) == {200: 150}
    assert 50 < upstream.peak <= 100
    before, upstream.delay = upstream.opened, 0
    assert burst(server.url, 50) == {200: 50}
    assert upstream.opened == before


def test_calls_that_gave_up_in_the_queue_leave_the_pool_whole(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: slower than `UPSTREAM_TIMEOUT` → 504, also for those who wait for a connection.

    In httpx's own queue each of them can take a connection along (encode/httpcore #1093).
    """
    env = {"DATABASE_URL": sqlite(tmp_path / "users.db"), "UPSTREAM_URL": upstream.url}
    module = load(APP, monkeypatch, UPSTREAM_TIMEOUT=str(PATIENCE), **env)
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 2)  # two are lost sooner than a hundred
    with in_thread(module.app) as client:
        upstream.delay = 60
        for _ in range(2):
            assert burst(str(client.base_url), 20) == {504: 20}
        upstream.reset()
        assert client.get("/upstream").status_code == 200


# ── What the upstream may do ─────────────────────────────────────────────────────────────────


def test_the_upstreams_answer_is_passed_on(server: Server, upstream: Upstream) -> None:
    """Contract: `GET /upstream`: what `UPSTREAM_URL` answers."""
    body = "天气".encode("gbk")
    upstream.answer = (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=gbk\r\n"
        b"Connection: close\r\nX-Secret: 1\r\nContent-Length: 4\r\n\r\n" + body
    )
    answer = get(server)
    assert (answer.status_code, answer.content) == (404, body)
    assert answer.headers["content-type"] == "text/plain; charset=gbk"
    assert "x-secret" not in answer.headers


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (204, b"HTTP/1.1 204 No Content\r\n\r\n"),
        (200, b"HTTP/1.1 200 OK\r\nContent-Type: \xe5\xa4\xa9\r\nContent-Length: 0\r\n\r\n"),
        (200, b"HTTP/1.0 200 OK\r\n\r\nuntil the end"),
        (502, b"HTTP/1.1 999 Hm\r\nContent-Length: 0\r\n\r\n"),
        (502, b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        (502, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"),
        (502, b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok"),
        (502, b"HTTP/1.1 200 OK\r\nContent-Length: 11000000\r\n\r\n" + b"x" * 11_000_000),
        (502, b"SSH-2.0-OpenSSH_9.6\r\n"),
        (502, b""),
    ],
    ids=lambda value: value[:60].decode("latin-1") if isinstance(value, bytes) else str(value),
)
def test_whatever_the_upstream_answers_is_no_500(
    server: Server, upstream: Upstream, status: int, answer: bytes
) -> None:
    """Contract: No request, frame or disconnect makes a 500."""
    upstream.answer = answer
    assert get(server).status_code == status
    upstream.reset()
    assert get(server).text == "ok"


def test_an_upstream_that_is_down_is_a_502_until_it_is_back(
    server: Server, upstream: Upstream
) -> None:
    """Contract: Upstream down → 502."""
    upstream.go_down()
    try:
        answer = get(server)
    finally:
        upstream.listen()
    assert answer.status_code == 502
    assert "set UPSTREAM_URL" in answer.json()["detail"]
    assert get(server).status_code == 200


@pytest.mark.parametrize("slow", ["silent", "dripping"])
def test_an_upstream_that_is_too_slow_is_a_504(
    hasty_server: Server, upstream: Upstream, slow: str
) -> None:
    """Contract: slower than `UPSTREAM_TIMEOUT` → 504, even if it never stops for as long."""
    upstream.delay, upstream.drip = (60, 0) if slow == "silent" else (0, PATIENCE / 5)
    started = time.monotonic()
    answer = get(hasty_server)
    assert answer.status_code == 504
    assert "UPSTREAM_TIMEOUT" in answer.json()["detail"]
    assert time.monotonic() - started >= PATIENCE


@pytest.mark.parametrize(
    "url", ["", "nonsense", "ftp://127.0.0.1/", "http://[::1", "http://127.0.0.1:99999/",
            "http://127.0.0.1/\udcff", "http://\udcff/", "http://127.0.0.1:1/"]
)  # fmt: skip
def test_an_address_nobody_can_call_is_a_502(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = sqlite(tmp_path / "users.db")
    app = load(APP, monkeypatch, DATABASE_URL=database, UPSTREAM_URL=url).app
    with in_thread(app) as client:
        answer = client.get("/upstream")
    assert answer.status_code == 502
    assert "set UPSTREAM_URL" in answer.json()["detail"]


def test_the_client_waits_30_seconds_and_calls_section_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: `httpx.AsyncClient(timeout=30.0, …)`; `UPSTREAM_TIMEOUT` (default 30)."""
    for key in ("UPSTREAM_TIMEOUT", "UPSTREAM_URL", "DATABASE_URL"):
        monkeypatch.delenv(key, raising=False)
    module = load(APP, monkeypatch)
    assert module.UPSTREAM_TIMEOUT == 30
    assert module.UPSTREAM_URL == "http://127.0.0.1:8001/ping"
    assert module.DATABASE_URL == "sqlite+aiosqlite:///workbook.db"
