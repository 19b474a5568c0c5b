# Right: refused with the first byte that fits no signature
"""Stores pictures and PDFs."""

import hashlib
import os
from pathlib import Path
from uuid import uuid4

import aiofiles
from fastapi import FastAPI, HTTPException, Request

UPLOAD_DIR = Path(os.getenv("UPLOAD_DIR", "uploads"))
UPLOAD_DIR.mkdir(parents=True, exist_ok=True)

# How the files of a type begin.
SIGNATURES = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "application/pdf": b"%PDF-",
}
SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "application/pdf": ".pdf"}

app = FastAPI()


def candidates(head: bytes) -> list[str]:
    """The types that a file which begins like this may still have."""
    return [
        kind
        for kind, signature in SIGNATURES.items()
        if head.startswith(signature) or signature.startswith(head)
    ]


@app.post("/files", status_code=201)
async def keep_file(request: Request) -> dict[str, str]:
    pieces = aiter(request.stream())
    head = b""
    while not any(head.startswith(signature) for signature in SIGNATURES.values()):
        if not candidates(head) or not (data := await anext(pieces, b"")):
            raise HTTPException(415, "This is no PNG, JPEG or PDF.")
        head += data
    content_type = candidates(head)[0]
    path = UPLOAD_DIR / f"{uuid4()}{SUFFIXES[content_type]}"
    digest = hashlib.sha256(head)
    async with aiofiles.open(path, "wb") as out:
        await out.write(head)
        async for data in pieces:
            digest.update(data)
            await out.write(data)
    return {"filename": path.name, "content_type": content_type, "sha256": digest.hexdigest()}
