# Wrong: a flag ends the task. Fails: test_stops_when_the_client_leaves. Hint: 2.
"""A room's temperature, as a stream: it lives as long as its client."""

import asyncio
import os
from collections.abc import AsyncIterator

from fastapi import FastAPI
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


async def collect(room: str, queue: asyncio.Queue[float], gone: asyncio.Event) -> None:
    async for degrees in watch(room):
        if gone.is_set():
            return
        queue.put_nowait(degrees)


async def events(room: str) -> AsyncIterator[str]:
    queue: asyncio.Queue[float] = asyncio.Queue()
    gone = asyncio.Event()
    task = asyncio.create_task(collect(room, queue, gone))
    try:
        while not task.done():
            try:
                async with asyncio.timeout(KEEPALIVE_SECONDS):
                    degrees = await queue.get()
                yield f"data: {degrees}\n\n"
            except TimeoutError:
                yield ": nothing new\n\n"
    finally:
        gone.set()


@app.get("/rooms/{room}")
async def stream_temperature(room: str) -> StreamingResponse:
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(room), media_type="text/event-stream", headers=headers)


@app.put("/rooms/{room}", status_code=204)
async def set_temperature(room: str, degrees: float) -> None:
    temperatures[room] = degrees
