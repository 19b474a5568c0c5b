"""Section 5: clients that don't keep to the rules get a 4xx, and leave no trace in the log."""

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from fuzz import assert_no_500
from workbook import Server, serve


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("05_sse", env={"TOKEN_SECONDS": "0", "KEEPALIVE_SECONDS": "0"}) as server:
        yield server
    assert "Traceback" not in server.log()
    assert " 500 " not in server.log()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=10) as client:
        yield client


@pytest.mark.parametrize("interval", ["-0.1", "10.1", "nan", "-inf", "1e999", "x", "", "%ED%A0%80"])
def test_an_interval_out_of_bounds_is_refused(client: httpx.Client, interval: str) -> None:
    """Contract: `interval` seconds (query, default 1, 0 to 10)."""
    answer = client.get(f"/events/news?interval={interval}")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["msg"]


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("/chat", "Field required"),
        ("/chat?prompt=", "at least 1 character"),
        (f"/chat?prompt={'x' * 501}", "at most 500 characters"),
        (f"/events/{'x' * 201}", "at most 200 characters"),
        ("/ticker?interval=0", "greater than or equal to 0.1"),
        ("/ticker?interval=nan", "less than or equal to 60"),
    ],
)
def test_a_wrong_request_is_told_what_to_do(client: httpx.Client, path: str, advice: str) -> None:
    """Contract: what a client does wrong gets a 4xx with a sentence that says what to do."""
    answer = client.get(path)
    assert answer.status_code == 422
    assert advice in answer.json()["detail"][0]["msg"]


def test_no_pause_between_comments_means_no_comments(client: httpx.Client) -> None:
    """`KEEPALIVE_SECONDS=0` is no reason to send them without end."""
    with client.stream("GET", "/ticker?interval=0.1") as answer:
        lines = (line for line in answer.iter_lines() if line)
        assert all(next(lines).startswith("data: ") for _ in range(3))


@pytest.mark.parametrize("bytes_", ["%FF", "%ED%A0%80", "a%00", "%25", "%E2%80%A8"])
def test_bytes_that_are_no_text_are_replaced(client: httpx.Client, bytes_: str) -> None:
    """Contract: no request makes a 500 or a traceback."""
    events = client.get(f"/events/{bytes_}?interval=0").text
    message = json.loads(events.partition("data: ")[2].split("\n")[0])
    assert message["index"] == 0


@pytest.mark.parametrize("path", ["/events/news", "/chat?prompt=hi", "/ticker", "/streams"])
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "PUT", "DELETE"])
def test_only_get_opens_a_stream(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /events/news?interval=0 HTTP/1.0\r\n\r\n",
        b"GET /events/\xff\xfe HTTP/1.1\r\nHost: here\r\n\r\n",
        b"GET /events/news?interval=0&interval=\xff HTTP/1.1\r\nHost: here\r\n\r\n",
        b"GET /events/news HTTP/1.1\r\nHost: here\r\nLast-Event-ID: \xff\xfe\r\n\r\n",
        b"GET /chat?prompt=hi HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\n{",
        b"GET /ticker HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"\0\xff\r\n\r\n",
    ],
)
def test_a_strange_request_is_answered_and_forgotten(
    server: Server, client: httpx.Client, request_: bytes
) -> None:
    """Contract: no request or disconnect makes a 500 or a traceback in the server's log."""
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port or 0), timeout=5) as peer:
        peer.sendall(request_)
        assert not peer.recv(1024).startswith(b"HTTP/1.1 5")
    assert client.get("/streams").status_code == 200
    assert "Traceback" not in server.log()


def test_no_generated_request_makes_a_500(server: Server) -> None:
    """Contract: no request makes a 500 or a traceback in the server's log."""

    def hurry(case: Any) -> None:
        with contextlib.suppress(TypeError, ValueError):
            if (interval := float(case.query.get("interval", 1))) <= 10:
                case.query["interval"] = min(0.0, interval)  # as right or wrong, sooner over

    assert_no_500(server, leave_out="/ticker", change=hurry)  # the ticker has no end
    assert "Traceback" not in server.log()
