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

from contextlib import suppress

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

HISTORY = 20

app = FastAPI()
members: dict[str, WebSocket] = {}  # TODO: one list of members is one room


async def broadcast(text: str) -> None:
    for member in list(members.values()):
        with suppress(WebSocketDisconnect, RuntimeError):  # it has gone, as its handler will see
            await member.send_text(text)


@app.websocket("/ws/{room}/{client_id}")
async def chat(websocket: WebSocket, room: str, client_id: str) -> None:
    await websocket.accept()
    if client_id in members:
        await websocket.close(1008, "This id is in use: join with another one.")
        return
    members[client_id] = websocket
    await broadcast(f"用户 {client_id} 加入了聊天室")
    try:
        async for text in websocket.iter_text():
            await broadcast(f"{client_id}: {text}")
    finally:
        del members[client_id]
        await broadcast(f"用户 {client_id} 离开了聊天室")
