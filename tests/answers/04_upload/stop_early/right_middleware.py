# Right: a pure ASGI middleware counts for every route
"""Stores files that are not too big."""

import os
from pathlib import Path
from uuid import uuid4

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import PlainTextResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UPLOAD_DIR = Path(os.getenv("UPLOAD_DIR", "uploads"))
UPLOAD_DIR.mkdir(parents=True, exist_ok=True)
MAX_BYTES = int(os.getenv("MAX_BYTES", 10 * 1024**2))
TOO_BIG = f"The file is too big: send {MAX_BYTES} bytes at most."

app = FastAPI()


class Limit:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if int(Headers(scope=scope).get("content-length", 0)) > MAX_BYTES:
            return await PlainTextResponse(TOO_BIG, 413)(scope, receive, send)
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BYTES:
                raise HTTPException(413, TOO_BIG)
            return message

        await self.app(scope, receive_counted, send)


app.add_middleware(Limit)


@app.put("/files/{name}", status_code=201)
async def keep_file(name: str, request: Request) -> dict[str, int]:
    part = UPLOAD_DIR / f".{uuid4()}"
    try:
        with part.open("wb") as out:
            async for data in request.stream():
                out.write(data)
        size = part.stat().st_size
        os.replace(part, UPLOAD_DIR / name)
    except BaseException:
        part.unlink()
        raise
    return {"size": size}
