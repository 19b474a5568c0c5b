"""A crowd of clients, each with a connection of its own, at a tenth of what httpx takes for it."""

import asyncio
import contextlib
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from workbook.timeline import Burst


async def get(url: str) -> tuple[int, bytes]:
    """The status and the body of what a server answers that tells how long it is."""
    to = httpx.URL(url)
    reader, writer = await asyncio.open_connection(to.host, to.port)
    request = f"GET {to.raw_path.decode()} HTTP/1.1\r\nHost: {to.host}\r\nConnection: close\r\n\r\n"
    try:
        writer.write(request.encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return int(head.split()[1]), body


async def get_at_once(url: str, count: int) -> list[tuple[int, bytes]]:
    async with asyncio.timeout(60):
        return await asyncio.gather(*(get(url) for _ in range(count)))


async def burst(url: str, path: str, count: int = 10) -> "Burst":
    from workbook.timeline import burst  # brings matplotlib, for who runs these tests

    return await burst(url, path, count)
