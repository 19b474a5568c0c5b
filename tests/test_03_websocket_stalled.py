"""Section 3: a reader that stops reading costs the others nothing, and the server little."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from websockets.asyncio.client import connect

import workbook
from test_03_websocket import (
    DEADLINE,
    RECEIPT,
    address,
    clients,
    dial,
    hear,
    hear_out,
    hear_until,
    joined,
    left,
    members,
    serve_naive,
)
from workbook.server import Server

pytestmark = pytest.mark.anyio

PARCEL = "x" * 60_000
# A client that doesn't read would hold up the server's stop, as the example's docstring says.
QUICK_STOP = ("--timeout-graceful-shutdown", "1")


@pytest.fixture(scope="module")
def impatient_server() -> Iterator[Server]:
    with workbook.serve("03_websocket", *QUICK_STOP, env={"QUEUE_SIZE": "5"}) as server:
        yield server
    assert "Traceback" not in server.log()


@asynccontextmanager
async def stalled_member(server: Server, client_id: str) -> AsyncIterator[socket.socket]:
    """A member that has joined and reads nothing; a small buffer stalls it all the sooner."""
    url = httpx.URL(server.url)
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.settimeout(DEADLINE)
        stalled.connect((url.host, url.port))
        stalled.sendall(
            f"GET /ws/{client_id} HTTP/1.1\r\nHost: room\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        await asyncio.to_thread(stalled.recv, 12)
        yield stalled


# ── A reader that stops reading ──────────────────────────────────────────────────────────────


def read_again(stalled: socket.socket) -> None:
    stalled.settimeout(0.3)
    with contextlib.suppress(TimeoutError):
        while stalled.recv(2**20):
            pass


async def pass_messages(server: Server, count: int) -> int:
    """How many messages of 60 KB get from ann to bob past a stalled cyd, until a pause of 1 s."""
    async with members(server, "bob", "ann") as [bob, ann], stalled_member(server, "cyd") as cyd:
        assert await hear(bob) == joined("cyd")

        async def talk() -> None:
            for _ in range(count):
                await ann.send(PARCEL)
                await hear_until(ann, RECEIPT)

        talking = asyncio.create_task(talk())
        passed = 0
        with contextlib.suppress(TimeoutError):
            while passed < count:
                passed += (await asyncio.wait_for(bob.recv(), 1)) == f"ann: {PARCEL}"
        async with dial(server, "dora"):  # a newcomer, while a naive room is in its loop
            await asyncio.to_thread(read_again, cyd)
        talking.cancel()
        return passed


@pytest.mark.claim("3.3")
async def test_a_stalled_reader_costs_the_others_nothing(impatient_server: Server) -> None:
    """Contract: a reader that stops reading costs the others nothing."""
    assert await pass_messages(impatient_server, 200) == 200


@pytest.mark.claim("3.3")
async def test_a_stalled_reader_freezes_a_naive_room(tmp_path: Path) -> None:
    with serve_naive(tmp_path) as naive:
        assert await pass_messages(naive, 200) < 200
    # dora joined while it was in its loop
    assert "RuntimeError: dictionary changed size during iteration" in naive.log()


@pytest.mark.claim("3.3")
async def test_a_stalled_reader_is_dropped_after_queue_size_messages(
    impatient_server: Server,
) -> None:
    """Contract: its messages queue up to QUEUE_SIZE, then 1013, and its leaving is told."""
    # A client that keeps one message and leaves the rest on the way; 60 KB are to stay 60 KB.
    lazy = connect(address(impatient_server, "cyd"), proxy=None, compression=None, max_queue=1)
    async with members(impatient_server, "bob", "ann") as [bob, ann], lazy as cyd:
        order = [await hear(bob)]
        while order[-1] != left("cyd"):
            await ann.send(f"{len(order)} {PARCEL}")
            order.append(await hear(bob))
        assert clients(impatient_server) == ["bob", "ann"]
        async with dial(impatient_server, "cyd") as again:
            assert await hear(again) == joined("cyd")
        told, close = await hear_out(cyd)  # it reads again
        assert close.code == 1013
        assert "read faster" in close.reason
        assert told == order[: len(told)]  # what it was sent has no gap
        lost = order.index(left("cyd")) - len(told)
        # Those queued, the one being sent, and what came until the leaving was told.
        assert 5 < lost <= 12


@pytest.mark.claim("3.3")
async def test_a_reader_that_pauses_hears_all_of_it_in_order() -> None:
    """Contract: messages queue up meanwhile, and every client hears them in the same order."""
    with workbook.serve("03_websocket", *QUICK_STOP) as server:
        lazy = connect(address(server, "cyd"), proxy=None, compression=None, max_queue=1)
        async with members(server, "ann") as [ann], lazy as cyd:
            said = [f"{i} {PARCEL}" for i in range(100)]
            for text in said:
                await ann.send(text)
                await hear_until(ann, RECEIPT)
            assert await hear(cyd) == joined("cyd")
            assert [await hear(cyd) for _ in said] == [f"ann: {text}" for text in said]


@pytest.mark.claim("3.3")
async def test_memory_stays_bounded_however_long_a_reader_stalls() -> None:
    """Contract: memory stays bounded however long it stalls."""
    with workbook.serve("03_websocket", *QUICK_STOP) as server:
        process = psutil.Process(server.pid)
        async with AsyncExitStack() as stack:
            [ann] = await stack.enter_async_context(members(server, "ann"))
            for i in range(5):
                await stack.enter_async_context(stalled_member(server, f"stalled-{i}"))
                assert await hear(ann) == joined(f"stalled-{i}")
            before = process.memory_info().rss
            for i in range(500):
                await ann.send(f"{i} {PARCEL}")
                await hear_until(ann, RECEIPT)
            assert clients(server) == ["ann"]
            grown = process.memory_info().rss - before
        assert grown < 15 * 2**20  # of 30 MB said: 100 messages, and what five sends hold


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no way to stop a process here")
async def test_a_burst_does_not_make_a_healthy_reader_slow(impatient_server: Server) -> None:
    """Contract: it is a reader that stops reading, not a writer short of a turn."""
    ids = [f"member-{i}" for i in range(20)]
    async with members(impatient_server, "listener", *ids) as [listener, *talkers]:
        os.kill(impatient_server.pid, signal.SIGSTOP)  # so that it finds all of it at once
        for talker in talkers:
            await talker.send("now")
        os.kill(impatient_server.pid, signal.SIGCONT)
        heard = [await hear(listener) for _ in talkers]
        assert sorted(heard) == sorted(f"{client_id}: now" for client_id in ids)
        assert clients(impatient_server) == ["listener", *ids]


@pytest.mark.claim("3.2")
async def test_a_client_that_answers_no_ping_is_told_to_those_left() -> None:
    """Contract: X leaves by vanishing, here without a word, as behind a cut cable."""
    pings = ("--ws-ping-interval", "0.2", "--ws-ping-timeout", "0.2")
    with workbook.serve("03_websocket", *pings) as server:
        async with members(server, "ann") as [ann], stalled_member(server, "cyd"):
            assert await hear(ann) == joined("cyd")
            assert await hear(ann) == left("cyd")
            await ann.send("still here")
            assert await hear(ann) == RECEIPT
    assert "Traceback" not in server.log()


async def test_a_stop_is_clean_with_a_stalled_member_and_a_dropped_one() -> None:
    """Contract: no disconnect makes a traceback, the server's own going away included."""
    with workbook.serve("03_websocket", *QUICK_STOP, env={"QUEUE_SIZE": "5"}) as server:
        async with members(server, "ann") as [ann], stalled_member(server, "dropped"):
            told: list[str] = []
            while left("dropped") not in told:
                await ann.send(PARCEL)
                told += await hear_until(ann, RECEIPT)
            async with stalled_member(server, "stalled"):
                for _ in range(told.count(RECEIPT) - 3):  # enough to stall it, not to drop it
                    await ann.send(PARCEL)
                    await hear_until(ann, RECEIPT)
                await asyncio.to_thread(server.stop)
                _, close = await hear_out(ann)
                assert close.code == 1012
    assert "Traceback" not in server.log()
