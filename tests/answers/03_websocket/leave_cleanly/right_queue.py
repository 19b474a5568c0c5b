# Right: one task tells everything, in order, from a queue.
"""A room that members leave in many ways."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, WebSocket, status

room: dict[str, WebSocket] = {}
news: asyncio.Queue[str] = asyncio.Queue()


async def tell_news() -> None:
    while True:
        text = await news.get()
        for member in list(room.values()):
            with suppress(Exception):
                await member.send_text(text)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    teller = asyncio.create_task(tell_news())
    yield
    teller.cancel()


app = FastAPI(lifespan=lifespan)


@app.websocket("/ws/{client_id}")
async def chat(websocket: WebSocket, client_id: str) -> None:
    await websocket.accept()
    if client_id in room:
        await websocket.close(status.WS_1008_POLICY_VIOLATION)
        return
    room[client_id] = websocket
    news.put_nowait(f"用户 {client_id} 加入了聊天室")
    try:
        async for text in websocket.iter_text():
            news.put_nowait(f"{client_id}: {text}")
    finally:
        room.pop(client_id)
        news.put_nowait(f"用户 {client_id} 离开了聊天室")
