"""Section 6: rows that outlive the server, and requests that cannot hurt it."""

import asyncio
import contextlib
import itertools
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fuzz import assert_no_500
from test_06_lifespan import APP, in_thread, load, sqlite, user
from workbook import Server, serve


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    url = sqlite(tmp_path_factory.mktemp("data") / "users.db")
    with serve("06_lifespan", env={"DATABASE_URL": url}) as server:
        yield server
    assert "Traceback" not in server.log()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        yield client


def test_a_user_is_stored_and_found(client: httpx.Client) -> None:
    """Contract: `POST /users {"username", "email"}` → 201; `GET /users`, `GET /users/{id}`."""
    answer = client.post("/users", json={"username": "林", "email": "lin@example.com"})
    assert answer.status_code == 201
    lin = answer.json()
    assert lin == {"id": lin["id"], "username": "林", "email": "lin@example.com"}
    assert client.get(f"/users/{lin['id']}").json() == lin
    assert lin in client.get("/users").json()


def test_users_come_page_by_page(client: httpx.Client) -> None:
    for number in range(5):
        assert client.post("/users", json=user(f"page{number}")).status_code == 201
    everyone = client.get("/users").json()
    pages: list[dict[str, Any]] = []
    while page := client.get(f"/users?limit=2&after={pages[-1]['id'] if pages else 0}").json():
        assert len(page) <= 2
        pages += page
    assert pages == everyone


def test_a_taken_username_is_refused(client: httpx.Client) -> None:
    """Contract: a taken username → 409."""
    assert client.post("/users", json=user("once")).status_code == 201
    answer = client.post("/users", json=user("once"))
    assert answer.status_code == 409
    assert "choose another" in answer.json()["detail"]


def test_one_of_many_who_want_a_name_at_once_gets_it(server: Server) -> None:
    async def post_all() -> list[int]:
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
            posts = (client.post("/users", json=user("wanted")) for _ in range(30))
            return sorted(answer.status_code for answer in await asyncio.gather(*posts))

    assert asyncio.run(post_all()) == [201] + [409] * 29


@pytest.mark.parametrize(
    "user_id", ["0", "999999", str(2**63 - 1), str(2**63), "9" * 5000, "-1", "x"]
)
def test_an_unknown_user_is_not_found(client: httpx.Client, user_id: str) -> None:
    """Contract: `GET /users/{id}` (404); an integer past 2^63 on its way to SQLite."""
    answer = client.get(f"/users/{user_id}")
    known_form = user_id.isdigit() and int(user_id[:25]) < 2**63
    assert answer.status_code == (404 if known_form else 422)
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=10001", "after=-1", f"after={2**63}", "after=x"]
)
def test_a_page_out_of_bounds_is_refused(client: httpx.Client, query: str) -> None:
    assert client.get(f"/users?{query}").status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        rb'{"username": "\ud800", "email": "lin@example.com"}',
        rb'{"username": "lin", "email": "\ud800@example.com"}',
        rb'{"username": "lin", "\udfff": 1}',
        rb'"\ud800"',
        b'{"username": NaN, "email": 1e999}',
        b"NaN",
        b"-Infinity",
        b"1e999",
        b'{"username": 99999999999999999999, "email": "lin@example.com"}',
        b'{"username": " ", "email": "lin@example.com"}',
        b'{"username": "' + b"x" * 65 + b'", "email": "lin@example.com"}',
        b'{"username": "x", "email": "nope"}',
        b'{"username": "x"}',
        b"[" * 100_000,
        b"\xff\xfe",
        b"{",
        b"",
    ],
    ids=lambda body: body[:40].decode("latin-1"),
)
def test_a_body_that_is_no_user_is_refused(client: httpx.Client, body: bytes) -> None:
    """Contract: NaN, 1e999 or a lone surrogate in JSON; a sentence that says what to do."""
    answer = client.post("/users", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    detail = answer.json()["detail"]
    assert isinstance(detail, str) or all(error["msg"] and error["loc"] for error in detail)


def test_the_root_leads_to_the_docs(client: httpx.Client) -> None:
    """Contract: `GET /` may redirect to `/docs`."""
    answer = client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
    assert "/" not in client.get("/openapi.json").json()["paths"]


def test_no_generated_request_makes_a_500(server: Server) -> None:
    """Contract: No request, frame or disconnect makes a 500 or a traceback in the log."""
    assert_no_500(server, leave_out="/upstream")  # 502 is its right answer here
    assert "Traceback" not in server.log()


def test_a_locked_database_is_told_as_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "users.db"
    app = load(APP, monkeypatch, DATABASE_URL=f"{sqlite(path)}?timeout=0.1").app
    with in_thread(app) as client, contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("begin exclusive")
        answer = client.post("/users", json=user("patient"))
        assert answer.status_code == 503
        assert "try again" in answer.json()["detail"]
        other.rollback()
        assert client.post("/users", json=user("patient")).status_code == 201


def test_what_was_answered_is_there_after_kill_9_and_after_a_restart(tmp_path: Path) -> None:
    """Contract: rows through `AsyncSession`, still there after a restart."""
    env = {"DATABASE_URL": sqlite(tmp_path / "users.db")}
    stored: list[dict[str, Any]] = []
    enough = threading.Event()

    def write(server: Server, writer: int) -> None:
        with httpx.Client(base_url=server.url, trust_env=False, verify=False) as client:
            for number in itertools.count():
                answer = client.post("/users", json=user(f"w{writer}n{number}"))
                assert answer.status_code == 201
                stored.append(answer.json())
                if len(stored) >= 100:
                    enough.set()

    def write_till_the_end(server: Server, writer: int) -> None:
        with contextlib.suppress(httpx.TransportError):
            write(server, writer)

    with serve("06_lifespan", env=env) as server:
        writers = [
            threading.Thread(target=write_till_the_end, args=(server, writer))
            for writer in range(4)
        ]
        for thread in writers:
            thread.start()
        assert enough.wait(20)
        server.process.kill()
        for thread in writers:
            thread.join()

    with serve("06_lifespan", env=env) as server:
        found = httpx.get(f"{server.url}/users", trust_env=False, verify=False).json()
        assert [row for row in stored if row not in found] == []
        assert len(found) <= len(stored) + len(writers), "at most what each had under way"
