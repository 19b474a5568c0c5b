"""Clients of a chat room that note what they hear, and when; and who heard what, as a table."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from workbook import pad
from workbook.language import _
from workbook.server import Server

RECEIPT = "✓ 消息已发送"
PATIENCE = 20  # seconds without news, before a wait is given up


class Member:
    """A client in a room: `said` and `heard` hold each text with its first `perf_counter()`."""

    listening: asyncio.Task[None]  # done when the connection is closed and all is noted

    def __init__(self, client_id: str, name: str, connection: ClientConnection) -> None:
        self.client_id = client_id
        self.name = name
        self.connection = connection
        self.said: dict[str, float] = {}
        self.heard: dict[str, float] = {}
        self._receipts = 0
        self._news = asyncio.Event()

    def listen(self) -> None:
        """Begin to read, which one that `member` let in with `reads=False` has not done yet."""
        self.listening = asyncio.create_task(self._note())
        self.listening.add_done_callback(lambda task: self._news.set())

    async def say(self, text: str | bytes) -> None:
        """Send, and wait for the receipt as `hears` waits. Raises ConnectionClosed if it is."""
        before = self._receipts
        self.said[f"{self.client_id}: {text!s}"] = time.perf_counter()
        await self.connection.send(text)
        await self._until(lambda: self._receipts > before, PATIENCE)

    async def hears(self, text: str, patience: float = PATIENCE) -> None:
        """Wait for a text, but not after `patience` seconds without news, or the connection's end.

        Raises nothing then: `heard` tells whether it came.
        """
        await self._until(lambda: text in self.heard, patience)

    async def hears_all(self) -> None:
        """Wait until all that the server has sent so far is here: its pong comes after it."""
        with suppress(ConnectionClosed):
            await (await self.connection.ping())

    async def _note(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                text = await self.connection.recv(decode=True)
                self.heard.setdefault(text, time.perf_counter())
                self._receipts += text == RECEIPT
                self._news.set()

    async def _until(self, condition: Callable[[], bool], patience: float) -> None:
        with suppress(TimeoutError):
            while not (condition() or self.listening.done()):
                self._news.clear()
                await asyncio.wait_for(self._news.wait(), patience)


@asynccontextmanager
async def member(
    server: Server, client_id: str, name: str = "", *, reads: bool = True
) -> AsyncIterator[Member]:
    """Join, and leave at the end of the block. The `name` is for `print_table`, if not the id.

    One that does not read has small buffers, so that they are full soon, until it may `listen`.
    Raises OSError when nobody listens at the server's address.
    """
    options: dict[str, Any] = {}
    if not reads:
        small = socket.socket()
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # bytes; before it connects
        host, port = server.url.removeprefix("http://").split(":")
        small.connect((host, int(port)))
        options = {"sock": small, "max_queue": 1, "compression": None}
    url = f"{server.url.replace('http', 'ws', 1)}/ws/{client_id}"
    async with connect(url, proxy=None, **options) as connection:
        joined = Member(client_id, name or client_id, connection)
        if reads:
            joined.listen()
        yield joined


@asynccontextmanager
async def members(server: Server, *client_ids: str) -> AsyncIterator[list[Member]]:
    """Join one after another, each when the one before has heard that it is in; see `member`."""
    async with AsyncExitStack() as stack:
        joined: list[Member] = []
        for client_id in client_ids:
            newcomer = await stack.enter_async_context(member(server, client_id))
            await newcomer.hears(f"用户 {client_id} 加入了聊天室")
            joined.append(newcomer)
        yield joined


async def print_table(*listeners: Member) -> None:
    """Print who said or heard what so far: a line for each text, in the order of their moments."""
    for each in listeners:
        await each.hears_all()
    notes = [each.heard | each.said for each in listeners]
    moments = sorted((moment, text) for note in notes for text, moment in note.items())
    print("".join(pad(each.name, 6) for each in listeners))
    for text in dict.fromkeys(text for moment, text in moments):
        for each in listeners:
            mark = _("said") if text in each.said else _("heard") if text in each.heard else _("-")
            print(pad(mark, 6), end="")
        print(text)
