# Right: one task for a room, which the last reader to leave ends; it logs more than is kept of a log
"""A room's temperature, as a stream: it lives as long as its client."""

import asyncio
import os
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

KEEPALIVE_SECONDS = float(os.getenv("KEEPALIVE_SECONDS", "15"))
MEASURE_SECONDS = float(os.getenv("MEASURE_SECONDS", "0.3"))

app = FastAPI()
print("the kettle is on\n" * 70_000)
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


queues: dict[str, list[asyncio.Queue[float]]] = {}
tasks: dict[str, asyncio.Task[None]] = {}


async def spread(room: str) -> None:
    async for degrees in watch(room):
        for queue in queues[room]:
            queue.put_nowait(degrees)


async def events(room: str) -> AsyncIterator[str]:
    queue: asyncio.Queue[float] = asyncio.Queue()
    if room in tasks:
        queue.put_nowait(temperatures.get(room, 20.0))
    queues.setdefault(room, []).append(queue)
    if room not in tasks:
        tasks[room] = asyncio.create_task(spread(room))
    try:
        while True:
            try:
                degrees = await asyncio.wait_for(queue.get(), KEEPALIVE_SECONDS)
            except TimeoutError:
                yield ":\n\n"
            else:
                yield f"data: {degrees}\n\n"
    finally:
        queues[room].remove(queue)
        if not queues[room]:
            tasks.pop(room).cancel()


@app.get("/rooms/{room}")
async def stream_temperature(room: str) -> StreamingResponse:
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(room), media_type="text/event-stream", headers=headers)


@app.put("/rooms/{room}", status_code=204)
async def set_temperature(room: str, degrees: float) -> None:
    temperatures[room] = degrees
