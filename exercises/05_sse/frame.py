"""A page that shows a model's answer loses its line breaks, and half of its Chinese.

The model sends its answer in pieces of bytes, as they come over a network, and each piece becomes
one event. Run `fastapi dev exercises/05_sse/frame.py`, and then, with two lines of a poem
(percent-encoded: curl does not do it for you),

    curl -N "http://127.0.0.1:8000/recite?text=%E5%BA%8A%E5%89%8D,%0A%E7%96%91%E6%98%AF"

Characters are in pieces, and the second line is no part of any event. An English text without a
line break looks fine.

Goal: whatever the text, a page's EventSource gets it. It puts together the `data` of the events
that it receives from `GET /recite?text=…`, in order, and has the text, to the character.
- A line end, be it \\n, \\r\\n or \\r, arrives as one \\n: the format knows no other. Nothing else
  changes, neither spaces nor quotes.
- The text goes on arriving while the model speaks, not when it has finished. How many events
  there are is up to you.
- At the end comes an event of the type `end`, as now, so that the page can close: an EventSource
  that is cut off comes back. No text may bring it about. `speak` stays as it is.

Check it: workbook check frame
"""

import asyncio
import os
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

PIECE_SECONDS = float(os.getenv("PIECE_SECONDS", "0.1"))
PIECE_BYTES = 7

app = FastAPI()


async def speak(text: str) -> AsyncIterator[bytes]:
    """Stands in for the model: bytes in UTF-8, cut where it happens to cut."""
    answer = text.encode()
    for start in range(0, len(answer), PIECE_BYTES):
        await asyncio.sleep(PIECE_SECONDS)
        yield answer[start : start + PIECE_BYTES]


async def events(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield b"data: " + piece + b"\n\n"  # TODO: any piece has to arrive, not only a lucky one.
    yield b"event: end\ndata: \n\n"


@app.get("/recite")
async def recite(text: str) -> StreamingResponse:
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(speak(text)), media_type="text/event-stream", headers=headers)
