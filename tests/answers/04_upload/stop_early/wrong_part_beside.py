# Wrong: NAME.part is nobody else's. Fails: test_a_file_within_the_limit_is_stored. Hint: 4.
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
    part = UPLOAD_DIR / f"{name}.part"
    try:
        with part.open("wb") as out:
            async for data in request.stream():
                size += len(data)
                if size > MAX_BYTES:
                    raise HTTPException(413, TOO_BIG)
                out.write(data)
        part.replace(UPLOAD_DIR / name)
    finally:
        part.unlink(missing_ok=True)
    return {"size": size}
