"""Members of a chat room that are asked for one message after another, for the exercises' checks.

The notebooks' members (`room.py`) listen by themselves and note what they heard, and when.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from workbook.checking import expect
from workbook.language import _
from workbook.server import Server

PATIENCE = 3  # seconds for one message


def joined(name: str) -> str:
    return f"用户 {name} 加入了聊天室"


def left(name: str) -> str:
    return f"用户 {name} 离开了聊天室"


def dial(server: Server, *place: str, **options: Any) -> connect:
    """Connect to `/ws/` and this place: a name, or a room and a name, whatever is in them.

    The options are those of `websockets.connect`.
    """
    path = "/".join(quote(part, safe="") for part in place)
    address = f"{server.url.replace('http', 'ws', 1)}/ws/{path}"
    plain: dict[str, Any] = {"proxy": None, "compression": None, "ping_interval": None}
    return connect(address, **plain | {"close_timeout": 1} | options)


class NoMessage(str):
    """Why none came, in brackets. A message may look like it, so ask for the type."""


def closed(code: int) -> NoMessage:
    return NoMessage(_("(closed, code {code})").format(code=code))


async def hear(member: ClientConnection, patience: float = PATIENCE) -> str:
    """The next message, or a NoMessage: `closed(1008)`, or that nothing came."""
    try:
        return str(await asyncio.wait_for(member.recv(), patience))
    except TimeoutError:
        return NoMessage(_("(nothing for {seconds:g} s)").format(seconds=patience))
    except ConnectionClosed as end:
        return closed(end.rcvd.code if end.rcvd else 1006)


async def hear_until(member: ClientConnection, *last: str) -> list[str]:
    """What it hears up to one of these messages, or to the reason why no more came."""
    heard = [await hear(member)]
    while heard[-1] not in last and not isinstance(heard[-1], NoMessage):
        heard.append(await hear(member))
    return heard


@asynccontextmanager
async def members(
    server: Server,
    *names: str,
    hint: int,
    dial: Callable[[Server, str], AbstractAsyncContextManager[ClientConnection]] = dial,
) -> AsyncIterator[list[ClientConnection]]:
    """Join one after another, and expect, with this hint, that those inside hear of each."""
    async with AsyncExitStack() as stack:
        inside: list[ClientConnection] = []
        for name in names:
            inside.append(await stack.enter_async_context(dial(server, name)))
            for member, its_name in zip(inside, names, strict=False):
                heard = await hear(member)
                expect(
                    heard == joined(name),
                    did=_("{name} joined a room of {size}").format(name=name, size=len(inside) - 1),
                    expected=_("{name} hears {text}").format(name=its_name, text=joined(name)),
                    seen=_("{name} heard {text}").format(name=its_name, text=heard),
                    hint=hint,
                )
        yield inside
