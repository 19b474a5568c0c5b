# Right: receive() tells bytes from text, and a failed send is logged.
"""A room that members leave in many ways."""

import logging

from fastapi import FastAPI, WebSocket, WebSocketDisconnect, WebSocketException

app = FastAPI()
log = logging.getLogger("uvicorn.error")
room: dict[str, WebSocket] = {}


async def broadcast(text: str) -> None:
    for client_id, member in tuple(room.items()):
        try:
            await member.send_text(text)
        except (WebSocketDisconnect, RuntimeError):
            log.info("%s has gone, and its handler will see it", client_id)


@app.websocket("/ws/{client_id}")
async def chat(websocket: WebSocket, client_id: str) -> None:
    await websocket.accept()
    if room.setdefault(client_id, websocket) is not websocket:
        raise WebSocketException(1008, "This id is in use.")
    await broadcast(f"用户 {client_id} 加入了聊天室")
    while True:
        message = await websocket.receive()
        if message.get("text") is None:
            break
        await broadcast(f"{client_id}: {message['text']}")
    room.pop(client_id)
    if message["type"] != "websocket.disconnect":
        await websocket.close(1003, "This room takes text only.")
    await broadcast(f"用户 {client_id} 离开了聊天室")
