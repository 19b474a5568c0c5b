"""After a tunnel the phone shows all the news again, and not all of it.

A phone reads the news from `GET /news`, its EventSource comes back by itself whenever the line was
cut. Run `fastapi dev exercises/05_sse/resume.py`, open a stream with `curl -N`, post some news with
`curl -d text=… http://127.0.0.1:8000/news`, cut the stream off and open it again: everything comes
once more. And what is posted while the archive is being asked never comes.

Goal: who comes back goes on where the line was cut: nothing twice, nothing missing.
- `GET /news` sends each item of news as one event, its text as `data`: at first those of the
  archive, in their order, then each one as it is posted.
- Each event has an `id`. A request whose header `Last-Event-ID` has such an id, which an
  EventSource sends by itself, gets what came after that event, as often as it comes back, and
  whoever else reads.
- With an id that is none of ours, a number never given or whatever nonsense, it gets everything.
- `POST /news` with `text`, always a single line, in a form goes on answering 201. `Archive` stays
  as it is: to ask it takes `QUERY_SECONDS`, a variable of the environment.

Check it: workbook check resume
"""

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


async def events(last_id: str) -> AsyncIterator[str]:
    # The queue listens before the archive is asked, so an item may come by both, but none by
    # neither; the number says which have been sent.
    queue: asyncio.Queue[Item] = asyncio.Queue()
    readers.add(queue)
    try:
        found = await archive.find_all()
        # As texts: to make a number of what somebody sends has pitfalls of its own.
        last = next((item.number for item in found if str(item.number) == last_id), 0)
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
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(last_event_id), media_type="text/event-stream", headers=headers)
