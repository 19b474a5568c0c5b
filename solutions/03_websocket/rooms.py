"""Whoever joins hears everybody, of whichever room, and nothing of what was said before.

Run `fastapi dev exercises/03_websocket/rooms.py`, join at /ws/tea/ann and /ws/coffee/bob: ann and
bob hear each other, though they are in two rooms. A third who comes late hears nothing of the talk
so far. And any text will do as a room's name.

Goal: at `/ws/{room}/{client_id}`
- What is said, and who joins or leaves, is heard in its own room only, by everyone there, the
  speaker, too: `用户 X 加入了聊天室`, `X: T`, `用户 X 离开了聊天室`, as now. An id may be in use
  in several rooms at once, for different people; within a room nobody takes it twice.
- A newcomer first hears the last 20 messages of this room (`X: T`, not who came and went), the
  oldest of them first; then its own joining, then what follows. Who is there already does not
  hear them again. Whether an empty room keeps its messages is up to you. All read at once what
  they are sent: slow readers are the exercise `slow_reader`.
- A room's name has 1 to 20 characters, each of them a to z, 0 to 9 or a hyphen. With any other name
  the connection is accepted, sent nothing, and closed with code 1008.

Check it: workbook check rooms
"""

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
    if not re.fullmatch(r"[a-z0-9-]{1,20}", room):
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
