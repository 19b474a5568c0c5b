# Right: bytes are kept until they can be decoded, and a last \r until the next piece
"""A page shows a model's answer, piece by piece."""

import asyncio
import os
import re
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


def decodable(received: bytes) -> int:
    """How many bytes at the start are whole characters."""
    for length in range(len(received), max(len(received) - 4, -1), -1):
        try:
            received[:length].decode()
        except UnicodeDecodeError:
            continue
        return length
    return 0


async def events(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    kept = b""
    async for piece in pieces:
        kept += piece
        length = decodable(kept)
        if kept[:length].endswith(b"\r"):
            length -= 1
        text, kept = kept[:length].decode(), kept[length:]
        for line in re.split(r"(\r\n|\r|\n)", text):
            if line:
                yield b"data:\ndata:\n\n" if line[0] in "\r\n" else f"data: {line}\n\n".encode()
    if kept:
        yield b"data:\ndata:\n\n"
    yield b"event: end\ndata: \n\n"


@app.get("/recite")
async def recite(text: str) -> StreamingResponse:
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(speak(text)), media_type="text/event-stream", headers=headers)
