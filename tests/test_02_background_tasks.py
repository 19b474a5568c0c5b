"""Section 2: what runs after the answer, in which order, and what is left when things fail."""

import asyncio
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fuzz import assert_no_500
from waiting import until
from workbook import ROOT, Server, serve

EMAIL_SECONDS = 0.3
ANSWER = '{"message":"注册成功!欢迎邮件将在后台发送"}'
APP = ROOT / "examples" / "02_background_tasks.py"

# The framework's own list of tasks, with nothing around them.
NAIVE = """
from fastapi import BackgroundTasks, FastAPI, HTTPException

app = FastAPI()

def lose():
    raise ConnectionError("the van broke down")

def stamp(parcel):
    print(f"stamped {parcel}", flush=True)

@app.post("/parcels/lost")
def send_lost(tasks: BackgroundTasks):
    tasks.add_task(lose)
    tasks.add_task(stamp, "a lost parcel")

@app.post("/parcels/refused")
def send_refused(tasks: BackgroundTasks):
    tasks.add_task(stamp, "a refused parcel")
    raise HTTPException(409, "no such street")

@app.post("/parcels/good")
def send_good(tasks: BackgroundTasks):
    tasks.add_task(stamp, "a good parcel")
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("02_background_tasks", env={"EMAIL_SECONDS": str(EMAIL_SECONDS)}) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def naive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    path = tmp_path_factory.mktemp("naive") / "parcels.py"
    path.write_text(NAIVE, encoding="utf-8")
    with serve(path) as server:
        yield server


def post(server: Server, path: str, **query: str) -> httpx.Response:
    # verify=False: nothing here is TLS, and loading its certificates takes longer than the call.
    return httpx.post(server.url + path, params=query, trust_env=False, verify=False)


def register(server: Server, email: str, username: str = "lin") -> httpx.Response:
    answer = post(server, "/register", email=email, username=username)
    assert answer.status_code == 200, answer.text
    return answer


def mail_for(client: httpx.Client, email: str) -> dict[str, Any] | None:
    mails: list[dict[str, Any]] = client.get("/outbox").json()
    return next((mail for mail in mails if mail["email"] == email), None)


def settle(client: httpx.Client, server: Server) -> list[dict[str, Any]]:
    """Wait for all tasks under way, by one more that can only end after them."""
    name = f"settle{time.monotonic_ns()}"
    register(server, f"{name}@example.com", name)
    until(lambda: mail_for(client, f"{name}@example.com"))
    until(lambda: "[AUDIT]" in server.log().partition(f",用户名:{name}\n")[2])
    return audit(client)


def audit(client: httpx.Client) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = client.get("/audit").json()
    return entries


# ── After the answer ─────────────────────────────────────────────────────────────────────────


@pytest.mark.claim("2.1")
def test_the_answer_is_there_at_once_and_the_mail_later(
    server: Server, client: httpx.Client
) -> None:
    """Contract: `POST /register` → 200 at once. `GET /outbox`: so that a client can see it."""
    asked = time.time()
    answer = register(server, "soon@example.com")
    answered = time.time()
    assert mail_for(client, "soon@example.com") is None
    mail = until(lambda: mail_for(client, "soon@example.com"))
    assert answer.elapsed.total_seconds() < EMAIL_SECONDS / 2
    assert answered - asked < mail["at"] - asked
    assert mail["at"] - asked >= 0.95 * EMAIL_SECONDS


def test_the_answer_is_the_chapters_to_the_byte(server: Server) -> None:
    """Contract: `{"message": "注册成功!欢迎邮件将在后台发送"}`."""
    assert register(server, "bytes@example.com").content == ANSWER.encode()


@pytest.mark.claim("2.2")
def test_async_tasks_run_on_the_loop_and_def_tasks_in_the_pool(
    server: Server, client: httpx.Client
) -> None:
    register(server, "threads@example.com")
    mail = until(lambda: mail_for(client, "threads@example.com"))
    assert mail["thread"] == "MainThread"
    assert "MainThread" not in {entry["thread"] for entry in settle(client, server)}


@pytest.mark.claim("2.3")
def test_tasks_run_one_after_another_so_the_audit_line_waits_for_the_mail(
    tmp_path: Path,
) -> None:
    """Contract: After the response, in this order. `user_id` counts up from 1.

    And the app stands alone: this is a copy in an empty folder.
    """
    copy = shutil.copy(APP, tmp_path)
    with (
        serve(Path(copy), env={"EMAIL_SECONDS": "0.2"}) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        for number in (1, 2):
            asked = time.time()
            register(server, f"u{number}@example.com", f"u{number}")
            until(lambda: len(audit(client)) == number)  # noqa: B023
            entry = audit(client)[-1]
            mail = mail_for(client, f"u{number}@example.com")
            assert mail
            assert asked + 0.19 <= mail["at"] <= entry["at"]
            assert (entry["user_id"], entry["action"]) == (number, "register")
    said = [line for line in server.log().splitlines() if "欢迎" in line or "AUDIT" in line]
    assert said == [
        "欢迎邮件已发送到 u1@example.com,用户名:u1",
        "[AUDIT] user=1 action=register",
        "欢迎邮件已发送到 u2@example.com,用户名:u2",
        "[AUDIT] user=2 action=register",
    ]


def test_fifty_registrations_take_one_mails_time_not_fifty(
    server: Server, client: httpx.Client
) -> None:
    """Contract: 50 registrations at once take one `EMAIL_SECONDS`, not fifty."""

    async def register_all() -> None:
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as many:
            names = [{"email": f"n{i}@example.com", "username": f"n{i}"} for i in range(50)]
            answers = await asyncio.gather(*(many.post("/register", params=n) for n in names))
            assert {answer.status_code for answer in answers} == {200}

    started = time.time()
    asyncio.run(register_all())
    entries = settle(client, server)
    mails = [m for m in client.get("/outbox").json() if m["username"][0] == "n"]
    assert len(mails) == 50
    assert max(mail["at"] for mail in mails) - started < 10 * EMAIL_SECONDS
    ids = [entry["user_id"] for entry in entries]
    assert sorted(ids) == list(range(1, max(ids) + 1)), "each number once, none left out"
    lines = server.log().splitlines()
    assert all(f"[AUDIT] user={i} action=register" in lines for i in ids), "lines got mixed"


def test_a_client_that_does_not_wait_for_the_answer_gets_its_mail(
    server: Server, client: httpx.Client
) -> None:
    """Contract: No request, frame or disconnect makes a 500 or a traceback."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        target = b"/register?email=hasty@example.com&username=hasty"
        raw.sendall(b"POST " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert until(lambda: mail_for(client, "hasty@example.com"))


# ── Tasks that fail ──────────────────────────────────────────────────────────────────────────


def test_a_failing_mail_is_told_and_the_audit_line_still_comes(
    server: Server, client: httpx.Client
) -> None:
    """Contract: A task that fails is logged with its traceback, the tasks after it still run."""
    before = len(settle(client, server))
    seen = len(server.log())
    assert register(server, "unlucky@example.com", "fail").content == ANSWER.encode()
    until(lambda: len(audit(client)) == before + 1)
    told = server.log()[seen:]
    assert "send_welcome_email('unlucky@example.com', 'fail') failed\nTraceback" in told
    assert told.index("ConnectionError") < told.index(f"[AUDIT] user={before + 1} ")
    assert mail_for(client, "unlucky@example.com") is None


@pytest.mark.claim("2.4")
def test_in_the_frameworks_own_list_a_failing_task_takes_the_later_ones_along(
    naive: Server,
) -> None:
    """Kludex/starlette #3194."""
    assert post(naive, "/parcels/lost").status_code == 200, "the client is not told"
    until(lambda: "the van broke down" in naive.log())
    post(naive, "/parcels/good")
    until(lambda: "stamped a good parcel" in naive.log())
    assert "stamped a lost parcel" not in naive.log()


@pytest.mark.claim("2.5")
def test_no_task_runs_when_the_handler_raises(naive: Server) -> None:
    """fastapi #13116."""
    assert post(naive, "/parcels/refused").status_code == 409
    post(naive, "/parcels/good")
    until(lambda: "stamped a good parcel" in naive.log())
    assert "stamped a refused parcel" not in naive.log()


# ── Shutdown ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.claim("2.6")
def test_a_mail_holds_up_shutdown_for_the_two_seconds_it_takes() -> None:
    """Contract: `EMAIL_SECONDS`, default 2. What it prints must get through a plain pipe.

    Such a pipe is buffered, and on Windows in an encoding that has no Chinese.
    """
    env = {"PYTHONUNBUFFERED": "", "PYTHONIOENCODING": "ascii"}
    with serve("02_background_tasks", env=env) as server:
        started = time.monotonic()
        register(server, "last@example.com")
        server.stop()
        assert 2 <= time.monotonic() - started < 4.5
    order = ("Shutting down", "欢迎邮件已发送到 last@example.com,用户名:lin", "[AUDIT] user=1 ")
    assert sorted(order, key=server.log().index) == list(order)


@pytest.mark.claim("2.6")
def test_a_mail_cut_off_by_shutdown_is_logged_with_its_address() -> None:
    """Contract: A task cut off by shutdown is logged with the address it was for."""
    grace = ("--timeout-graceful-shutdown", "0")
    with serve("02_background_tasks", *grace, env={"EMAIL_SECONDS": "60"}) as server:
        for name in ("ann", "bob"):
            register(server, f"{name}@example.com", name)
    for name in ("ann", "bob"):
        task = f"send_welcome_email('{name}@example.com', '{name}')"
        assert f"{task} and the tasks after it were cut off by shutdown" in server.log()
    assert "欢迎" not in server.log()
    assert "[AUDIT]" not in server.log()


@pytest.mark.claim("2.6")
def test_kill_9_loses_the_mail_without_a_word() -> None:
    with serve("02_background_tasks", env={"EMAIL_SECONDS": "0.5"}) as server:
        register(server, "gone@example.com")
        server.process.kill()
        server.process.wait()
    traces = [line for line in server.log().splitlines() if "gone" in line]
    assert len(traces) == 1, traces
    assert "POST /register" in traces[0], "the request's own line in the access log"


# ── What is refused ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "email",
    ["", " ", "nope", "a@", "@b.co", "a b@c.de", "a@b", "a@b.co,c@d.de", "a@b.co\nx", "x\0@b.co",
     "a\u2028@b.co", "\u202ea@b.co", "a@" + "b" * 3000 + ".co"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(server: Server, email: str) -> None:
    """Contract: an address that is none → 422."""
    answer = post(server, "/register", email=email, username="lin")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", "email"]
    assert "not a valid email address" in answer.json()["detail"][0]["msg"]


@pytest.mark.parametrize(
    "username",
    ["", " ", "x\n[AUDIT] user=999 action=register", "x\r", "x\0", "x\x1b[2J", "x\x85y",
     "x\u2028y", "x\u202ey", "\t", "x" * 65],
)  # fmt: skip
def test_a_username_that_is_not_one_printable_line_is_refused(
    server: Server, username: str
) -> None:
    """Contract: an empty username → 422. A username is one printable line."""
    answer = post(server, "/register", email="lin@example.com", username=username)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", "username"]
    assert answer.json()["detail"][0]["msg"]
    assert "\n[AUDIT] user=999" not in server.log()


@pytest.mark.parametrize("missing", ["email", "username"])
def test_both_parameters_are_needed(server: Server, missing: str) -> None:
    query = {"email": "lin@example.com", "username": "lin"}
    del query[missing]
    assert post(server, "/register", **query).status_code == 422


def test_names_and_addresses_may_be_in_any_script(server: Server, client: httpx.Client) -> None:
    register(server, "用户@例子.中国", "林 🐳")
    assert until(lambda: mail_for(client, "用户@例子.中国"))["username"] == "林 🐳"
    assert "欢迎邮件已发送到 用户@例子.中国,用户名:林 🐳\n" in server.log()


def test_bytes_that_are_no_utf8_do_no_harm(server: Server) -> None:
    url = f"{server.url}/register?email=raw@example.com&username=%ff%ed%a0%80"
    assert httpx.post(url, trust_env=False).status_code in (200, 422)


def test_the_root_leads_to_the_docs(client: httpx.Client) -> None:
    """Contract: `GET /` may redirect to `/docs`."""
    answer = client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
    assert client.get("/docs").status_code == 200
    assert "/" not in client.get("/openapi.json").json()["paths"]


def test_no_generated_request_makes_a_500(server: Server, client: httpx.Client) -> None:
    """Contract: No request, frame or disconnect makes a 500 or a traceback in the log."""
    seen = server.log().count("Traceback")  # of the mail that was meant to fail
    assert_no_500(server)
    settle(client, server)
    assert server.log().count("Traceback") == seen
