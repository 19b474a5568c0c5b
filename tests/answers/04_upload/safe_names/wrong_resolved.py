# Wrong: a path is safe when it leads into the folder, folders below it are fine. Fails: test_nothing_is_written_outside. Hint: 1.
"""Keeps what clients send, under a name like theirs."""

import os
from pathlib import Path

import aiofiles
from fastapi import FastAPI, UploadFile

UPLOAD_DIR = Path(os.getenv("UPLOAD_DIR", "uploads"))
UPLOAD_DIR.mkdir(parents=True, exist_ok=True)

app = FastAPI()


def safe_name(filename: str) -> str:
    path = (UPLOAD_DIR / filename.replace("\0", "")).resolve()
    if path == UPLOAD_DIR.resolve() or not path.is_relative_to(UPLOAD_DIR.resolve()):
        return "upload"
    path.parent.mkdir(parents=True, exist_ok=True)
    return str(path.relative_to(UPLOAD_DIR.resolve()))


@app.post("/files", status_code=201)
async def keep_file(file: UploadFile) -> dict[str, str]:
    wanted = path = UPLOAD_DIR / safe_name(file.filename or "upload")
    number = 1
    while True:
        try:
            async with aiofiles.open(path, "xb") as out:
                await out.write(await file.read())
            return {"filename": path.name}
        except FileExistsError:
            number += 1
            path = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")


@app.get("/files")
def list_files() -> list[str]:
    return sorted(os.listdir(UPLOAD_DIR))
