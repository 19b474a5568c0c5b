# Wrong: re.match is content with a good beginning of a name. Fails: test_bad_names_are_refused. Hint: 4.
"""Rooms, each with its own talk."""

import re
from collections import defaultdict, deque
from contextlib import suppress

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

HISTORY = 20

app = FastAPI()
# All that belongs to a room is found by its name, so that nothing passes into another.
members: defaultdict[str, dict[str, WebSocket]] = defaultdict(dict)
said: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=HISTORY))


async def broadcast(room: str, text: str) -> None:
    for member in list(members[room].values()):
        with suppress(WebSocketDisconnect, RuntimeError):  # it has gone, as its handler will see
            await member.send_text(text)


@app.websocket("/ws/{room}/{client_id}")
async def chat(websocket: WebSocket, room: str, client_id: str) -> None:
    await websocket.accept()
    if not re.match(r"[a-z0-9-]{1,20}", room):
        await websocket.close(1008, "A room's name has up to 20 of a-z, 0-9 and hyphens.")
        return
    if client_id in members[room]:
        await websocket.close(1008, "This id is in use: join with another one.")
        return
    members[room][client_id] = websocket
    try:
        for text in list(said[room]):
            await websocket.send_text(text)
        await broadcast(room, f"用户 {client_id} 加入了聊天室")
        async for text in websocket.iter_text():
            said[room].append(f"{client_id}: {text}")
            await broadcast(room, f"{client_id}: {text}")
    finally:
        del members[room][client_id]
        await broadcast(room, f"用户 {client_id} 离开了聊天室")
