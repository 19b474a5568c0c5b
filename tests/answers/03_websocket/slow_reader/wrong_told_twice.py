# Wrong: who drops a member tells of it, and the own handler of that member does so again. Fails: test_the_stalled_one_is_dropped. Hint: 5.
"""A room with a member that may stop reading."""

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
    for client_id, member in list(room.items()):
        try:
            member.outbox.put_nowait(text)
        except asyncio.QueueFull:
            member.writer.cancel()
            room.pop(client_id, None)
            broadcast(f"用户 {client_id} 离开了聊天室")


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
        room.pop(client_id, None)
        broadcast(f"用户 {client_id} 离开了聊天室")
    with suppress(WebSocketDisconnect, RuntimeError):
        await websocket.close(1013, "Too many messages wait for you: read faster.")
