"""What does one slow reader do to the room? Nothing, where each member has its own queue.

Run it:    fastapi dev examples/03_websocket.py
           uvicorn examples.03_websocket:app --timeout-graceful-shutdown 1
           (without the option, a client that doesn't read would hold up Ctrl-C until it does)
Try it:    open http://127.0.0.1:8000 in two tabs, join as ann and as bob, and talk
           websockets ws://127.0.0.1:8000/ws/cyd   (a third: freeze it by Ctrl-Z, end it by kill -9)
Watch for: whoever comes, freezes or vanishes, ann and bob never wait, and both hear the same.
"""

import asyncio
import logging
import os
import unicodedata
from contextlib import suppress
from pathlib import Path

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse

QUEUE_SIZE = int(os.getenv("QUEUE_SIZE", "100"))  # messages
MAX_MESSAGE = int(os.getenv("MAX_MESSAGE", "65536"))  # bytes of UTF-8
MAX_ID = 64  # characters

app = FastAPI(title="03 WebSocket")


def spare_traceback(record: logging.LogRecord) -> bool:
    # uvicorn closes with 1007 on text that isn't UTF-8, but logs a traceback as if it were a bug.
    if record.getMessage().startswith("Invalid UTF-8"):
        record.exc_info = None
    return True


logging.getLogger("uvicorn.error").addFilter(spare_traceback)


class Member:
    """One connection: anyone may post to it, and only its own writer sends."""

    def __init__(self, websocket: WebSocket) -> None:
        self.websocket = websocket
        self.outbox: asyncio.Queue[str] = asyncio.Queue()
        self.sending = False
        self.writer = asyncio.create_task(self.write())

    def post(self, text: str) -> None:
        # Others only run during a send when it is stuck, because the client does not read. A long
        # outbox without that says nothing: the writer may not have had its turn yet.
        if self.sending and self.outbox.qsize() >= QUEUE_SIZE:
            self.writer.cancel()
        else:
            self.outbox.put_nowait(text)

    async def write(self) -> None:
        # RuntimeError: uvicorn has closed the connection itself, after a bad frame or no pong.
        with suppress(WebSocketDisconnect, RuntimeError):
            while True:
                text = await self.outbox.get()
                self.sending = True
                await self.websocket.send_text(text)
                self.sending = False


room: dict[str, Member] = {}  # in this process only: a second worker has a room of its own


def broadcast(text: str, exclude: str | None = None) -> None:
    """Post to all. No await, so nobody joins, leaves or speaks in between: one order for all."""
    for client_id, member in room.items():
        if client_id != exclude:
            member.post(text)


def objection(client_id: str) -> str:
    if not any(char.isprintable() and not char.isspace() for char in client_id):
        return "This id is blank: join with a name."
    if len(client_id) > MAX_ID:
        return f"This id is too long: join with at most {MAX_ID} characters."
    if any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in client_id):
        return "This id has a control character or a line break in it: join without."
    if client_id in room:
        return "This id is in use: join with another one."
    return ""


@app.get("/", include_in_schema=False)
async def open_page() -> FileResponse:
    return FileResponse(Path(__file__).with_suffix(".html"))


@app.get("/clients")
async def list_clients() -> list[str]:
    """The ids now connected, in the order in which they came."""
    return list(room)


@app.websocket("/ws/{client_id:path}")  # an id may have a slash in it
@app.websocket("/ws/{client_id}")  # or be refused for a line break, which :path does not match
async def chat(websocket: WebSocket, client_id: str) -> None:
    await websocket.accept()  # only an open connection can be closed with a code and a reason
    # Long after a server was told to stop, those still here are clients that don't read. We are
    # cancelled then, which uvicorn would log as a failure; but nothing is left to do for them.
    with suppress(asyncio.CancelledError):
        if reason := objection(client_id):
            code = 1008
        else:
            code, reason = await stay(websocket, client_id)
        with suppress(WebSocketDisconnect, RuntimeError):  # the client may have gone already
            await websocket.close(code, reason)


async def stay(websocket: WebSocket, client_id: str) -> tuple[int, str]:
    """Be in the room until something ends it: the code and the reason to close with."""
    member = room[client_id] = Member(websocket)
    broadcast(f"用户 {client_id} 加入了聊天室")
    reader = asyncio.create_task(listen(websocket, client_id))
    try:
        await asyncio.wait({reader, member.writer}, return_when=asyncio.FIRST_COMPLETED)
        if reader.done():
            return reader.result()
        # The writer gave up: this member reads too slowly, or its connection is cut.
        return 1013, f"You have not read the last {QUEUE_SIZE} messages: read faster, then rejoin."
    finally:
        reader.cancel()
        member.writer.cancel()
        del room[client_id]
        broadcast(f"用户 {client_id} 离开了聊天室")


async def listen(websocket: WebSocket, client_id: str) -> tuple[int, str]:
    """Pass on what a member says, until it leaves or breaks a rule."""
    while True:
        message = await websocket.receive()  # receive_text() would fail on a binary frame
        if message["type"] == "websocket.disconnect":
            return 1000, ""
        text = message.get("text")
        if text is None:
            return 1003, "This room takes text frames only: send your message as text."
        if len(text.encode()) > MAX_MESSAGE:
            return 1009, f"A message may have {MAX_MESSAGE} bytes: send less at once."
        broadcast(f"{client_id}: {text}", exclude=client_id)
        room[client_id].post("✓ 消息已发送")
        await asyncio.sleep(0)  # one message a turn: a flood must not starve the others
