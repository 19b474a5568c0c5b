"""Section 5: what is on the wire, when it arrives, and where a client goes on that comes back."""

import asyncio
import contextlib
import itertools
import json
import socket
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from waiting import until
from workbook import Server, serve

HOSTILE = ["a\nb\r\nc", "data: [DONE]", "[DONE]\n\nid: 4", "a\u2028b\x85c", '"\\', "\0", "🙂", " "]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("05_sse", env={"KEEPALIVE_SECONDS": "0.2", "TOKEN_SECONDS": "0.003"}) as server:
        yield server
    assert "Traceback" not in server.log()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=20) as client:
        yield client


def frames(response: httpx.Response) -> Iterator[str]:
    """What stands between blank lines, as it arrives."""
    text = b""
    for chunk in response.iter_raw():
        *whole, text = (text + chunk).split(b"\n\n")
        yield from map(bytes.decode, whole)
    assert text == b"", "the last event has no blank line after it"


def parse(frame: str) -> dict[str, str]:
    """The fields of one event, as the specification has it: several `data:` make lines."""
    event: dict[str, str] = {}
    for line in frame.split("\n"):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        event[field] = f"{event[field]}\n{value}" if field in event else value
    return event


def data(response: httpx.Response) -> list[str]:
    return [parse(frame)["data"] for frame in response.text.removesuffix("\n\n").split("\n\n")]


def pauses(moments: list[float]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(moments)]


def open_streams(client: httpx.Client) -> int:
    count: int = client.get("/streams").json()["open"]
    return count


# ── The format on the wire ───────────────────────────────────────────────────────────────────


@pytest.mark.claim("5.2")
@pytest.mark.parametrize("topic", ["news", "新闻"])
def test_events_are_these_bytes(client: httpx.Client, topic: str) -> None:
    """Contract: five events, each `data: {…}` with a blank line after it, then `data: [DONE]`."""
    answer = client.get(f"/events/{topic}?interval=0")
    lines = [line for line in answer.content.split(b"\n") if not line.startswith(b"id: ")]
    told = '{{"topic": "{}", "index": {}, "message": "第 {} 条消息"}}'
    expected = [*(told.format(topic, i, i + 1) for i in range(5)), "[DONE]"]
    assert b"\n".join(lines).decode() == "".join(f"data: {event}\n\n" for event in expected)
    assert answer.content.count(b"\nid: ") + 1 == 6  # Contract: each has an `id:`


@pytest.mark.claim("5.3")
@pytest.mark.parametrize("path", ["/events/news?interval=0", "/ticker", "/chat?prompt=hi"])
def test_no_cache_and_no_proxy_may_keep_a_stream(client: httpx.Client, path: str) -> None:
    """Contract: `text/event-stream`, `Cache-Control: no-cache`, `X-Accel-Buffering: no`."""
    with client.stream("GET", path) as answer:
        assert answer.headers["content-type"].split(";")[0] == "text/event-stream"
        assert answer.headers.get_list("cache-control") == ["no-cache"]
        assert answer.headers.get_list("x-accel-buffering") == ["no"]


@pytest.mark.claim("5.2")
@pytest.mark.parametrize("topic", HOSTILE)
def test_no_topic_breaks_the_framing(client: httpx.Client, topic: str) -> None:
    """Contract: `GET /events/{topic}`: five events, then `data: [DONE]`, whatever the topic."""
    *messages, done = data(client.get(f"/events/{quote(topic, safe='')}?interval=0"))
    assert [json.loads(message)["topic"] for message in messages] == [topic] * 5
    assert done == "[DONE]"


@pytest.mark.claim("5.7")
def test_data_escapes_chinese_and_raw_data_does_not(tmp_path: Path) -> None:
    app = tmp_path / "greetings.py"
    app.write_text(
        "from fastapi import FastAPI\n"
        "from fastapi.sse import EventSourceResponse, ServerSentEvent\n"
        "app = FastAPI()\n"
        "@app.get('/', response_class=EventSourceResponse)\n"
        "async def greet():\n"
        "    yield ServerSentEvent(data='你')\n"
        "    yield ServerSentEvent(raw_data='你')\n",
        encoding="utf-8",
    )
    with serve(app) as server:
        wire = httpx.get(server.url, trust_env=False).text
    assert wire == 'data: "\\u4f60"\n\ndata: 你\n\n'


# ── One by one ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.claim("5.1")
def test_events_arrive_one_by_one_and_the_first_at_once(client: httpx.Client) -> None:
    """Contract: five events, one every `interval` seconds. The first comes at once."""
    started = time.monotonic()
    with client.stream("GET", "/events/news?interval=0.2") as answer:
        arrived = [time.monotonic() - started for _ in frames(answer)]
    assert len(arrived) == 6
    assert arrived[0] < 0.5 * arrived[-1]
    assert all(moment > 0.9 * 0.2 * i for i, moment in enumerate(arrived))
    assert statistics.median(pauses(arrived)) > 0.5 * 0.2


def test_a_second_lies_between_two_events_unless_asked_otherwise(client: httpx.Client) -> None:
    """Contract: `interval` seconds (query, default 1, 0 to 10)."""
    with client.stream("GET", "/events/news?interval=0.1") as answer:
        tenth = statistics.median(pauses([time.monotonic() for _ in frames(answer)]))
    with client.stream("GET", "/events/news") as answer:
        (second,) = pauses([time.monotonic() for _ in zip(range(2), frames(answer), strict=False)])
    assert 3 < second / tenth < 30
    for bound in (0, 10):
        with client.stream("GET", f"/events/news?interval={bound}") as answer:
            assert answer.status_code == 200


@pytest.mark.claim("5.3")
@pytest.mark.anyio
async def test_a_buffering_proxy_lets_events_through_only_with_the_header(
    server: Server, tmp_path: Path
) -> None:
    """Contract: `X-Accel-Buffering: no`: five events, one every `interval` seconds."""
    app = tmp_path / "headerless.py"
    app.write_text(
        "import asyncio\n"
        "from fastapi import FastAPI\n"
        "from fastapi.responses import StreamingResponse\n"
        "app = FastAPI()\n"
        "async def count():\n"
        "    for number in range(6):\n"
        "        yield f'data: {number}\\n\\n'\n"
        "        await asyncio.sleep(0.1)\n"
        "@app.get('/events/news')\n"
        "async def events():\n"
        "    return StreamingResponse(count(), media_type='text/event-stream')\n"
    )

    async def spread(upstream: Server) -> float:
        """How long before the last event the first one came through, as a share of the whole."""

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            source, sink = await asyncio.open_connection("127.0.0.1", httpx.URL(upstream.url).port)
            try:
                sink.write(await reader.readuntil(b"\r\n\r\n"))
                head = await source.readuntil(b"\r\n\r\n")
                size = 1 if b"x-accel-buffering: no" in head.lower() else 16_384  # as nginx does
                writer.write(head)
                buffer = b""
                while chunk := await source.read(1024):
                    buffer += chunk
                    if len(buffer) >= size:
                        writer.write(buffer)
                        buffer = b""
                writer.write(buffer)
            finally:
                for end in (writer, sink):
                    end.close()
                    with contextlib.suppress(OSError):
                        await end.wait_closed()
                relayed.set()

        relayed = asyncio.Event()
        proxy = await asyncio.start_server(relay, "127.0.0.1", 0)
        url = "http://{}:{}".format(*proxy.sockets[0].getsockname())
        arrived = []
        async with proxy, httpx.AsyncClient(base_url=url, trust_env=False) as client:
            started = time.monotonic()
            request = ("GET", "/events/news?interval=0.1")
            async with client.stream(*request, headers={"Connection": "close"}) as answer:
                async for chunk in answer.aiter_raw():
                    arrived += [time.monotonic() - started] * chunk.count(b"data: ")
            await asyncio.wait_for(relayed.wait(), 10)  # it may be done later than its client
        assert len(arrived) == 6
        return (arrived[-1] - arrived[0]) / arrived[-1]

    with serve(app) as headerless:
        assert await spread(headerless) < 0.2  # all at the end
    assert await spread(server) > 0.4


# ── Coming back ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.claim("5.6")
@pytest.mark.parametrize("seen", range(5))
def test_a_client_that_comes_back_gets_what_follows(client: httpx.Client, seen: int) -> None:
    """Contract: with `Last-Event-ID` it gets what follows, not the start again."""
    with client.stream("GET", "/events/news?interval=0") as answer:
        events = [parse(frame) for frame in frames(answer)]
    last = {"Last-Event-ID": events[seen]["id"]}
    with client.stream("GET", "/events/news?interval=0", headers=last) as answer:
        assert [parse(frame) for frame in frames(answer)] == events[seen + 1 :]


@pytest.mark.claim("5.4")
@pytest.mark.parametrize("path", ["/events/news?interval=0", "/chat?prompt=hi"])
def test_a_client_that_has_had_everything_is_told_to_stay_away(
    client: httpx.Client, path: str
) -> None:
    """Contract: with `Last-Event-ID` it gets what follows, which is nothing."""
    last = parse(client.get(path).text.removesuffix("\n\n").split("\n\n")[-1])
    assert last["data"] == "[DONE]"
    again = client.get(path, headers={"Last-Event-ID": last["id"]})
    assert (again.status_code, again.content) == (204, b"")


@pytest.mark.parametrize("last", ["", "x", "-1", "1000", "1.0", "1_0", "9" * 5000, "１", "\x80"])
@pytest.mark.parametrize("path", ["/events/news?interval=0", "/chat?prompt=hi"])
def test_an_id_that_is_none_of_ours_starts_at_the_start(
    client: httpx.Client, path: str, last: str
) -> None:
    """Contract: no 500 by a non-number in `Last-Event-ID`."""
    with client.stream("GET", path, headers={b"Last-Event-ID": last.encode()}) as answer:
        assert answer.status_code == 200
        assert parse(next(frames(answer)))["id"] == "0"


# ── The chat ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.claim("5.5")
def test_an_answer_is_streamed_token_by_token(client: httpx.Client) -> None:
    """Contract: `GET /chat?prompt=…`: a made-up answer streamed token by token."""
    started = time.monotonic()
    with client.stream("GET", "/chat", params={"prompt": "什么是 SSE?" * 20}) as answer:
        arrived = [(time.monotonic() - started, parse(frame)["data"]) for frame in frames(answer)]
    (first, _), (last, done) = arrived[0], arrived[-1]
    assert len(arrived) > 20
    assert first < 0.5 * last
    assert done == "[DONE]"
    assert "什么是 SSE?" in "".join(token for _, token in arrived)


def test_chinese_in_an_answer_is_readable_on_the_wire(client: httpx.Client) -> None:
    """Contract: Chinese text is readable on the wire."""
    wire = client.get("/chat", params={"prompt": "你好"}).content
    assert "data: 好\n".encode() in wire
    assert b"\\u" not in wire


@pytest.mark.claim("5.2")
@pytest.mark.parametrize("prompt", [*HOSTILE, "一\n\n二"])
def test_several_lines_take_several_data_lines(client: httpx.Client, prompt: str) -> None:
    answer = client.get("/chat", params={"prompt": prompt})
    assert data(answer).index("[DONE]") == len(data(answer)) - 1
    shown = prompt.replace("\r\n", "\n")  # all ends of line are one to an EventSource
    assert shown in "".join(data(answer))
    wanted = "data: \ndata: \ndata: \n" if "\n\n" in prompt else "data: "
    assert wanted in answer.text


@pytest.mark.claim("5.6")
def test_an_answer_that_was_cut_off_goes_on(client: httpx.Client) -> None:
    whole = data(client.get("/chat?prompt=hi"))
    rest = data(client.get("/chat?prompt=hi", headers={"Last-Event-ID": "9"}))
    assert rest == whole[10:]


# ── The ticker, and how many streams are open ────────────────────────────────────────────────


def test_a_silent_ticker_sends_comments(client: httpx.Client) -> None:
    """Contract: a comment line as keep-alive when nothing to say for `KEEPALIVE_SECONDS`."""
    with client.stream("GET", "/ticker?interval=60") as answer:
        arriving = frames(answer)
        first, *rest = (next(arriving) for _ in range(4))
    assert first.startswith("data: ")
    assert all(frame.startswith(":") and "\n" not in frame for frame in rest)


def test_a_busy_ticker_needs_no_comment_and_has_no_end(client: httpx.Client) -> None:
    """Contract: `GET /ticker`: endless."""
    with client.stream("GET", "/ticker?interval=0.1") as answer:
        arriving = frames(answer)
        assert all(next(arriving).startswith("data: ") for _ in range(10))


@pytest.mark.parametrize("path", ["/ticker?interval=60", "/events/news?interval=10", "/chat"])
@pytest.mark.parametrize("farewell", ["close", "reset"])
def test_a_client_that_goes_away_stops_its_generator(
    server: Server, client: httpx.Client, path: str, farewell: str
) -> None:
    """Contract: it stops within a second. `GET /streams`: how many are open."""
    until(lambda: open_streams(client) == 0)
    url = httpx.URL(server.url)
    if path == "/chat":
        path = f"/chat?prompt={'a+' * 250}"  # long enough to be cut off
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            peer = stack.enter_context(socket.create_connection((url.host, url.port or 0)))
            peer.sendall(f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
            assert b"200 OK" in peer.recv(1024)
            if farewell == "reset":
                linger = (1).to_bytes(4, "little") + bytes(4)
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        assert open_streams(client) == 5
        gone = time.monotonic()
    until(lambda: open_streams(client) == 0)
    assert time.monotonic() - gone < 1


def test_300_streams_are_open_at_once(server: Server, client: httpx.Client) -> None:
    """Contract: `GET /streams`: how many are open."""
    url = httpx.URL(server.url)
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            peer = stack.enter_context(socket.create_connection((url.host, url.port or 0)))
            peer.sendall(b"GET /events/news?interval=10 HTTP/1.1\r\nHost: here\r\n\r\n")
        until(lambda: open_streams(client) == 300)
        assert len(data(client.get("/events/news?interval=0"))) == 6
    until(lambda: open_streams(client) == 0)
