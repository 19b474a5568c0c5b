# Right: a deque and an event for each member; the listener is a task, the writer is the handler.
"""A room with a member that may stop reading."""

import asyncio
import os
from collections import deque
from contextlib import suppress

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

QUEUE_SIZE = int(os.getenv("QUEUE_SIZE", "100"))

app = FastAPI()


class Outbox:
    def __init__(self) -> None:
        self.waiting: deque[str] = deque()
        self.news = asyncio.Event()
        self.ended = asyncio.Event()

    def post(self, text: str) -> None:
        if len(self.waiting) < QUEUE_SIZE:
            self.waiting.append(text)
            self.news.set()
        else:
            self.ended.set()

    async def write(self, websocket: WebSocket) -> None:
        while True:
            await self.news.wait()
            while self.waiting:
                await websocket.send_text(self.waiting.popleft())
            self.news.clear()


room: dict[str, Outbox] = {}


def broadcast(text: str) -> None:
    for outbox in tuple(room.values()):
        outbox.post(text)


async def listen(websocket: WebSocket, client_id: str) -> None:
    async for text in websocket.iter_text():
        broadcast(f"{client_id}: {text}")
    room[client_id].ended.set()


@app.websocket("/ws/{client_id}")
async def chat(websocket: WebSocket, client_id: str) -> None:
    await websocket.accept()
    if client_id in room:
        await websocket.close(1008)
        return
    outbox = room[client_id] = Outbox()
    broadcast(f"用户 {client_id} 加入了聊天室")
    listener = asyncio.create_task(listen(websocket, client_id))
    writer = asyncio.create_task(outbox.write(websocket))
    await outbox.ended.wait()
    listener.cancel()
    writer.cancel()
    await asyncio.gather(listener, writer, return_exceptions=True)
    del room[client_id]
    broadcast(f"用户 {client_id} 离开了聊天室")
    with suppress(WebSocketDisconnect, RuntimeError):
        await websocket.close(1013)
