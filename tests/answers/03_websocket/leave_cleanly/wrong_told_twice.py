# Wrong: a failed send tells of the leaving, and then the own handler of who left does so again. Fails: test_vanishing_is_told_to_who_stay. Hint: 3.
"""A room that members leave in many ways."""

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()
room: dict[str, WebSocket] = {}


async def broadcast(text: str) -> None:
    gone = []
    for client_id, member in list(room.items()):
        try:
            await member.send_text(text)
        except (WebSocketDisconnect, RuntimeError):
            gone.append(client_id)
    for client_id in gone:
        if room.pop(client_id, None):
            await broadcast(f"用户 {client_id} 离开了聊天室")


@app.websocket("/ws/{client_id}")
async def chat(websocket: WebSocket, client_id: str) -> None:
    await websocket.accept()
    if client_id in room:
        await websocket.close(1008, "This id is in use: join with another one.")
        return
    room[client_id] = websocket
    await broadcast(f"用户 {client_id} 加入了聊天室")
    try:
        while True:
            await broadcast(f"{client_id}: {await websocket.receive_text()}")
    except (WebSocketDisconnect, KeyError):  # KeyError: a binary frame has no text
        pass
    finally:  # every way out, but only for who was let in: it alone gives the id back
        room.pop(client_id, None)
        await broadcast(f"用户 {client_id} 离开了聊天室")
