# Wrong: a check before the write is early enough. Fails: test_a_chunked_body_is_refused_while_it_arrives. Hint: 1.
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
    if int(request.headers.get("content-length", 0)) > MAX_BYTES:
        raise HTTPException(413, TOO_BIG)
    body = await request.body()
    if len(body) > MAX_BYTES:
        raise HTTPException(413, TOO_BIG)
    (UPLOAD_DIR / name).write_bytes(body)
    return {"size": len(body)}
