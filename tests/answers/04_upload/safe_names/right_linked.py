# Right: received under a name of ours, then a hard link to the first free one
"""Keeps what clients send, under a name like theirs."""

import itertools
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path, PureWindowsPath

from fastapi import FastAPI, UploadFile

UPLOAD_DIR = Path(os.getenv("UPLOAD_DIR", "uploads"))
UPLOAD_DIR.mkdir(parents=True, exist_ok=True)

app = FastAPI()


def safe_name(filename: str) -> str:
    name = PureWindowsPath(filename).name  # knows both separators and drives
    name = "".join(char if char.isprintable() and char != ":" else "_" for char in name)
    return name.strip(". ") and name or "unnamed"


@app.post("/files", status_code=201)
def keep_file(file: UploadFile) -> dict[str, str | int]:
    name = safe_name(file.filename or "")
    stem, suffix = os.path.splitext(name)
    with tempfile.TemporaryDirectory() as folder:
        received = Path(folder, "received")
        with received.open("wb") as out:
            shutil.copyfileobj(file.file, out)
        for number in itertools.count(1):
            with suppress(FileExistsError):
                (UPLOAD_DIR / name).hardlink_to(received)
                return {"filename": name, "size": file.size or 0}
            name = f"{stem} ({number}){suffix}"
    raise AssertionError


@app.get("/files")
def list_files() -> list[str]:
    return sorted(os.listdir(UPLOAD_DIR))
