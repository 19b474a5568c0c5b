# Right: anyio's task group and memory stream, owned by the handler of fastapi.sse
"""A room's temperature, as a stream: it lives as long as its client."""

import asyncio
import os
from collections.abc import AsyncIterator

import anyio
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse, ServerSentEvent

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


@app.get("/rooms/{room}", response_class=EventSourceResponse)
async def stream_temperature(room: str) -> AsyncIterator[ServerSentEvent]:
    sender, receiver = anyio.create_memory_object_stream[float](10)

    async def collect() -> None:
        async with sender:
            async for degrees in watch(room):
                await sender.send(degrees)

    async with anyio.create_task_group() as tasks, receiver:
        tasks.start_soon(collect)
        while True:
            with anyio.move_on_after(KEEPALIVE_SECONDS) as limit:
                degrees = await receiver.receive()
            if limit.cancelled_caught:
                yield ServerSentEvent(comment="nothing new")
            else:
                yield ServerSentEvent(raw_data=f"{degrees}")


@app.put("/rooms/{room}", status_code=204)
async def set_temperature(room: str, degrees: float) -> None:
    temperatures[room] = degrees
