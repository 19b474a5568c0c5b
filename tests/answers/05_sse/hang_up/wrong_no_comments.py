# Wrong: only the end matters. Fails: test_silence_is_filled_with_comments. Hint: 3.
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


async def collect(room: str, queue: asyncio.Queue[float]) -> None:
    async for degrees in watch(room):
        queue.put_nowait(degrees)


async def events(room: str) -> AsyncIterator[str]:
    queue: asyncio.Queue[float] = asyncio.Queue()
    task = asyncio.create_task(collect(room, queue))
    try:
        while not task.done():
            yield f"data: {await queue.get()}\n\n"
    finally:
        task.cancel()


@app.get("/rooms/{room}")
async def stream_temperature(room: str) -> StreamingResponse:
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(room), media_type="text/event-stream", headers=headers)


@app.put("/rooms/{room}", status_code=204)
async def set_temperature(room: str, degrees: float) -> None:
    temperatures[room] = degrees
