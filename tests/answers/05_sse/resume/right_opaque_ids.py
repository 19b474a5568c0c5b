# Right: ids that mean nothing, from fastapi.sse, and a set of what has been sent
"""The news, as a stream: a phone reads it, is cut off, and comes back."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import FastAPI, Form, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

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


ids: dict[int, str] = {}


def id_of(item: Item) -> str:
    return ids.setdefault(item.number, uuid.uuid4().hex)


@app.get("/news", response_class=EventSourceResponse)
async def read_news(
    last_event_id: Annotated[str | None, Header()] = None,
) -> AsyncIterator[ServerSentEvent]:
    queue: asyncio.Queue[Item] = asyncio.Queue()
    readers.add(queue)
    try:
        found = await archive.find_all()
        known = [id_of(item) for item in found]
        first = known.index(last_event_id) + 1 if last_event_id in known else 0
        sent = set(known[:first])
        for item in found:
            queue.put_nowait(item)
        waiting = sorted((queue.get_nowait() for _ in range(queue.qsize())), key=lambda i: i.number)
        while True:
            for item in waiting:
                if id_of(item) not in sent:
                    sent.add(id_of(item))
                    yield ServerSentEvent(id=id_of(item), raw_data=item.text)
            waiting = [await queue.get()]
    finally:
        readers.discard(queue)
