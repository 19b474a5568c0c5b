# Right: a temporary file elsewhere, moved when it is whole
"""Stores files that are not too big."""

import os
import shutil
import tempfile
from pathlib import Path

import aiofiles
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
    with tempfile.TemporaryDirectory() as folder:
        received = Path(folder, "received")
        size = 0
        async with aiofiles.open(received, "wb") as out:
            async for data in request.stream():
                if (size := size + len(data)) > MAX_BYTES:
                    raise HTTPException(413, TOO_BIG)
                await out.write(data)
        shutil.move(received, UPLOAD_DIR / name)
    return {"size": size}
