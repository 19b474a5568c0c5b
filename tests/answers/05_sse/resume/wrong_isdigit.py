# Wrong: isdigit() says what int() takes. Fails: test_an_unknown_id_gets_everything. Hint: 3.
"""The news, as a stream: a phone reads it, is cut off, and comes back."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import FastAPI, Form, Header
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


async def events(last: int) -> AsyncIterator[str]:
    # The queue listens before the archive is asked, so an item may come by both, but none by
    # neither; the number says which have been sent.
    queue: asyncio.Queue[Item] = asyncio.Queue()
    readers.add(queue)
    try:
        found = await archive.find_all()
        if last not in range(len(found) + 1):
            last = 0
        for item in found[last:]:
            yield f"id: {item.number}\ndata: {item.text}\n\n"
        last = len(found)
        while True:
            item = await queue.get()
            if item.number > last:
                yield f"id: {item.number}\ndata: {item.text}\n\n"
    finally:
        readers.discard(queue)


@app.get("/news")
async def read_news(last_event_id: Annotated[str, Header()] = "") -> StreamingResponse:
    last = int(last_event_id) if last_event_id.isdigit() else 0
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(last), media_type="text/event-stream", headers=headers)
