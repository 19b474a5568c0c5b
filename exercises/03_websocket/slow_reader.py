"""One member stops reading, and the whole room falls silent.

Run `fastapi dev exercises/03_websocket/slow_reader.py`, join at /ws/ann, /ws/bob and /ws/cyd, and
let cyd stop reading while ann goes on sending: once the buffers on the way to cyd are full, the
send to cyd does not return. ann's handler waits there, and bob hears nothing more.

Goal: at `/ws/{client_id}`, everyone in the room hears, as now, who joins, what is said (the
speaker, too) and who leaves. But each at their own pace:
- Nobody waits for a member that does not read. Its messages wait for it, up to `QUEUE_SIZE` of
  them (a variable of the environment), and when it reads again before that, it hears all of them in
  order.
- When still more come, it is dropped: `用户 X 离开了聊天室` is told once, its connection is closed
  with code 1013, which it sees when it reads on, and anyone may join by its id.
- A stalled member does not make the app's memory grow without end.

Check it: workbook check slow_reader
"""

import os
from contextlib import suppress

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

QUEUE_SIZE = int(os.getenv("QUEUE_SIZE", "100"))

app = FastAPI()
room: dict[str, WebSocket] = {}


async def broadcast(text: str) -> None:
    for member in list(room.values()):
        with suppress(WebSocketDisconnect, RuntimeError):  # it has gone, as its handler will see
            await member.send_text(text)  # TODO: everyone waits here for one


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
