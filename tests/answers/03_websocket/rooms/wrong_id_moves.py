# Wrong: who joins another room by the same id takes the first one out of theirs. Fails: test_an_id_belongs_to_its_room. Hint: 1.
"""Rooms, each with its own talk."""

import re
from collections import defaultdict, deque
from contextlib import suppress

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()
members: dict[str, tuple[str, WebSocket]] = {}
said: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=20))


async def broadcast(room: str, text: str) -> None:
    for its_room, member in list(members.values()):
        if its_room == room:
            with suppress(WebSocketDisconnect, RuntimeError):
                await member.send_text(text)


@app.websocket("/ws/{room}/{client_id}")
async def chat(websocket: WebSocket, room: str, client_id: str) -> None:
    await websocket.accept()
    if not re.fullmatch(r"[a-z0-9-]{1,20}", room):
        await websocket.close(1008)
        return
    if client_id in members and members[client_id][0] == room:
        await websocket.close(1008)
        return
    for text in list(said[room]):
        await websocket.send_text(text)
    members[client_id] = (room, websocket)
    await broadcast(room, f"用户 {client_id} 加入了聊天室")
    try:
        async for text in websocket.iter_text():
            said[room].append(f"{client_id}: {text}")
            await broadcast(room, f"{client_id}: {text}")
    finally:
        members.pop(client_id, None)
        await broadcast(room, f"用户 {client_id} 离开了聊天室")
