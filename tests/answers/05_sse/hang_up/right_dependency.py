# Right: a dependency with yield owns the task, and another one sends the comments
"""A room's temperature, as a stream: it lives as long as its client."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse

KEEPALIVE_SECONDS = float(os.getenv("KEEPALIVE_SECONDS", "15"))
MEASURE_SECONDS = float(os.getenv("MEASURE_SECONDS", "0.3"))

app = FastAPI()
temperatures: dict[str, float] = {}


async def watch(room: str) -> AsyncIterator[float]:
    """Ask the room's thermometer again and again, and yield each new temperature."""
    known: float | None = None
    while True:
        print(f"measuring {room}", flush=True)
        degrees = temperatures.get(room, 20.0)
        if degrees != known:
            known = degrees
            yield degrees
        await asyncio.sleep(MEASURE_SECONDS)


async def collect(room: str, queue: asyncio.Queue[float | None]) -> None:
    async for degrees in watch(room):
        queue.put_nowait(degrees)


async def open_queue(room: str) -> AsyncIterator[asyncio.Queue[float | None]]:
    queue: asyncio.Queue[float | None] = asyncio.Queue()

    async def remind() -> None:
        while True:
            await asyncio.sleep(KEEPALIVE_SECONDS)
            queue.put_nowait(None)

    tasks = [asyncio.create_task(collect(room, queue)), asyncio.create_task(remind())]
    yield queue
    for task in tasks:
        task.cancel()


async def events(queue: asyncio.Queue[float | None]) -> AsyncIterator[str]:
    while True:
        degrees = await queue.get()
        yield ": still here\n\n" if degrees is None else f"data: {degrees}\n\n"


@app.get("/rooms/{room}")
async def stream_temperature(
    queue: Annotated[asyncio.Queue[float | None], Depends(open_queue)],
) -> StreamingResponse:
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(queue), media_type="text/event-stream", headers=headers)


@app.put("/rooms/{room}", status_code=204)
async def set_temperature(room: str, degrees: float) -> None:
    temperatures[room] = degrees
