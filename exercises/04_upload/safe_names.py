"""A client's file lands wherever its name points, and on top of whatever is there.

Run `fastapi dev exercises/04_upload/safe_names.py` and send a file from another terminal:
`curl -F "file=@cat.png;filename=../cat.png" http://127.0.0.1:8000/files`. It is written beside
the folder of uploads. Send two different files as `cat.png`, and the first is lost.

Goal: `POST /files`, a form with a file in its field `file`, always answers 201 and
`{"filename": NAME}`, and `UPLOAD_DIR/NAME` holds what was sent. `UPLOAD_DIR` is a variable of
the environment. For every file, whatever the client calls it, as long as the name has no more
than 60 characters:

- Nothing is written outside `UPLOAD_DIR`, nor into a folder inside it. NAME has no `/`, `\\` or
  `:` (Windows has paths like `C:cat.png` too) and no control character.
- A plain name is kept, in any script: `年度报告(终稿).pdf` stays `年度报告(终稿).pdf`.
- A taken name becomes a free one with the same suffix. No upload changes what is stored, not
  even when many of one name arrive at once.

Check it: workbook check safe_names
"""

import os
from pathlib import Path

import aiofiles
from fastapi import FastAPI, UploadFile

UPLOAD_DIR = Path(os.getenv("UPLOAD_DIR", "uploads"))
UPLOAD_DIR.mkdir(parents=True, exist_ok=True)

app = FastAPI()


@app.post("/files", status_code=201)
async def keep_file(file: UploadFile) -> dict[str, str]:
    name = file.filename or "upload"  # TODO: the client may call it anything
    async with aiofiles.open(UPLOAD_DIR / name, "wb") as out:
        while data := await file.read(64 * 1024):
            await out.write(data)
    return {"filename": name}


@app.get("/files")
def list_files() -> list[str]:
    return sorted(os.listdir(UPLOAD_DIR))
