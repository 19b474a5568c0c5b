# Right: a Room with its members, that is forgotten when the last one has left.
"""Rooms, each with its own talk."""

import asyncio
import string
from collections import deque

from fastapi import FastAPI, WebSocket, WebSocketException

app = FastAPI()
NAME = frozenset(string.ascii_lowercase + string.digits + "-")


class Room:
    def __init__(self) -> None:
        self.members: dict[str, WebSocket] = {}
        self.said: deque[str] = deque(maxlen=20)

    async def tell(self, text: str) -> None:
        sends = (member.send_text(text) for member in self.members.values())
        await asyncio.gather(*sends, return_exceptions=True)


rooms: dict[str, Room] = {}


@app.websocket("/ws/{name}/{client_id}")
async def chat(websocket: WebSocket, name: str, client_id: str) -> None:
    await websocket.accept()
    if not (len(name) in range(1, 21) and NAME.issuperset(name)):
        raise WebSocketException(1008, "No such room.")
    room = rooms.setdefault(name, Room())
    if client_id in room.members:
        raise WebSocketException(1008, "This id is in use.")
    room.members[client_id] = websocket
    for text in tuple(room.said):
        await websocket.send_text(text)
    await room.tell(f"用户 {client_id} 加入了聊天室")
    try:
        async for text in websocket.iter_text():
            room.said.append(f"{client_id}: {text}")
            await room.tell(room.said[-1])
    finally:
        del room.members[client_id]
        if not room.members and rooms.get(name) is room:
            del rooms[name]
        await room.tell(f"用户 {client_id} 离开了聊天室")
