"""Checks of slow_reader: a room in which cyd stops reading while ann and bob talk."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import httpx
import psutil
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from workbook import chat
from workbook.chat import PATIENCE, closed, hear, hear_until, joined, left
from workbook.checking import expect
from workbook.language import _
from workbook.server import Server

pytestmark = pytest.mark.anyio

QUEUE_SIZE = 12
PARCEL = "x" * 600_000  # a few fill the buffers between the app and who doesn't read
ENOUGH = 50  # parcels: more than QUEUE_SIZE and the buffers hold
MEMORY = 16  # MB: more than QUEUE_SIZE parcels are, less than what the buffers leave of ENOUGH
STALL = 0.6  # seconds


@pytest.fixture
def environment() -> Mapping[str, str]:
    return {"QUEUE_SIZE": str(QUEUE_SIZE)}


@asynccontextmanager
async def dial(server: Server, name: str) -> AsyncIterator[ClientConnection]:
    """A member. cyd has little room for what it has not read: when it stalls, the app notices."""
    url = httpx.URL(server.url)
    with socket.socket() as sock:
        if name == "cyd":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (url.host, url.port))
        settings = {"max_size": None, "max_queue": 1, "close_timeout": 0.2}
        async with chat.dial(server, name, sock=sock, **settings) as member:
            try:
                yield member
            finally:
                member.transport.abort()  # whatever is on the way: the app is not to wait for it


def members(server: Server) -> AbstractAsyncContextManager[list[ClientConnection]]:
    return chat.members(server, "ann", "cyd", "bob", hint=5, dial=dial)


def short(text: str) -> str:
    """A message as it is shown: without the parcel."""
    return text.removesuffix(PARCEL) + "…" if text.endswith(PARCEL) else text


class Talk:
    """ann sends parcels, each when she and bob have heard the one before; cyd reads nothing."""

    def __init__(self, ann: ClientConnection, bob: ClientConnection) -> None:
        self.listeners = {"bob": bob, "ann": ann}
        self.ann = ann
        self.sent = 0
        self.told: dict[str, list[str]] = {"ann": [], "bob": []}  # what is no parcel

    async def send(self, count: int) -> None:
        for _parcel in range(count):
            did = _("ann sent {count} messages of 600 KB while cyd read nothing").format(
                count=self.sent + 1
            )
            with suppress(TimeoutError, ConnectionClosed):  # the listeners will tell
                await asyncio.wait_for(self.ann.send(f"{self.sent} {PARCEL}"), PATIENCE)
            for name, listener in self.listeners.items():
                parcel = f"ann: {self.sent} {PARCEL}"
                heard = await hear_until(listener, parcel)
                expect(
                    heard[-1] == parcel,
                    did=did,
                    expected=_("{name} hears each of them, whatever cyd does").format(name=name),
                    seen=_("{name} heard {count}, then {text}").format(
                        name=name, count=self.sent, text=short(heard[-1])
                    ),
                    hint=2 if self.sent > QUEUE_SIZE else 1,
                )
                self.told[name] += heard[:-1]
            self.sent += 1

    async def send_until_dropped(self) -> None:
        """Send until cyd's leaving is told, but not more than ENOUGH, and a few more."""
        while self.sent < ENOUGH and left("cyd") not in self.told["bob"]:
            await self.send(1)
        await self.send(3)


async def test_the_others_talk_on(answer: Server) -> None:
    """Nobody waits for a member that stopped reading: the others hear each other."""
    async with members(answer) as [ann, _cyd, bob]:
        await Talk(ann, bob).send_until_dropped()


async def test_a_pause_costs_nothing(answer: Server) -> None:
    """Who pauses while no more than QUEUE_SIZE messages come hears all of them, in order."""
    async with members(answer) as [ann, cyd, bob]:
        talk = Talk(ann, bob)
        await talk.send(QUEUE_SIZE)
        await asyncio.sleep(STALL)
        expected = [f"ann: {i} {PARCEL}" for i in range(QUEUE_SIZE)]
        heard = await hear_until(cyd, expected[-1], left("cyd"))
        expect(
            heard == expected,
            did=_(
                "cyd paused for {seconds} s or more while ann sent {count} messages of 600 KB, "
                "with QUEUE_SIZE={count}, and then read on"
            ).format(seconds=STALL, count=QUEUE_SIZE),
            expected=_("cyd hears all {count} of them in order").format(count=QUEUE_SIZE),
            seen=_("cyd heard {text}").format(text=", ".join(map(short, heard))),
            hint=3,
        )


async def test_the_stalled_one_is_dropped(answer: Server) -> None:
    """Past QUEUE_SIZE messages the member is dropped: told once, closed, nothing kept for it."""
    did = _(
        "cyd read nothing while ann sent {count} messages of 600 KB, with QUEUE_SIZE={size}"
    ).format(count=ENOUGH, size=QUEUE_SIZE)
    process = psutil.Process(answer.pid)
    async with members(answer) as [ann, cyd, bob]:
        talk = Talk(ann, bob)
        await talk.send(1)
        before = process.memory_info().rss
        await talk.send(ENOUGH - 1)
        grown = (process.memory_info().rss - before) / 1e6
        expect(
            grown < MEMORY,
            did=did,
            expected=_("the app keeps about {count} of them, for a while").format(count=QUEUE_SIZE),
            seen=_("its memory grew by {size:.0f} MB").format(size=grown),
            hint=4,
        )
        for name in ("ann", "bob"):
            told = talk.told[name]
            expect(
                told == [left("cyd")],
                did=did,
                expected=_("{name} hears {text}, once").format(name=name, text=left("cyd")),
                seen=_("apart from ann's messages, {name} heard {text}").format(
                    name=name, text=", ".join(told) or _("nothing")
                ),
                hint=5 if len(told) > 1 else 4,
            )
        try:
            async with dial(answer, "cyd") as again:
                heard = await hear(again)
        except (InvalidHandshake, OSError) as error:
            heard = str(error)
        expect(
            heard == joined("cyd"),
            did=_("{did}, and another cyd joined").format(did=did),
            expected=_("the newcomer hears {text}").format(text=joined("cyd")),
            seen=_("the newcomer got {text}").format(text=heard),
            hint=5,
        )
        heard = (await hear_until(cyd))[-1]
        expect(
            heard == closed(1013),
            did=_("{did}, and then read on").format(did=did),
            expected=_("after what was on the way, cyd finds its connection closed with code 1013"),
            seen=_("in the end cyd got {text}").format(text=heard),
            hint=5,
        )
        told = await hear_until(bob, left("cyd"))
        expect(
            told == [joined("cyd"), left("cyd")],
            did=_("{did}; another cyd joined and left, and the first one was closed").format(
                did=did
            ),
            expected=_("bob hears of this one's joining and leaving"),
            seen=_("bob heard {text}").format(text=", ".join(told)),
            hint=5,
        )
