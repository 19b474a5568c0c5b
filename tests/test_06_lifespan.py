"""Section 6: what runs before the first request and after the last, and the rows in between."""

import asyncio
import contextlib
import importlib.util
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from waiting import until
from workbook import ROOT, serve
from workbook.server import ServerError

pytestmark = pytest.mark.anyio

APP = ROOT / "examples" / "06_lifespan.py"
START = ["启动:初始化 HTTP 客户端连接池...", "启动:创建数据库表...", "应用启动完成!"]
STOP = ["关闭:释放 HTTP 客户端...", "应用已安全关闭"]

# One client for everybody, in a module global; the stop is a flat list of steps.
NAIVE = """
import os
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import create_async_engine

DATABASE_URL = os.environ["DATABASE_URL"]
courier = None

@asynccontextmanager
async def lifespan(app):
    global courier
    courier = httpx.AsyncClient()
    engine = create_async_engine(DATABASE_URL)
    yield {"client": courier}
    await engine.dispose()
    await courier.aclose()

app = FastAPI(lifespan=lifespan)

@app.get("/courier")
async def look_at_courier():
    return {"closed": courier.is_closed}
"""


# ── Running it ───────────────────────────────────────────────────────────────────────────────


def load(path: Path, monkeypatch: pytest.MonkeyPatch, **env: str) -> ModuleType:
    """Import an app afresh, with settings of its own, as a second instance in this process."""
    for key, value in env.items():
        monkeypatch.setenv(key, value)
    spec = importlib.util.spec_from_file_location(f"instance{time.monotonic_ns()}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def in_thread(app: FastAPI) -> Iterator[httpx.Client]:
    """A real uvicorn in a thread of ours, and a client for it."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started or not thread.is_alive())
    assert server.started
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(10)
    assert not thread.is_alive()


def sqlite(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path.as_posix()}"


def said(log: str) -> list[str]:
    return [line for line in log.splitlines() if line in START + STOP]


def user(name: str) -> dict[str, str]:
    return {"username": name, "email": "lin@example.com"}


# ── Start and stop ───────────────────────────────────────────────────────────────────────────


@pytest.mark.claim("6.1")
@pytest.mark.claim("6.3")
def test_start_runs_once_before_the_first_request_and_stop_after_the_last(tmp_path: Path) -> None:
    """Contract: On start it prints, in order, … on stop … (and default: SQLite, in a file).

    Standard output is a plain pipe here: buffered, and in an encoding that has no Chinese, as
    Windows may have it. The app is a copy in an empty folder.
    """
    copy = Path(shutil.copy(APP, tmp_path))
    with serve(copy, env={"PYTHONUNBUFFERED": "", "PYTHONIOENCODING": "ascii"}) as server:
        assert said(server.log()) == START
        with contextlib.closing(sqlite3.connect(tmp_path / "workbook.db")) as database:
            assert database.execute("select count(*) from users").fetchone() == (0,)
        for _ in range(3):
            assert httpx.get(f"{server.url}/users", trust_env=False, verify=False).json() == []
    log = server.log()
    assert said(log) == START + STOP
    order = [START[-1], "GET /users", "Shutting down", STOP[0]]
    assert sorted(order, key=log.index) == order


@pytest.mark.claim("6.5")
@pytest.mark.parametrize(
    ("address", "complaint"),
    [("nonsense", "Could not parse"), ("sqlite+aiosqlite:////no/where/x.db", "unable to open")],
)
def test_a_start_that_fails_half_way_releases_what_was_opened(address: str, complaint: str) -> None:
    """Contract: Start that fails half way releases what was opened and exits non-zero."""
    with pytest.raises(ServerError, match=r"exit code [1-9]") as failure:
        serve("06_lifespan", env={"DATABASE_URL": address})
    assert complaint in str(failure.value)
    assert said(str(failure.value)) == [START[0], START[1], STOP[0]]


async def release(
    path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, database: str
) -> list[str]:
    """Start and stop an app whose `broken` step fails, and tell what was released."""
    released = []

    def watch(kind: type, method: str, name: str) -> None:
        original = getattr(kind, method)

        async def watched(self: object) -> None:
            released.append(name)
            await original(self)
            if name == broken:
                raise OSError(f"{name} would not go")

        monkeypatch.setattr(kind, method, watched)

    watch(httpx.AsyncClient, "aclose", "client")
    watch(AsyncEngine, "dispose", "engine")
    app: FastAPI = load(path, monkeypatch, DATABASE_URL=database).app
    with contextlib.suppress(Exception):
        async with app.router.lifespan_context(app):
            pass
    return sorted(released)


@pytest.mark.claim("6.5")
@pytest.mark.parametrize("broken", ["nothing", "client", "engine", "start"])
async def test_a_release_that_fails_does_not_stop_the_next(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken: str,
) -> None:
    """Contract: At stop the client is closed and the engine disposed."""
    if broken == "start":
        (tmp_path / "users.db").write_bytes(b"not a database " * 100)  # it opens, and then fails
    database = sqlite(tmp_path / "users.db")
    assert await release(APP, monkeypatch, broken, database) == ["client", "engine"]
    # "safely closed" is not said when it is not so
    lines = {"nothing": START + STOP, "start": [START[0], START[1], STOP[0]]}
    assert said(capsys.readouterr().out) == lines.get(broken, [*START, STOP[0]])


@pytest.mark.claim("6.5")
async def test_a_flat_list_of_steps_leaks_when_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same check, on an app without an exit stack."""
    naive = tmp_path / "naive.py"
    naive.write_text(NAIVE)
    with monkeypatch.context() as patch:
        assert await release(naive, patch, "engine", sqlite(tmp_path / "x.db")) == ["engine"]
    with monkeypatch.context() as patch:
        assert await release(naive, patch, "start", "nonsense") == []


@pytest.mark.claim("6.6")
def test_every_worker_runs_its_own_lifespan_and_all_write_at_once(tmp_path: Path) -> None:
    """And they start on one new database, and write to it at once."""
    url = sqlite(tmp_path / "users.db")
    with serve("06_lifespan", "--workers=2", env={"DATABASE_URL": url}) as server:
        assert said(server.log()).count(START[-1]) == 2

        async def write_all() -> set[int]:
            limits = httpx.Limits(max_connections=20)
            async with httpx.AsyncClient(
                base_url=server.url, limits=limits, trust_env=False, timeout=30
            ) as client:
                posts = (client.post("/users", json=user(f"n{i}")) for i in range(60))
                return {answer.status_code for answer in await asyncio.gather(*posts)}

        assert asyncio.run(write_all()) == {201}
        found = httpx.get(f"{server.url}/users", trust_env=False, verify=False).json()
        assert len(found) == 60
    assert sorted(said(server.log())) == sorted((START + STOP) * 2)
    assert "Traceback" not in server.log()


@pytest.mark.claim("6.6")
async def test_workers_that_all_find_no_table_at_once_all_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app: FastAPI = load(APP, monkeypatch, DATABASE_URL=sqlite(tmp_path / "users.db")).app
    async with contextlib.AsyncExitStack() as stack:
        starts = (app.router.lifespan_context(app) for _ in range(8))
        await asyncio.gather(*(stack.enter_async_context(start) for start in starts))


@pytest.mark.claim("6.7")
async def test_an_in_process_client_runs_the_lifespan_only_when_it_is_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app: FastAPI = load(APP, monkeypatch, DATABASE_URL=sqlite(tmp_path / "users.db")).app
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        with pytest.raises(AttributeError):  # nobody made an engine
            await client.get("/users")
    assert said(capsys.readouterr().out) == []

    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        transport = httpx.ASGITransport(with_state)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            assert (await client.get("/users")).json() == []
    assert said(capsys.readouterr().out) == START + STOP


# ── Two in one process ───────────────────────────────────────────────────────────────────────


@pytest.mark.claim("6.4")
def test_two_instances_in_one_process_share_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: two instances in one process share nothing."""
    apps = [
        load(APP, monkeypatch, DATABASE_URL=sqlite(tmp_path / f"{name}.db")).app
        for name in ("first", "second")
    ]
    with in_thread(apps[0]) as first:
        with in_thread(apps[1]) as second:
            assert first.post("/users", json=user("lin")).status_code == 201
            assert second.get("/users").json() == []
            assert second.post("/users", json=user("lin")).status_code == 201
        assert len(first.get("/users").json()) == 1


@pytest.mark.claim("6.4")
def test_one_app_served_twice_in_one_process_shares_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: Resources hang on lifespan state, not on module globals.

    A second server over the same app comes and goes; with a global, it replaces the client of
    the first and closes it.
    """
    database = sqlite(tmp_path / "users.db")
    # Nothing listens on port 1: a client that lives says 502, a closed one cannot even try.
    app = load(APP, monkeypatch, DATABASE_URL=database, UPSTREAM_URL="http://127.0.0.1:1").app
    with in_thread(app) as first:
        with in_thread(app) as second:
            assert "ConnectError" in second.get("/upstream").json()["detail"]
        assert "ConnectError" in first.get("/upstream").json()["detail"]
        assert first.post("/users", json=user("lin")).status_code == 201

    naive = tmp_path / "naive.py"
    naive.write_text(NAIVE)
    app = load(naive, monkeypatch).app
    with in_thread(app) as first:
        assert first.get("/courier").json() == {"closed": False}
        with in_thread(app):
            pass
        assert first.get("/courier").json() == {"closed": True}
