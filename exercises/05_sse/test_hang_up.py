"""Checks of hang_up: clients come, wait and leave, and the log tells what is still measured."""

import asyncio
import contextlib
import re
import socket
import time
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest

from workbook.checking import expect
from workbook.server import Server

pytestmark = pytest.mark.anyio

MEASURE_SECONDS = 0.05
KEEPALIVE_SECONDS = 0.2
STOP_SECONDS = 1.0  # as the task says
SILENCE_SECONDS = 0.4  # so long without a measurement: it has ended
PATIENCE = 2.0


@pytest.fixture
def environment() -> Mapping[str, str]:
    return {
        "MEASURE_SECONDS": str(MEASURE_SECONDS),
        "KEEPALIVE_SECONDS": str(KEEPALIVE_SECONDS),
    }


class Reader:
    """One stream, read in the background into events and comments."""

    def __init__(self, room: str) -> None:
        self.room = room
        self.events: list[str] = []
        self.comments: list[float] = []  # when each one came
        self.strange: list[str] = []  # lines that are neither
        self.arrived = asyncio.Event()
        self.ended = ""

    async def read(self, response: httpx.Response) -> None:
        data: list[str] = []
        try:
            async for line in response.aiter_lines():
                if line.startswith("data:"):
                    data.append(line.removeprefix("data:").removeprefix(" "))
                elif line.startswith(":"):
                    self.comments.append(time.monotonic())
                    if "data:" in line:
                        self.strange.append(line)
                elif line == "" and data:
                    self.events.append("\n".join(data))
                    data = []
                elif line != "" and not line.startswith(("id", "event", "retry")):
                    self.strange.append(line)
                self.arrived.set()
            self.ended = "; the stream has ended"
        except httpx.TransportError:
            self.ended = "; the stream broke off"
        self.arrived.set()

    async def wait(self, events: int = 0, comments: int = 0, patience: float = PATIENCE) -> None:
        """Wait, but not for ever, until so many events and comments have come."""
        try:
            async with asyncio.timeout(patience):
                while not self.ended and (
                    len(self.events) < events or len(self.comments) < comments
                ):
                    self.arrived.clear()
                    await self.arrived.wait()
        except TimeoutError:
            pass

    @property
    def seen(self) -> str:
        events = ", ".join(f'"{data}"' for data in self.events[:6]) or "none"
        told = f"the events {events} and {len(self.comments)} comments"
        if self.strange:
            told += f", one of them with a tail: {self.strange[0]!r}"
        return told + self.ended


@contextlib.asynccontextmanager
async def reading(client: httpx.AsyncClient, room: str) -> AsyncIterator[Reader]:
    async with client.stream("GET", f"/rooms/{room}") as response:
        kind = response.headers.get("content-type", "none")
        expect(
            response.status_code == 200 and kind.partition(";")[0] == "text/event-stream",
            did=f"GET /rooms/{room}",
            expected="200 and the type text/event-stream",
            seen=f"{response.status_code} and the type {kind}",
            hint=3,
        )
        reader = Reader(room)
        task = asyncio.create_task(reader.read(response))
        try:
            yield reader
        finally:
            task.cancel()
            await asyncio.wait([task])


async def set_degrees(client: httpx.AsyncClient, room: str, degrees: float) -> None:
    response = await client.put(f"/rooms/{room}", params={"degrees": degrees})
    expect(
        response.status_code == 204,
        did=f"PUT /rooms/{room}?degrees={degrees}",
        expected="204",
        seen=f"{response.status_code} {response.text[:100]}",
        hint=3,
    )


def visit(server: Server, room: str) -> socket.socket:
    """Open a stream on a socket of its own, and read its first event."""
    url = httpx.URL(server.url)
    peer = socket.create_connection((url.host, url.port or 80), timeout=PATIENCE)
    peer.sendall(f"GET /rooms/{room} HTTP/1.1\r\nHost: {url.host}\r\n\r\n".encode())
    received = b""
    try:
        while b"data: 20.0" not in received and (more := peer.recv(4096)):
            received += more
    except TimeoutError:
        pass
    expect(
        b"data: 20.0" in received,
        did=f"GET /rooms/{room}",
        expected='at once the event "20.0"',
        seen=received.decode(errors="replace")[-100:] or "nothing",
        hint=4,
    )
    return peer


def leave(peer: socket.socket, *, reset: bool) -> None:
    """Close the connection: politely, or as a process that is killed may do."""
    if reset:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, (1).to_bytes(4, "little") + bytes(4))
    peer.close()


async def measured_after(server: Server, rooms: list[str]) -> dict[str, float]:
    """For each room, how long from now on it is still measured; at most a bit over the limit."""
    left = time.monotonic()
    counts = dict.fromkeys(rooms, -1)
    last = dict.fromkeys(rooms, 0.0)
    while (now := time.monotonic() - left) < STOP_SECONDS + SILENCE_SECONDS:
        log = server.log()
        for room in rooms:
            count = len(re.findall(rf"^measuring {room}$", log, re.M))
            if counts[room] not in (-1, count):
                last[room] = now
            counts[room] = count
        if all(now - moment > SILENCE_SECONDS for moment in last.values()):
            break
        await asyncio.sleep(0.03)
    return last


async def was_measured(server: Server, room: str) -> bool:
    """Whether the log says so, which it may do a moment later."""
    deadline = time.monotonic() + PATIENCE
    while f"measuring {room}\n" not in server.log():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


async def test_stops_when_the_client_leaves(client: httpx.AsyncClient, answer: Server) -> None:
    """A second after clients have left, by closing or by a reset, nothing is measured for them."""
    rooms = ["kitchen", "cellar", "attic", "stairs"]
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(visit(answer, room)) for room in rooms]
        await asyncio.sleep(2 * KEEPALIVE_SECONDS)
        for room in rooms:
            expect(
                await was_measured(answer, room),
                did=f"GET /rooms/{room}",
                expected=f'`watch` asks the thermometer, and prints "measuring {room}"',
                seen="no such line",
                hint=1,
            )
        for number, peer in enumerate(peers):
            leave(peer, reset=number % 2 == 1)
    last = await measured_after(answer, rooms)
    running = [room for room, moment in last.items() if moment > STOP_SECONDS]
    expect(
        not running,
        did=f"opened streams of {', '.join(rooms)}, where nothing changes, and left them",
        expected=f"{STOP_SECONDS:g} s later none of these rooms is measured",
        seen=f'"measuring" goes on for {", ".join(running)}',
        hint=hint_for_running(await still_cares(client, answer, rooms[0])),
    )


def hint_for_running(ended_by_change: bool) -> int:
    return 2 if ended_by_change else 1


async def still_cares(client: httpx.AsyncClient, server: Server, room: str) -> bool:
    """Whether a change is what it takes to end a measuring that goes on."""
    await set_degrees(client, room, 30)
    await asyncio.sleep(2 * MEASURE_SECONDS)
    return (await measured_after(server, [room]))[room] == 0


async def test_silence_is_filled_with_comments(client: httpx.AsyncClient) -> None:
    """A stream with nothing to say sends comments, again and again, which are no events."""
    async with reading(client, "kitchen") as reader:
        began = time.monotonic()
        await reader.wait(events=1)
        await reader.wait(events=1, comments=4)
        seconds = time.monotonic() - began
    expect(
        reader.events == ["20.0"] and len(reader.comments) >= 4,
        did=f"GET /rooms/kitchen, and nothing changed for {seconds:.1f} s; "
        f"KEEPALIVE_SECONDS is {KEEPALIVE_SECONDS}",
        expected=f'the event "20.0", then a comment for every {KEEPALIVE_SECONDS} s of silence',
        seen=reader.seen,
        hint=4 if reader.ended else 3,
    )
    expect(
        seconds > 2 * KEEPALIVE_SECONDS,
        did="GET /rooms/kitchen, and waited for four comments",
        expected=f"they take about {4 * KEEPALIVE_SECONDS} s: one for each silence of "
        f"{KEEPALIVE_SECONDS} s",
        seen=f"they took {seconds:.2f} s",
        hint=3,
    )


async def test_a_change_after_silence_arrives(client: httpx.AsyncClient) -> None:
    """After comments the next temperatures arrive, each of them once and nothing between them."""
    wanted = ["20.0"]
    async with reading(client, "kitchen") as reader:
        await reader.wait(events=1)
        for degrees in (21.5, 22.5, 19.0):
            await reader.wait(comments=len(reader.comments) + 2, patience=4 * KEEPALIVE_SECONDS)
            await set_degrees(client, "kitchen", degrees)
            wanted.append(f"{degrees}")
            await reader.wait(events=len(wanted))
            expect(
                reader.events == wanted,
                did=f"GET /rooms/kitchen, a silence of {2 * KEEPALIVE_SECONDS} s or more, then "
                f"degrees={degrees} was set",
                expected=f"the events {', '.join(f'{chr(34)}{w}{chr(34)}' for w in wanted)}",
                seen=reader.seen,
                hint=3 if reader.strange or len(reader.events) >= len(wanted) else 4,
            )


async def test_others_go_on(client: httpx.AsyncClient, answer: Server) -> None:
    """When one client leaves, the others go on, those of the same room, too."""
    async with reading(client, "kitchen") as same, reading(client, "cellar") as other:
        await same.wait(events=1)
        await other.wait(events=1)
        for number in range(3):
            leave(await asyncio.to_thread(visit, answer, "kitchen"), reset=number == 1)
        await asyncio.sleep(2 * KEEPALIVE_SECONDS)
        for reader in (same, other):
            await set_degrees(client, reader.room, 21.5)
            await reader.wait(events=2)
            expect(
                reader.events == ["20.0", "21.5"],
                did=f"read /rooms/{reader.room}, while three others opened /rooms/kitchen and left;"
                f" then degrees=21.5 was set in the {reader.room}",
                expected='the events "20.0", "21.5"',
                seen=reader.seen,
                hint=3 if reader.strange or len(reader.events) > 2 else 4 if reader.ended else 2,
            )
    last = await measured_after(answer, ["kitchen", "cellar"])
    running = [room for room, moment in last.items() if moment > STOP_SECONDS]
    expect(
        not running,
        did="all clients left, of the kitchen and of the cellar",
        expected=f"{STOP_SECONDS:g} s later none of these rooms is measured",
        seen=f'"measuring" goes on for {", ".join(running)}',
        hint=1,
    )
