# Right: os.open with O_EXCL in a thread, and a random number in a name that is taken
"""Keeps what clients send, under a name like theirs."""

import os
import re
from pathlib import Path
from uuid import uuid4

from fastapi import FastAPI, UploadFile
from fastapi.concurrency import run_in_threadpool

UPLOAD_DIR = Path(os.getenv("UPLOAD_DIR", "uploads"))
UPLOAD_DIR.mkdir(parents=True, exist_ok=True)

app = FastAPI()


def safe_name(filename: str) -> str:
    name = re.split(r"[/\\:]", filename)[-1]
    name = re.sub(r"[\x00-\x1f\x7f]", "", name)
    return name if name not in ("", ".", "..") else "upload"


def store(name: str, data: bytes) -> str:
    stem, suffix = os.path.splitext(name)
    while True:
        try:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
            fd = os.open(UPLOAD_DIR / name, flags, 0o644)
        except FileExistsError:
            name = f"{stem}_{uuid4().hex}{suffix}"
            continue
        with open(fd, "wb") as out:
            out.write(data)
        return name


@app.post("/files", status_code=201)
async def keep_file(file: UploadFile) -> dict[str, str]:
    name = safe_name(file.filename or "upload")
    return {"filename": await run_in_threadpool(store, name, await file.read())}


@app.get("/files")
def list_files() -> list[str]:
    return sorted(os.listdir(UPLOAD_DIR))
