# Right: a task for each send, in turn by a lock, and a count of those that wait.
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
        self.turn = asyncio.Lock()
        self.sends: set[asyncio.Task[None]] = set()
        self.too_slow = asyncio.Event()

    def post(self, text: str) -> None:
        if len(self.sends) > QUEUE_SIZE:  # one is being sent, the others wait
            self.too_slow.set()
            return
        task = asyncio.create_task(self.send(text))
        self.sends.add(task)
        task.add_done_callback(self.sends.discard)

    async def send(self, text: str) -> None:
        async with self.turn:
            with suppress(WebSocketDisconnect, RuntimeError):
                await self.websocket.send_text(text)


room: dict[str, Member] = {}


def broadcast(text: str) -> None:
    for member in room.values():
        member.post(text)


@app.websocket("/ws/{client_id}")
async def chat(websocket: WebSocket, client_id: str) -> None:
    await websocket.accept()
    if client_id in room:
        await websocket.close(1008)
        return
    room[client_id] = member = Member(websocket)
    broadcast(f"用户 {client_id} 加入了聊天室")

    async def listen() -> None:
        async for text in websocket.iter_text():
            broadcast(f"{client_id}: {text}")

    both = [asyncio.create_task(listen()), asyncio.create_task(member.too_slow.wait())]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    for task in (*both, *member.sends):
        task.cancel()
    del room[client_id]
    broadcast(f"用户 {client_id} 离开了聊天室")
    with suppress(WebSocketDisconnect, RuntimeError):
        await websocket.close(1013)
