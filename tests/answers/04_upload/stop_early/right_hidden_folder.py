# Right: a dependency for the header, and parts in a folder of their own
"""Stores files that are not too big."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException, Request

UPLOAD_DIR = Path(os.getenv("UPLOAD_DIR", "uploads"))
UPLOAD_DIR.mkdir(parents=True, exist_ok=True)
MAX_BYTES = int(os.getenv("MAX_BYTES", 10 * 1024**2))
TOO_BIG = f"The file is too big: send {MAX_BYTES} bytes at most."

app = FastAPI()


PARTS = tempfile.TemporaryDirectory(dir=UPLOAD_DIR.parent)


def check_length(content_length: Annotated[int, Header()] = 0) -> None:
    if content_length > MAX_BYTES:
        raise HTTPException(413, TOO_BIG)


@app.put("/files/{name}", status_code=201, dependencies=[Depends(check_length)])
async def keep_file(name: str, request: Request) -> dict[str, int | str]:
    fd, part = tempfile.mkstemp(dir=PARTS.name)
    try:
        with open(fd, "wb") as out:
            async for data in request.stream():
                out.write(data)
                if out.tell() > MAX_BYTES:
                    raise HTTPException(413, TOO_BIG)
            size = out.tell()
        os.replace(part, UPLOAD_DIR / name)
    except Exception:
        os.unlink(part)
        raise
    return {"size": size, "name": name}
