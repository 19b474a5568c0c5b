# Wrong: removing what was written brings the older file back. Fails: test_a_refused_file_leaves_nothing. Hint: 4.
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
    size = 0
    path = UPLOAD_DIR / name
    try:
        with path.open("wb") as out:
            async for data in request.stream():
                size += len(data)
                if size > MAX_BYTES:
                    raise HTTPException(413, TOO_BIG)
                out.write(data)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return {"size": size}
