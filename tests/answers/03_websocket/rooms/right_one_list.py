# Right: one dictionary by room and id together, and a list that is cut.
"""Rooms, each with its own talk."""

import re
from collections import defaultdict
from contextlib import suppress

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()
members: dict[tuple[str, str], tuple[str, WebSocket]] = {}
said: defaultdict[str, list[str]] = defaultdict(list)


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
    if (room, client_id) in members:
        await websocket.close(1008)
        return
    for text in said[room][-20:]:
        await websocket.send_text(text)
    members[room, client_id] = (room, websocket)
    await broadcast(room, f"用户 {client_id} 加入了聊天室")
    try:
        async for text in websocket.iter_text():
            said[room].append(f"{client_id}: {text}")
            await broadcast(room, f"{client_id}: {text}")
    finally:
        members.pop((room, client_id), None)
        await broadcast(room, f"用户 {client_id} 离开了聊天室")
