# Wrong: a name that was free a moment ago is free. Fails: test_many_of_one_name_at_once_all_survive. Hint: 4.
"""Keeps what clients send, under a name like theirs."""

import os
import re
from pathlib import Path

import aiofiles
from fastapi import FastAPI, UploadFile

UPLOAD_DIR = Path(os.getenv("UPLOAD_DIR", "uploads"))
UPLOAD_DIR.mkdir(parents=True, exist_ok=True)

app = FastAPI()


def safe_name(filename: str) -> str:
    name = re.split(r"[/\\:]", filename)[-1]
    name = re.sub(r"[\x00-\x1f\x7f]", "", name)
    return name if name not in ("", ".", "..") else "upload"


@app.post("/files", status_code=201)
async def keep_file(file: UploadFile) -> dict[str, str]:
    wanted = path = UPLOAD_DIR / safe_name(file.filename or "upload")
    number = 1
    while path.exists():
        number += 1
        path = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
    async with aiofiles.open(path, "wb") as out:
        while data := await file.read(64 * 1024):
            await out.write(data)
    return {"filename": path.name}


@app.get("/files")
def list_files() -> list[str]:
    return sorted(os.listdir(UPLOAD_DIR))
