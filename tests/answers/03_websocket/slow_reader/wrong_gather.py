# Wrong: sends that run together are still waited for together. Fails: test_the_others_talk_on. Hint: 1.
"""A room with a member that may stop reading."""

import asyncio
import os

from fastapi import FastAPI, WebSocket

QUEUE_SIZE = int(os.getenv("QUEUE_SIZE", "100"))

app = FastAPI()
room: dict[str, WebSocket] = {}


async def broadcast(text: str) -> None:
    sends = (member.send_text(text) for member in room.values())
    await asyncio.gather(*sends, return_exceptions=True)


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
