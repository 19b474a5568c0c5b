# Wrong: what is declared must fit the contents. Fails: test_the_contents_decide. Hint: 1.
"""Stores pictures and PDFs."""

import hashlib
import os
from pathlib import Path
from uuid import uuid4

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


def type_of(head: bytes) -> str:
    for content_type, signature in SIGNATURES.items():
        if head.startswith(signature):
            return content_type
    raise HTTPException(415, f"Send a file of one of these types: {', '.join(SIGNATURES)}.")


@app.post("/files", status_code=201)
async def keep_file(request: Request) -> dict[str, str]:
    body = request.stream()
    head = b""
    async for data in body:
        head += data
        if len(head) >= 8:
            break
    content_type = type_of(head)
    path = UPLOAD_DIR / f"{uuid4()}{SUFFIXES[content_type]}"
    if request.headers.get("content-type") != content_type:
        raise HTTPException(415, f"This is a file of type {content_type}.")
    digest = hashlib.sha256(head)
    with path.open("wb") as out:
        out.write(head)
        async for data in body:
            digest.update(data)
            out.write(data)
    return {"filename": path.name, "content_type": content_type, "sha256": digest.hexdigest()}
