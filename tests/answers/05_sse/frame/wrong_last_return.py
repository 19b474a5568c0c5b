# Wrong: a decoder has told all when the pieces have ended. Fails: test_carriage_returns_arrive. Hint: 4.
"""A page shows a model's answer, piece by piece."""

import asyncio
import codecs
import io
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


async def events(pieces: AsyncIterator[bytes]) -> AsyncIterator[str]:
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")(), translate=True)
    async for piece in pieces:
        text = decoder.decode(piece)
        yield "data: " + text.replace("\n", "\ndata: ") + "\n\n"
    yield "event: end\ndata: \n\n"


@app.get("/recite")
async def recite(text: str) -> StreamingResponse:
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(speak(text)), media_type="text/event-stream", headers=headers)
