# Wrong: a digest makes the declared type trustworthy. Fails: test_other_contents_are_refused. Hint: 1.
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


@app.post("/files", status_code=201)
async def keep_file(request: Request) -> dict[str, str]:
    content_type = request.headers.get("content-type", "")
    if content_type not in SIGNATURES:
        raise HTTPException(415, "Send a PNG, a JPEG or a PDF.")
    path = UPLOAD_DIR / f"{uuid4()}{SUFFIXES[content_type]}"
    digest = hashlib.sha256()
    with path.open("wb") as out:
        async for data in request.stream():
            digest.update(data)
            out.write(data)
    return {"filename": path.name, "content_type": content_type, "sha256": digest.hexdigest()}
