"""One member stops reading, and the whole room falls silent.

Run `fastapi dev exercises/03_websocket/slow_reader.py`, join at /ws/ann, /ws/bob and /ws/cyd, and
let cyd stop reading while ann goes on sending: once the buffers on the way to cyd are full, the
send to cyd does not return. ann's handler waits there, and bob hears nothing more.

Goal: at `/ws/{client_id}`, everyone in the room hears, as now, who joins, what is said (the
speaker, too) and who leaves. But each at their own pace:
- Nobody waits for a member that does not read. Its messages wait for it, up to `QUEUE_SIZE` of
  them (a variable of the environment), and when it reads again before that, it hears all of them in
  order.
- When still more come, it is dropped: `用户 X 离开了聊天室` is told once, its connection is closed
  with code 1013, which it sees when it reads on, and anyone may join by its id.
- A stalled member does not make the app's memory grow without end.

Check it: workbook check slow_reader
"""

import asyncio
import os
from contextlib import suppress

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

QUEUE_SIZE = int(os.getenv("QUEUE_SIZE", "100"))

app = FastAPI()


class Member:
    def __init__(self, websocket: WebSocket) -> None:
        self.websocket = websocket
        self.outbox: asyncio.Queue[str] = asyncio.Queue(QUEUE_SIZE)
        self.writer = asyncio.create_task(self.write())

    async def write(self) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):  # it has gone, as its handler will see
            while True:
                await self.websocket.send_text(await self.outbox.get())


room: dict[str, Member] = {}


def broadcast(text: str) -> None:
    # Nothing is awaited here: each member's own writer waits for it, and nobody else does.
    for member in room.values():
        try:
            member.outbox.put_nowait(text)
        except asyncio.QueueFull:
            member.writer.cancel()


async def listen(websocket: WebSocket, client_id: str) -> None:
    async for text in websocket.iter_text():
        broadcast(f"{client_id}: {text}")


@app.websocket("/ws/{client_id}")
async def chat(websocket: WebSocket, client_id: str) -> None:
    await websocket.accept()
    if client_id in room:
        await websocket.close(1008, "This id is in use: join with another one.")
        return
    member = room[client_id] = Member(websocket)
    broadcast(f"用户 {client_id} 加入了聊天室")
    listener = asyncio.create_task(listen(websocket, client_id))
    try:
        await asyncio.wait({listener, member.writer}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        listener.cancel()
        member.writer.cancel()
        del room[client_id]
        broadcast(f"用户 {client_id} 离开了聊天室")
    with suppress(WebSocketDisconnect, RuntimeError):
        await websocket.close(1013, "Too many messages wait for you: read faster.")
