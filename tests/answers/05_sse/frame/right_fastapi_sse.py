# Right: fastapi.sse with raw_data, which splits the lines itself
"""A page shows a model's answer, piece by piece."""

import asyncio
import codecs
import io
import os
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.sse import EventSourceResponse, ServerSentEvent

PIECE_SECONDS = float(os.getenv("PIECE_SECONDS", "0.1"))
PIECE_BYTES = 7

app = FastAPI()


async def speak(text: str) -> AsyncIterator[bytes]:
    """Stands in for the model: bytes in UTF-8, cut where it happens to cut."""
    answer = text.encode()
    for start in range(0, len(answer), PIECE_BYTES):
        await asyncio.sleep(PIECE_SECONDS)
        yield answer[start : start + PIECE_BYTES]


@app.get("/recite", response_class=EventSourceResponse)
async def recite(text: str) -> AsyncIterator[ServerSentEvent]:
    yield ServerSentEvent(comment="here it comes", retry=500)
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")(), translate=True)
    number = 0
    async for piece in speak(text):
        if spoken := decoder.decode(piece):
            yield ServerSentEvent(raw_data=spoken, id=str(number))
            number += 1
    yield ServerSentEvent(raw_data=decoder.decode(b"", final=True))
    yield ServerSentEvent(raw_data="", event="end")
