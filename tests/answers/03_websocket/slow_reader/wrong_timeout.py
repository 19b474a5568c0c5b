# Wrong: who has not taken a message for a moment counts as gone, with hardly anything waiting. Fails: test_a_pause_costs_nothing. Hint: 3.
"""A room with a member that may stop reading."""

import asyncio
import os

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

QUEUE_SIZE = int(os.getenv("QUEUE_SIZE", "100"))

app = FastAPI()
room: dict[str, WebSocket] = {}
closings: set[asyncio.Task[None]] = set()


async def broadcast(text: str) -> None:
    for client_id, member in list(room.items()):
        try:
            await asyncio.wait_for(member.send_text(text), 0.2)
        except (WebSocketDisconnect, RuntimeError):
            pass  # it has gone, as its handler will see
        except TimeoutError:
            del room[client_id]
            closing = asyncio.create_task(member.close(1013))
            closings.add(closing)
            closing.add_done_callback(closings.discard)
            await broadcast(f"用户 {client_id} 离开了聊天室")


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
        if room.get(client_id) is websocket:
            del room[client_id]
            await broadcast(f"用户 {client_id} 离开了聊天室")
