# Right: no queue, the archive is asked again and again for what is new
"""The news, as a stream: a phone reads it, is cut off, and comes back."""

import asyncio
import os
import re
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
    found = await archive.find_all()
    sent = last if last <= len(found) else 0
    while True:
        for item in found[sent:]:
            yield f"data:{item.text}\nid:{item.number}\n\n"
        sent = len(found)
        await asyncio.sleep(0.05)
        found = await archive.find_all()


@app.get("/news")
async def read_news(last_event_id: Annotated[str, Header()] = "") -> StreamingResponse:
    last = int(last_event_id) if re.fullmatch("[0-9]{1,9}", last_event_id) else 0
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(last), media_type="text/event-stream", headers=headers)
