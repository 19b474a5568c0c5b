# Wrong: a task for each send frees the speaker, and the tasks pile up behind who does not read. Fails: test_the_stalled_one_is_dropped. Hint: 4.
"""A room with a member that may stop reading."""

import asyncio
import os
from contextlib import suppress

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

QUEUE_SIZE = int(os.getenv("QUEUE_SIZE", "100"))

app = FastAPI()
room: dict[str, WebSocket] = {}
sends: set[asyncio.Task[None]] = set()


async def deliver(member: WebSocket, text: str) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):
        await member.send_text(text)


async def broadcast(text: str) -> None:
    for member in list(room.values()):
        send = asyncio.create_task(deliver(member, text))
        sends.add(send)
        send.add_done_callback(sends.discard)


@app.websocket("/ws/{client_id}")
async def chat(websocket: WebSocket, client_id: str) -> None:
    await websocket.accept()
    if client_id in room:
        await websocket.close(1008, "This id is in use: join with another one.")
        return
    room[client_id] = websocket
    await broadcast(f"用户 {client_id} 加入了聊天室")
    try:
        async for text in websocket.iter_text():
            await broadcast(f"{client_id}: {text}")
    finally:
        del room[client_id]
        await broadcast(f"用户 {client_id} 离开了聊天室")
