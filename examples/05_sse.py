"""How does an answer arrive word by word? Server-sent events: one response that goes on.

Run it:    fastapi dev examples/05_sse.py
Try it:    open http://127.0.0.1:8000, or curl -N http://127.0.0.1:8000/events/news
Watch for: one event a second, not five at the end; and Ctrl-C, with a stream open, ends at once.
"""

import asyncio
import contextlib
import json
import os
import pathlib
import re
import signal
import threading
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from types import FrameType
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException, Path, Query, Request
from fastapi.responses import FileResponse, Response, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from uvicorn.server import HANDLED_SIGNALS

KEEPALIVE_SECONDS = float(os.getenv("KEEPALIVE_SECONDS", "15"))
TOKEN_SECONDS = float(os.getenv("TOKEN_SECONDS", "0.05"))

HEADERS = {
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # or nginx keeps the events until it has a bufferful
}


class Streams:
    """What all open streams share: their number, and the news that the server stops."""

    def __init__(self) -> None:
        self.open = 0
        self.stopping = asyncio.Event()

    async def sleep(self, seconds: float) -> bool:
        """Sleep, and say whether to go on: a stop of the server ends sleep and stream at once."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        return not self.stopping.is_set()


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Streams]]:
    streams = Streams()
    loop = asyncio.get_running_loop()
    handlers: dict[int, Callable[[int, FrameType | None], object]] = {}

    def stop(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(streams.stopping.set)
        handlers[number](number, frame)

    # What stands after `yield` is too late to end a stream: uvicorn waits for every response
    # before it gets there. The signal comes first, so hear it, then hand it on to uvicorn.
    # Only the main thread may: a server in another thread lets its streams run out.
    if threading.current_thread() is threading.main_thread():
        for each in HANDLED_SIGNALS:
            if callable(handler := signal.getsignal(each)):
                handlers[each] = handler
                signal.signal(each, stop)
    try:
        yield {"streams": streams}
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


app = FastAPI(title="05 SSE", lifespan=lifespan)


async def open_stream(request: Request) -> AsyncIterator[Streams]:
    """Count a stream until it ends, whether it has run out or the client has gone."""
    streams: Streams = request.state.streams
    streams.open += 1
    try:
        yield streams
    finally:
        streams.open -= 1


OpenStream = Annotated[Streams, Depends(open_stream)]
# Bounds on what a client says keep a whole answer below the server's write buffer, so that
# one who doesn't read never holds up a send.
Topic = Annotated[str, Path(max_length=200)]
Prompt = Annotated[str, Query(min_length=1, max_length=500)]
Interval = Annotated[float, Query(ge=0, le=10)]
Events = AsyncIterator[str]
LastEventID = Annotated[str, Header(alias="Last-Event-ID")]


def first_unread(last_event_id: str, total: int) -> int:
    """Where to go on for a client that comes back; an id that is none of ours: at the start."""
    ids = [str(number) for number in range(total)]
    first = ids.index(last_event_id) + 1 if last_event_id in ids else 0
    if first == total:
        raise HTTPException(204)  # it has had everything: tells an EventSource to stay away
    return first


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    return FileResponse(pathlib.Path(__file__).with_suffix(".html"))


@app.get("/streams")
async def count_streams(request: Request) -> dict[str, int]:
    """How many streams are open in this process (each worker counts its own)."""
    return {"open": request.state.streams.open}


# ── By hand: the format on the wire ──────────────────────────────────────────────────────────


async def messages(streams: Streams, topic: str, interval: float, first: int) -> Events:
    for index in range(first, 5):
        message = {"topic": topic, "index": index, "message": f"第 {index + 1} 条消息"}
        # JSON escapes every newline: nothing in a topic can end the line, or the event.
        yield f"id: {index}\ndata: {json.dumps(message, ensure_ascii=False)}\n\n"
        if not await streams.sleep(interval):
            return  # and no [DONE]: the client will come back for the rest
    yield "id: 5\ndata: [DONE]\n\n"


@app.get("/events/{topic}")
async def stream_events(
    topic: Topic, streams: OpenStream, interval: Interval = 1, last_event_id: LastEventID = ""
) -> Response:
    events = messages(streams, topic, interval, first_unread(last_event_id, total=6))
    return StreamingResponse(events, media_type="text/event-stream", headers=HEADERS)


async def ticks(streams: Streams, interval: float) -> Events:
    while True:
        yield f"data: {datetime.now():%H:%M:%S}\n\n"
        silence = interval
        while silence >= KEEPALIVE_SECONDS > 0:  # 0: no comments at all
            silence -= KEEPALIVE_SECONDS
            if not await streams.sleep(KEEPALIVE_SECONDS):
                return
            yield ": keep-alive\n\n"  # a comment, so that no proxy takes silence for death
        if not await streams.sleep(silence):
            return


@app.get("/ticker")
async def stream_ticks(
    streams: OpenStream, interval: Annotated[float, Query(ge=0.1, le=60)] = 1
) -> Response:
    events = ticks(streams, interval)
    return StreamingResponse(events, media_type="text/event-stream", headers=HEADERS)


# ── With FastAPI's own: the answer of a language model ───────────────────────────────────────


def unread_tokens(prompt: Prompt, last_event_id: LastEventID = "") -> list[tuple[int, str]]:
    answer = (
        f"你问的是“{prompt}”,一共 {len(prompt)} 个字。"
        "回答是编的,到来的方式却是真的:一个词接一个词,想好一个就送出一个。"
    )
    tokens = [*re.findall(r"[a-zA-Z0-9]+|\s+|.", answer), "[DONE]"]
    return list(enumerate(tokens))[first_unread(last_event_id, len(tokens)) :]


@app.get("/chat", response_class=EventSourceResponse)
async def stream_answer(
    streams: OpenStream, tokens: Annotated[list[tuple[int, str]], Depends(unread_tokens)]
) -> AsyncIterator[ServerSentEvent]:
    for number, token in tokens:
        # `data=` would make JSON of it and write 你 as "\u4f60"; both split lines correctly.
        yield ServerSentEvent(id=str(number), raw_data=token)
        if not await streams.sleep(TOKEN_SECONDS):
            return
