"""Section 3: what a client does wrong ends its own connection, and nothing else."""

import contextlib
import os
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import workbook
from fuzz import assert_no_500
from test_03_websocket import RECEIPT, address, joined, left, serve_naive
from workbook.server import Server

DEADLINE = 10
TEXT, BINARY, CLOSE, PING = 0x81, 0x82, 0x88, 0x89  # a frame's first byte: final, and its kind


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with workbook.serve("03_websocket") as server:
        yield server
    assert "Traceback" not in server.log()


@pytest.fixture
def witness(server: Server) -> Iterator[ClientConnection]:
    """A member who behaves, and hears how the others fare."""
    with join(server, "witness") as witness:
        assert hear(witness) == joined("witness")
        yield witness
        with join(server, "last"):  # the room works on
            while hear(witness) != joined("last"):
                pass


def join(server: Server, client_id: str) -> AbstractContextManager[ClientConnection]:
    return connect(address(server, client_id), proxy=None, max_size=None, max_queue=None)


def hear(member: ClientConnection) -> str:
    return member.recv(timeout=DEADLINE, decode=True)


def expect_close(member: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as closed:
        hear(member)
    assert closed.value.rcvd
    return closed.value.rcvd.code, closed.value.rcvd.reason


def frame(first: int, payload: bytes) -> bytes:
    """A frame as a client sends it, under the mask 0."""
    if len(payload) < 126:
        return bytes([first, 0x80 | len(payload), 0, 0, 0, 0]) + payload
    return bytes([first, 0xFE]) + struct.pack("!HI", len(payload), 0) + payload


@contextlib.contextmanager
def raw_member(server: Server, first_words: bytes = b"") -> Iterator[socket.socket]:
    """A socket that has asked to join as cyd, and said `first_words` in the same breath."""
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port or 80), timeout=DEADLINE) as raw:
        raw.sendall(
            b"GET /ws/cyd HTTP/1.1\r\nHost: room\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + first_words
        )
        yield raw


# ── What it says ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.claim("3.5")
def test_a_binary_frame_closes_with_1003(server: Server, witness: ClientConnection) -> None:
    """Contract: a binary frame closes with 1003."""
    with join(server, "cyd") as cyd:
        assert hear(cyd) == hear(witness) == joined("cyd")
        cyd.send("before")
        cyd.send(b"after")
        assert hear(cyd) == RECEIPT
        code, reason = expect_close(cyd)
        assert code == 1003
        assert "as text" in reason
        assert [hear(witness), hear(witness)] == ["cyd: before", left("cyd")]


@pytest.mark.claim("3.5")
def test_a_binary_frame_makes_a_naive_room_fail(tmp_path: Path) -> None:
    with serve_naive(tmp_path) as naive, join(naive, "cyd") as cyd:
        assert hear(cyd) == joined("cyd")
        cyd.send(b"after")
        with pytest.raises(ConnectionClosed):
            hear(cyd)
    assert "KeyError: 'text'" in naive.log()


@pytest.mark.claim("3.5")
@pytest.mark.parametrize("fits", ["x" * 65_536, "张" * 21_845 + "x", "😀" * 16_384])
def test_text_over_64_kib_closes_with_1009(
    server: Server, witness: ClientConnection, fits: str
) -> None:
    """Contract: text over MAX_MESSAGE (default 64 KiB) closes with 1009. It counts bytes."""
    with join(server, "cyd") as cyd:
        assert hear(cyd) == hear(witness) == joined("cyd")
        cyd.send(fits)
        assert hear(cyd) == RECEIPT
        assert hear(witness) == f"cyd: {fits}"
        cyd.send(fits + "x")
        code, reason = expect_close(cyd)
        assert code == 1009
        assert "65536 bytes" in reason
        assert hear(witness) == left("cyd")


@pytest.mark.claim("3.5")
def test_max_message_is_an_environment_variable() -> None:
    """Contract: tunables are environment variables."""
    with (
        workbook.serve("03_websocket", env={"MAX_MESSAGE": "6"}) as server,
        join(server, "cyd") as cyd,
    ):
        assert hear(cyd) == joined("cyd")
        cyd.send("快递")
        assert hear(cyd) == RECEIPT
        cyd.send("快递!")
        assert expect_close(cyd)[0] == 1009


@pytest.mark.claim("3.5")
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no way to stop a process here")
def test_a_flood_leaves_the_others_their_turns(server: Server, witness: ClientConnection) -> None:
    """Contract: rate is the server's to bound: a message a turn, whoever sends how many."""
    with join(server, "ann") as ann, raw_member(server) as flooder, join(server, "bob") as bob:
        said = {f"{name}: hello" for name in ("ann", "bob")}
        heard = {hear(witness) for _ in range(3)}
        assert heard == {joined("ann"), joined("cyd"), joined("bob")}
        os.kill(server.pid, signal.SIGSTOP)  # so that it finds all of it at once
        flooder.sendall(frame(TEXT, b"!") * 3000)
        ann.send("hello")
        bob.send("hello")
        os.kill(server.pid, signal.SIGCONT)
        flood = 0
        while said:
            heard_now = hear(witness)
            flood += heard_now == "cyd: !"
            said.discard(heard_now)
        assert flood < 1500
        while flood < 3000:  # nobody is dropped for it, and nothing is lost
            flood += hear(witness) == "cyd: !"
    assert sorted(hear(witness) for _ in range(3)) == sorted(map(left, ("ann", "bob", "cyd")))


# ── How it says it ───────────────────────────────────────────────────────────────────────────

BAD_FRAMES = {
    "text that is not UTF-8": (frame(TEXT, b"\xff\xfe"), 1007),
    "half a character, then another frame": (frame(0x01, b"\xe5") + frame(0x80, b"x"), 1007),
    "an opcode that does not exist": (frame(0x83, b""), 1002),
    "a frame without a mask": (b"\x81\x02hi", 1002),
    "a reserved bit": (frame(0xC1, b"x"), 1002),
    "a continuation of nothing": (frame(0x80, b"x"), 1002),
    "a message in a message": (frame(0x01, b"x") + frame(TEXT, b"y"), 1002),
    "a ping too long": (frame(PING, b"x" * 126), 1002),
    "a terabyte announced": (b"\x81\xff" + struct.pack("!QI", 2**40, 0), 1009),
    "17 MiB announced": (b"\x81\xff" + struct.pack("!QI", 17 * 2**20, 0), 1009),
    "a close code of one byte": (frame(CLOSE, b"\x03"), 1002),
    "a close code that does not exist": (frame(CLOSE, struct.pack("!H", 999)), 1002),
    "a close reason that is not UTF-8": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
}


@pytest.mark.parametrize(("words", "code"), BAD_FRAMES.values(), ids=BAD_FRAMES)
def test_a_bad_frame_closes_its_sender_only(
    server: Server, witness: ClientConnection, words: bytes, code: int
) -> None:
    """Contract: a wrong frame gets a close code, and makes no traceback in the log."""
    with raw_member(server) as cyd:
        assert hear(witness) == joined("cyd")
        cyd.sendall(words)
        answer = b""
        while data := cyd.recv(65536):
            answer += data
    assert b"\x88" in answer
    assert struct.unpack("!H", answer[answer.rindex(b"\x88") + 2 :][:2]) == (code,)
    assert hear(witness) == left("cyd")
    assert "Traceback" not in server.log()


@pytest.mark.parametrize("by", ["FIN", "RST"])
@pytest.mark.parametrize(
    "words",
    [
        b"",
        frame(TEXT, b"x" * 100)[:50],
        frame(TEXT, b"hello") * 500,
        frame(BINARY, b"x"),
        frame(TEXT, b"\xff"),
        frame(CLOSE, b"") + frame(TEXT, b"?"),
    ],
    ids=["nothing", "half a frame", "much", "binary", "bad", "goodbye"],
)
def test_a_client_may_be_gone_at_any_moment(
    server: Server, witness: ClientConnection, words: bytes, by: str
) -> None:
    """Contract: no disconnect makes a traceback in the log, and what has joined has left."""
    for _ in range(5):
        with raw_member(server, words) as cyd:
            if by == "RST":
                cyd.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    told: list[str] = []
    with join(server, "next"):
        while joined("next") not in told or told.count(joined("cyd")) > told.count(left("cyd")):
            told.append(hear(witness))
    assert told.count(joined("cyd")) == told.count(left("cyd")) <= 5
    assert "Traceback" not in server.log()


# ── Who it says it is ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "client_id",
    [*"/%?#.", "a/b/../c", "ann bob", "<script>", "张三", "👨‍👩‍👧", "\u202eann", "a: b", "x" * 64],
)
def test_any_line_of_text_is_an_id(
    server: Server, witness: ClientConnection, client_id: str
) -> None:
    with join(server, client_id) as member:
        assert hear(member) == hear(witness) == joined(client_id)
        member.send("it is me")
        assert hear(witness) == f"{client_id}: it is me"
    assert hear(witness) == left(client_id)


@pytest.mark.parametrize(
    "client_id",
    [
        "",
        " ",
        "\u3000",
        "\u200b",
        "a\nb",
        "a\n",
        "a\rb",
        "\x00",
        "ann\x1b[2J",
        "a\u2028b",
        "\x85",
        "x" * 65,
    ],
)
def test_an_id_that_is_none_is_refused(
    server: Server, witness: ClientConnection, client_id: str
) -> None:
    """Contract: what a client does wrong gets a close code with a sentence that says what to do."""
    with join(server, client_id) as member:
        code, reason = expect_close(member)
    assert code == 1008
    assert ": join with" in reason


def test_a_very_long_id_is_refused(server: Server, witness: ClientConnection) -> None:
    with join(server, "张" * 800) as member:
        assert expect_close(member)[0] == 1008


# ── Over HTTP ────────────────────────────────────────────────────────────────────────────────


def test_other_paths_and_methods_are_refused(server: Server) -> None:
    with httpx.Client(base_url=server.url, trust_env=False, verify=False) as client:
        assert client.get("/").headers["content-type"].startswith("text/html")
        assert client.get("/ws/ann").status_code == 404  # not by HTTP
        assert client.post("/clients").status_code == 405
    with pytest.raises(InvalidStatus), connect(f"ws{server.url[4:]}/clients", proxy=None):
        pass


def test_a_fuzzer_finds_no_way_to_a_500(server: Server) -> None:
    """Contract: no request makes a 500 or a traceback in the log."""
    assert_no_500(server)
    assert "Traceback" not in server.log()
