# Wrong: with the 413 all is done. Fails: test_a_file_cut_off_leaves_nothing. Hint: 4.
"""Stores files that are not too big."""

import os
from pathlib import Path
from uuid import uuid4

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
    size = 0
    part = UPLOAD_DIR / f"{uuid4()}.part"
    with part.open("wb") as out:
        async for data in request.stream():
            size += len(data)
            if size > MAX_BYTES:
                raise HTTPException(413, TOO_BIG)
            out.write(data)
    part.replace(UPLOAD_DIR / name)
    return {"size": size}
