# Wrong: a name of its own for every file, whatever it was called. Fails: test_a_plain_name_is_kept. Hint: 3.
"""Keeps what clients send, under a name like theirs."""

import os
from pathlib import Path
from uuid import uuid4

import aiofiles
from fastapi import FastAPI, UploadFile

UPLOAD_DIR = Path(os.getenv("UPLOAD_DIR", "uploads"))
UPLOAD_DIR.mkdir(parents=True, exist_ok=True)

app = FastAPI()


@app.post("/files", status_code=201)
async def keep_file(file: UploadFile) -> dict[str, str]:
    name = f"{uuid4()}.{(file.filename or '').rpartition('.')[2]}"
    name = "".join(char for char in name if char.isalnum() or char in "-.")
    async with aiofiles.open(UPLOAD_DIR / name, "wb") as out:
        await out.write(await file.read())
    return {"filename": name}


@app.get("/files")
def list_files() -> list[str]:
    return sorted(os.listdir(UPLOAD_DIR))
