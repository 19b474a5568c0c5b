# Wrong: who was refused passes by the clean-up, too, and takes the first holder out. Fails: test_first_holder_keeps_the_id. Hint: 3.
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
    await websocket.accept()
    try:
        if client_id in room:
            await websocket.close(1008, "This id is in use: join with another one.")
            return
        room[client_id] = websocket
        await broadcast(f"用户 {client_id} 加入了聊天室")
        while True:
            await broadcast(f"{client_id}: {await websocket.receive_text()}")
    except (WebSocketDisconnect, KeyError):  # KeyError: a binary frame has no text
        pass
    finally:  # every way out, but only for who was let in: it alone gives the id back
        room.pop(client_id, None)
        await broadcast(f"用户 {client_id} 离开了聊天室")
