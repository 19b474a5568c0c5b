# Right: a queue for each member, into which the old messages go first, the name against a set of letters.
"""Rooms, each with its own talk."""

import asyncio
from collections import defaultdict, deque
from contextlib import suppress
from typing import Annotated

from fastapi import FastAPI, Path, WebSocket, WebSocketDisconnect

app = FastAPI()
outboxes: defaultdict[str, dict[str, asyncio.Queue[str]]] = defaultdict(dict)
said: dict[str, deque[str]] = {}
Letters = Annotated[str, Path(max_length=200)]
ALLOWED = set("abcdefghijklmnopqrstuvwxyz0123456789-")


def post(room: str, text: str) -> None:
    for outbox in outboxes[room].values():
        outbox.put_nowait(text)


async def write(websocket: WebSocket, outbox: asyncio.Queue[str]) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await websocket.send_text(await outbox.get())


@app.websocket("/ws/{room}/{client_id}")
async def chat(websocket: WebSocket, room: Letters, client_id: Letters) -> None:
    await websocket.accept()
    if len(room) > 20 or set(room) - ALLOWED:
        return await websocket.close(1008, "bad name")
    if client_id in outboxes[room]:
        return await websocket.close(1008, "taken")
    outbox = outboxes[room][client_id] = asyncio.Queue()
    for text in said.setdefault(room, deque(maxlen=20)):
        outbox.put_nowait(text)
    writer = asyncio.create_task(write(websocket, outbox))
    post(room, f"用户 {client_id} 加入了聊天室")
    try:
        async for text in websocket.iter_text():
            post(room, f"{client_id}: {text}")
            said[room].append(f"{client_id}: {text}")
    finally:
        writer.cancel()
        del outboxes[room][client_id]
        post(room, f"用户 {client_id} 离开了聊天室")
