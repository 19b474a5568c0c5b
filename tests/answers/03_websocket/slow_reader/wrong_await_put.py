# Wrong: the queue has a bound, and a broadcast waits when it is full. Fails: test_the_others_talk_on. Hint: 2.
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
        while True:
            text = await self.outbox.get()
            with suppress(WebSocketDisconnect, RuntimeError):  # it has gone
                await self.websocket.send_text(text)


room: dict[str, Member] = {}


async def broadcast(text: str) -> None:
    for member in list(room.values()):
        await member.outbox.put(text)


async def listen(websocket: WebSocket, client_id: str) -> None:
    async for text in websocket.iter_text():
        await broadcast(f"{client_id}: {text}")


@app.websocket("/ws/{client_id}")
async def chat(websocket: WebSocket, client_id: str) -> None:
    await websocket.accept()
    if client_id in room:
        await websocket.close(1008, "This id is in use: join with another one.")
        return
    member = room[client_id] = Member(websocket)
    await broadcast(f"用户 {client_id} 加入了聊天室")
    listener = asyncio.create_task(listen(websocket, client_id))
    try:
        await asyncio.wait({listener, member.writer}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        listener.cancel()
        member.writer.cancel()
        del room[client_id]
        await broadcast(f"用户 {client_id} 离开了聊天室")
    with suppress(WebSocketDisconnect, RuntimeError):
        await websocket.close(1013, "Too many messages wait for you: read faster.")
