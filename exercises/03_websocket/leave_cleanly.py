"""One member leaves, and others lose their connection, their name or the news of it.

Run `fastapi dev exercises/03_websocket/leave_cleanly.py` and join at /ws/ann and /ws/bob with
`websockets ws://127.0.0.1:8000/ws/ann`. When a second ann comes and goes, the first is deaf. When
some vanish at the same moment (kill -9), most of them are not told of. When one sends bytes, it
stays in the room as a ghost, and whoever speaks next is thrown out.

Goal: at `/ws/{client_id}`, everyone in the room hears, as now, `用户 X 加入了聊天室` when X joins,
`X: T` when X says T (X hears these, too), and `用户 X 离开了聊天室` when X has left. But
- However X leaves, those who stay are told once, stay themselves, and may go on talking: X closes
  its connection, vanishes, or sends a binary frame, which ends its connection.
- After that, X is free: anyone may join by that id.
- Whoever comes with an id in use is closed with code 1008. Nobody in the room hears of it, and
  the first holder goes on as if nothing had been.

Check it: workbook check leave_cleanly
"""

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()
room: dict[str, WebSocket] = {}


async def broadcast(text: str) -> None:
    for member in list(room.values()):
        await member.send_text(text)


@app.websocket("/ws/{client_id}")
async def chat(websocket: WebSocket, client_id: str) -> None:
    await websocket.accept()
    room[client_id] = websocket
    await broadcast(f"用户 {client_id} 加入了聊天室")
    try:
        while True:
            await broadcast(f"{client_id}: {await websocket.receive_text()}")
    except WebSocketDisconnect:
        # TODO: who has left here, and is it always this line that is reached?
        del room[client_id]
        await broadcast(f"用户 {client_id} 离开了聊天室")
