# Wrong: the server remembers what was sent. Fails: test_comes_back_again_and_again. Hint: 1.
"""The news, as a stream: a phone reads it, is cut off, and comes back."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import FastAPI, Form
from fastapi.responses import StreamingResponse

QUERY_SECONDS = float(os.getenv("QUERY_SECONDS", "0.3"))


@dataclass(frozen=True)
class Item:
    number: int  # from 1
    text: str


class Archive:
    """Stands in for a database: it finds what is there when the question reaches it."""

    def __init__(self) -> None:
        self.items: list[Item] = []

    def add(self, text: str) -> Item:
        self.items.append(Item(len(self.items) + 1, text))
        return self.items[-1]

    async def find_all(self) -> list[Item]:
        await asyncio.sleep(QUERY_SECONDS / 2)  # the question travels
        found = list(self.items)
        await asyncio.sleep(QUERY_SECONDS / 2)  # and so does the answer
        return found


app = FastAPI()
archive = Archive()
readers: set[asyncio.Queue[Item]] = set()


@app.post("/news", status_code=201)
async def publish(text: Annotated[str, Form()]) -> dict[str, str]:
    item = archive.add(text)
    for queue in readers:
        queue.put_nowait(item)
    return {"text": item.text}


sent = 0


async def events() -> AsyncIterator[str]:
    global sent
    while True:
        for item in (await archive.find_all())[sent:]:
            sent = item.number
            yield f"id: {item.number}\ndata: {item.text}\n\n"
        await asyncio.sleep(0.02)


@app.get("/news")
async def read_news() -> StreamingResponse:
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)
