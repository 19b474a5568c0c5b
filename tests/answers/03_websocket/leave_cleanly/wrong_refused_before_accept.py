# Wrong: the refusal comes before accept(), where there is no close code. Fails: test_id_in_use_is_refused. Hint: 2.
"""A room that members leave in many ways."""

from contextlib import suppress

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()
room: dict[str, WebSocket] = {}


async def broadcast(text: str) -> None:
    for member in list(room.values()):
        with suppress(WebSocketDisconnect, RuntimeError):  # it may have gone, too
            await member.send_text(text)


@app.websocket("/ws/{client_id}")
async def chat(websocket: WebSocket, client_id: str) -> None:
    if client_id in room:
        await websocket.close(1008, "This id is in use: join with another one.")
        return
    await websocket.accept()
    room[client_id] = websocket
    await broadcast(f"用户 {client_id} 加入了聊天室")
    try:
        while True:
            await broadcast(f"{client_id}: {await websocket.receive_text()}")
    except (WebSocketDisconnect, KeyError):  # KeyError: a binary frame has no text
        pass
    finally:  # every way out, but only for who was let in: it alone gives the id back
        del room[client_id]
        await broadcast(f"用户 {client_id} 离开了聊天室")
