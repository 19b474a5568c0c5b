# Right: the stream's own lines end with \r\n, and a character is an event
"""A page shows a model's answer, piece by piece."""

import asyncio
import codecs
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
    yield "\ufeff: once upon a time\r\n\r\nretry: 1000\r\n\r\n"
    decoder = codecs.getincrementaldecoder("utf-8")()
    before = ""
    async for piece in pieces:
        for character in decoder.decode(piece):
            if character == "\n" and before == "\r":
                pass
            elif character in "\r\n":
                yield "data\r\ndata\r\n\r\n"
            else:
                yield f"data: {character}\r\n\r\n"
            before = character
    yield "event: end\r\ndata\r\n\r\n"


@app.get("/recite")
async def recite(text: str) -> StreamingResponse:
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(speak(text)), media_type="text/event-stream", headers=headers)
