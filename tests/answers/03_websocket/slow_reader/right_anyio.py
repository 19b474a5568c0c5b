# Right: an anyio memory stream for each member, and a task group that either side can cancel.
"""A room with a member that may stop reading."""

import os
from contextlib import suppress

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

QUEUE_SIZE = int(os.getenv("QUEUE_SIZE", "100"))

app = FastAPI()
room: dict[str, tuple[MemoryObjectSendStream[str], anyio.CancelScope]] = {}


def broadcast(text: str) -> None:
    for stream, scope in list(room.values()):
        try:
            stream.send_nowait(text)
        except anyio.WouldBlock:
            scope.cancel()


async def write(websocket: WebSocket, texts: MemoryObjectReceiveStream[str]) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):
        async for text in texts:
            await websocket.send_text(text)


@app.websocket("/ws/{client_id}")
async def chat(websocket: WebSocket, client_id: str) -> None:
    await websocket.accept()
    if client_id in room:
        await websocket.close(1008)
        return
    inlet, outlet = anyio.create_memory_object_stream[str](QUEUE_SIZE)
    with inlet, outlet:
        async with anyio.create_task_group() as group:
            room[client_id] = (inlet, group.cancel_scope)
            group.start_soon(write, websocket, outlet)
            broadcast(f"用户 {client_id} 加入了聊天室")
            async for text in websocket.iter_text():
                broadcast(f"{client_id}: {text}")
            group.cancel_scope.cancel()
        del room[client_id]
    broadcast(f"用户 {client_id} 离开了聊天室")
    with suppress(WebSocketDisconnect, RuntimeError):
        await websocket.close(1013)
