"""Checks of hang_up: clients come, wait and leave, and the log tells what is still measured."""

import asyncio
import contextlib
import itertools
import socket
import time
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest

from workbook.checking import expect
from workbook.event_source import EventSource
from workbook.language import _
from workbook.server import Server

pytestmark = pytest.mark.anyio

MEASURE_SECONDS = 0.03
KEEPALIVE_SECONDS = 0.1
STOP_SECONDS = 1.0  # as the task says
OFTEN = 5  # measurements of a room that is read, and meanwhile none of another: that has ended
PATIENCE = 2.0
GARDENS = itertools.count(1)  # numbers for rooms that nobody has read yet


@pytest.fixture
def environment() -> Mapping[str, str]:
    return {
        "MEASURE_SECONDS": str(MEASURE_SECONDS),
        "KEEPALIVE_SECONDS": str(KEEPALIVE_SECONDS),
    }


def quoted(events: list[str]) -> str:
    return _(", ").join(f'"{data}"' for data in events) or _("none")


class Reader:
    """One stream, read in the background. `events` is the data of those that have come."""

    def __init__(self, room: str) -> None:
        self.room = room
        self.source = EventSource()
        self.events: list[str] = []
        self.arrived = asyncio.Event()
        self.ended = ""

    async def read(self, response: httpx.Response) -> None:
        try:
            async for received in response.aiter_bytes():
                for event in self.source.feed(received):
                    kind = "" if event.type == "message" else f"{event.type}: "
                    self.events.append(kind + event.data)
                self.arrived.set()
            self.ended = _("; the stream has ended")
        except httpx.TransportError:
            self.ended = _("; the stream broke off")
        self.arrived.set()

    @property
    def comments(self) -> int:
        return len(self.source.comments)

    @property
    def strange(self) -> str:
        """A line that should have been something else: an event stuck to a comment, or nothing."""
        stuck = [comment for comment in self.source.comments if "data:" in comment]
        return next(iter([*stuck, *self.source.ignored]), "")

    async def wait(self, events: int = 0, comments: int = 0, patience: float = PATIENCE) -> None:
        """Wait, but not for ever, until so many events and comments have come."""
        try:
            async with asyncio.timeout(patience):
                while not self.ended and (len(self.events) < events or self.comments < comments):
                    self.arrived.clear()
                    await self.arrived.wait()
        except TimeoutError:
            pass

    @property
    def seen(self) -> str:
        told = _("the events {events} and {count} comments")
        if self.strange:
            told = _(
                "the events {events} and {count} comments, "
                "and a line that tells no event: {strange!r}"
            )
        events = quoted(self.events[:6])
        return told.format(events=events, count=self.comments, strange=self.strange) + self.ended


@contextlib.asynccontextmanager
async def reading(client: httpx.AsyncClient, room: str) -> AsyncIterator[Reader]:
    async with client.stream("GET", f"/rooms/{room}") as response:
        kind = response.headers.get("content-type", _("none"))
        expect(
            response.status_code == 200 and kind.partition(";")[0] == "text/event-stream",
            did=f"GET /rooms/{room}",
            expected=_("200 and the type text/event-stream"),
            seen=_("{status} and the type {type}").format(status=response.status_code, type=kind),
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
        while b"20.0" not in received and (more := peer.recv(4096)):
            received += more
    except TimeoutError:
        pass
    expect(
        b"20.0" in received,
        did=f"GET /rooms/{room}",
        expected=_('at once the event "20.0"'),
        seen=received.decode(errors="replace")[-100:] or _("nothing"),
        hint=4,
    )
    return peer


def wait_for_a_comment(peer: socket.socket) -> None:
    """Return when a silence has just begun anew, or when no comment fills it."""
    peer.settimeout(2 * KEEPALIVE_SECONDS)
    with contextlib.suppress(TimeoutError):
        while (received := peer.recv(4096)) and b":" not in received:
            pass


def leave(peer: socket.socket, *, reset: bool) -> None:
    """Close the connection: politely, or as a process that is killed may do."""
    if reset:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, (1).to_bytes(4, "little") + bytes(4))
    peer.close()


async def still_measured(
    client: httpx.AsyncClient, server: Server, rooms: list[str], within: float = STOP_SECONDS
) -> list[str]:
    """Those of the rooms whose measuring has not ended so many seconds from now.

    A room that we read the while, a garden, is the clock that shows that nothing more comes. Each
    time it is another one: all that the log has after its first line is new.
    """
    begun = time.monotonic()
    while True:
        late = time.monotonic() - begun > within
        garden = f"garden-{next(GARDENS)}"
        async with reading(client, garden):
            log = await log_from_first(server, garden, OFTEN, patience=4 * PATIENCE)
        ticks = log.count(measuring(garden))
        expect(
            ticks >= OFTEN,
            did=f"GET /rooms/{garden}",
            expected=_('`watch` asks the thermometer, and prints "measuring {room}"').format(
                room=garden
            ),
            seen=_("{count} such lines in {seconds:g} s").format(count=ticks, seconds=4 * PATIENCE),
            hint=1,
        )
        running = [room for room in rooms if measuring(room) in log]
        if late or not running:
            return running


def measuring(room: str) -> str:
    return f"measuring {room}\n"


async def log_from_first(server: Server, room: str, times: int, patience: float = PATIENCE) -> str:
    """The log from a room's first measurement on, when it has so many, or after a while.

    Found by its text, for a place in the log shifts when its oldest part is dropped.
    """
    deadline = time.monotonic() + patience
    while (log := server.log()).count(measuring(room)) < times:
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(MEASURE_SECONDS)
    _older, first, newer = log.partition(measuring(room))
    return first + newer


async def test_stops_when_the_client_leaves(client: httpx.AsyncClient, answer: Server) -> None:
    """A second after clients have left, by closing or by a reset, nothing is measured for them."""
    rooms = ["kitchen", "cellar", "attic", "stairs"]
    for number, room in enumerate(rooms):
        with visit(answer, room) as peer:
            # In the middle of a silence, and one by one: an answer that looks round between two
            # events may come upon a client that has gone by chance, but not each time.
            wait_for_a_comment(peer)
            expect(
                measuring(room) in await log_from_first(answer, room, 1),
                did=f"GET /rooms/{room}",
                expected=_('`watch` asks the thermometer, and prints "measuring {room}"').format(
                    room=room
                ),
                seen=_("no such line"),
                hint=1,
            )
            leave(peer, reset=number % 2 == 1)
    running = await still_measured(client, answer, rooms)
    expect(
        not running,
        did=_("opened streams of {rooms}, where nothing changes, and left them").format(
            rooms=_(", ").join(rooms)
        ),
        expected=_("{seconds:g} s later none of these rooms is measured").format(
            seconds=STOP_SECONDS
        ),
        seen=_('"measuring" goes on for {rooms}').format(rooms=_(", ").join(running)),
        hint=2 if running and await ends_with_a_change(client, answer, running[0]) else 1,
    )


async def ends_with_a_change(client: httpx.AsyncClient, server: Server, room: str) -> bool:
    """Whether a change is what it takes to end a measuring that goes on."""
    await set_degrees(client, room, 30)
    return not await still_measured(client, server, [room], within=3 * MEASURE_SECONDS)


async def test_silence_is_filled_with_comments(client: httpx.AsyncClient) -> None:
    """A stream with nothing to say sends comments, again and again, which are no events."""
    began = time.monotonic()  # before the server can have begun, so that no delay of ours counts
    async with reading(client, "kitchen") as reader:
        await reader.wait(events=1, comments=4)
        seconds = time.monotonic() - began
    expect(
        reader.events == ["20.0"] and reader.comments >= 4,
        did=_(
            "GET /rooms/kitchen, and nothing changed for {seconds:.1f} s; "
            "KEEPALIVE_SECONDS is {keepalive}"
        ).format(seconds=seconds, keepalive=KEEPALIVE_SECONDS),
        expected=_('the event "20.0", then a comment for every {keepalive} s of silence').format(
            keepalive=KEEPALIVE_SECONDS
        ),
        seen=reader.seen,
        hint=4 if reader.ended else 3,
    )
    expect(
        seconds > 2 * KEEPALIVE_SECONDS,
        did=_("GET /rooms/kitchen, and waited for four comments"),
        expected=_("they take about {seconds} s: one for each silence of {keepalive} s").format(
            seconds=4 * KEEPALIVE_SECONDS, keepalive=KEEPALIVE_SECONDS
        ),
        seen=_("they took {seconds:.2f} s").format(seconds=seconds),
        hint=3,
    )


async def test_a_change_after_silence_arrives(client: httpx.AsyncClient) -> None:
    """After comments the next temperatures arrive, each of them once and nothing between them."""
    wanted = ["20.0"]
    async with reading(client, "kitchen") as reader:
        await reader.wait(events=1)
        for degrees in (21.5, 22.5, 19.0):
            await reader.wait(comments=reader.comments + 2, patience=4 * KEEPALIVE_SECONDS)
            await set_degrees(client, "kitchen", degrees)
            wanted.append(f"{degrees}")
            await reader.wait(events=len(wanted))
            expect(
                reader.events == wanted,
                did=_(
                    "GET /rooms/kitchen, a silence of {seconds} s or more, "
                    "then degrees={degrees} was set"
                ).format(seconds=2 * KEEPALIVE_SECONDS, degrees=degrees),
                expected=_("the events {events}").format(events=quoted(wanted)),
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
                did=_(
                    "read /rooms/{room}, while three others opened /rooms/kitchen and left; "
                    "then degrees=21.5 was set in the {room}"
                ).format(room=reader.room),
                expected=_("the events {events}").format(events=quoted(["20.0", "21.5"])),
                seen=reader.seen,
                hint=3 if reader.strange or len(reader.events) > 2 else 4 if reader.ended else 2,
            )
    running = await still_measured(client, answer, ["kitchen", "cellar"])
    expect(
        not running,
        did=_("all clients left, of the kitchen and of the cellar"),
        expected=_("{seconds:g} s later none of these rooms is measured").format(
            seconds=STOP_SECONDS
        ),
        seen=_('"measuring" goes on for {rooms}').format(rooms=_(", ").join(running)),
        hint=1,
    )
