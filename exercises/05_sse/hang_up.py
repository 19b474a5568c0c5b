"""The thermometer is asked on and on for a page that was closed long ago.

`GET /rooms/{room}` streams a room's temperature, whenever it has changed. Run
`fastapi dev exercises/05_sse/hang_up.py`, open http://127.0.0.1:8000/rooms/kitchen with `curl -N`
and press Ctrl-C: the terminal goes on with "measuring kitchen", for ever. Every page that was ever
open costs a task and a queue. And while nothing changes the line is silent: a proxy will cut it.

Goal: a stream lives as long as its client.
- A second after a client has left, in whatever way, nothing is measured for it any more, be it in a
  room where nothing ever changes. Other clients, of the same room too, notice nothing.
- When there has been nothing to say for `KEEPALIVE_SECONDS`, a variable of the environment, the
  stream sends a comment, and again after so much more silence. A page notices nothing of it.
- Events stay as they are: `data` is the temperature, at first the present one, then each new one.
  `PUT /rooms/{room}?degrees=21.5` sets it, and `watch` stays as it is.

Check it: workbook check hang_up
"""

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
    while not task.done():
        degrees = await queue.get()  # TODO: what if nothing comes, and what if the client goes?
        yield f"data: {degrees}\n\n"


@app.get("/rooms/{room}")
async def stream_temperature(room: str) -> StreamingResponse:
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(room), media_type="text/event-stream", headers=headers)


@app.put("/rooms/{room}", status_code=204)
async def set_temperature(room: str, degrees: float) -> None:
    temperatures[room] = degrees
