# Right: one upload at a time looks for a free name, and what is no plain one gets a made-up one
"""Keeps what clients send, under a name like theirs."""

import asyncio
import os
from pathlib import Path
from uuid import uuid4

import aiofiles
from fastapi import FastAPI, UploadFile

UPLOAD_DIR = Path(os.getenv("UPLOAD_DIR", "uploads"))
UPLOAD_DIR.mkdir(parents=True, exist_ok=True)

app = FastAPI()


NAMING = asyncio.Lock()


def safe_name(filename: str) -> str:
    plain = filename.isprintable() and not set(filename) & set("/\\:") and filename.strip(".")
    return filename if plain else str(uuid4())


@app.post("/files", status_code=201)
async def keep_file(file: UploadFile) -> dict[str, str]:
    name = safe_name(file.filename or "upload")
    async with NAMING:
        path, number = UPLOAD_DIR / name, 0
        while path.exists():
            number += 1
            path = UPLOAD_DIR / f"{Path(name).stem}.{number}{Path(name).suffix}"
        path.touch()
    async with aiofiles.open(path, "wb") as out:
        await out.write(await file.read())
    return {"filename": path.name}


@app.get("/files")
def list_files() -> list[str]:
    return sorted(os.listdir(UPLOAD_DIR))
