# Right: a ConnectionManager, whose join is a context manager.
"""A room that members leave in many ways."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, WebSocket, WebSocketDisconnect


class ConnectionManager:
    def __init__(self) -> None:
        self.active: dict[str, WebSocket] = {}

    async def tell(self, text: str) -> None:
        sends = (member.send_text(text) for member in self.active.values())
        await asyncio.gather(*sends, return_exceptions=True)

    @asynccontextmanager
    async def join(self, client_id: str, websocket: WebSocket) -> AsyncIterator[None]:
        self.active[client_id] = websocket
        await self.tell(f"用户 {client_id} 加入了聊天室")
        try:
            yield
        except (WebSocketDisconnect, KeyError):
            pass
        finally:
            del self.active[client_id]
            await self.tell(f"用户 {client_id} 离开了聊天室")


app = FastAPI()
manager = ConnectionManager()


@app.websocket("/ws/{client_id}")
async def chat(websocket: WebSocket, client_id: str) -> None:
    await websocket.accept()
    if client_id in manager.active:
        return await websocket.close(code=1008, reason="taken")
    async with manager.join(client_id, websocket):
        while True:
            await manager.tell(f"{client_id}: {await websocket.receive_text()}")
