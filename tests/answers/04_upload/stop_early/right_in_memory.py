# Right: what is allowed fits into memory, and is written in one go
"""Stores files that are not too big."""

import os
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request

UPLOAD_DIR = Path(os.getenv("UPLOAD_DIR", "uploads"))
UPLOAD_DIR.mkdir(parents=True, exist_ok=True)
MAX_BYTES = int(os.getenv("MAX_BYTES", 10 * 1024**2))
TOO_BIG = f"The file is too big: send {MAX_BYTES} bytes at most."

app = FastAPI()


@app.put("/files/{name}", status_code=201)
async def keep_file(name: str, request: Request) -> dict[str, int]:
    told = request.headers.get("content-length")
    if told and int(told) > MAX_BYTES:
        raise HTTPException(413, TOO_BIG)
    body = bytearray()
    async for data in request.stream():
        body += data
        if len(body) > MAX_BYTES:
            raise HTTPException(413, TOO_BIG)
    (UPLOAD_DIR / name).write_bytes(body)
    return {"size": len(body)}
