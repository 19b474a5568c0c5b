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
import re
from pathlib import Path

import aiofiles
from fastapi import FastAPI, UploadFile

UPLOAD_DIR = Path(os.getenv("UPLOAD_DIR", "uploads"))
UPLOAD_DIR.mkdir(parents=True, exist_ok=True)

app = FastAPI()


def safe_name(filename: str) -> str:
    name = re.split(r"[/\\:]", filename)[-1]
    name = "".join(char for char in name if char.isprintable())
    return name if name.strip(". ") else "upload"


@app.post("/files", status_code=201)
async def keep_file(file: UploadFile) -> dict[str, str]:
    wanted = path = UPLOAD_DIR / safe_name(file.filename or "upload")
    number = 1
    while True:
        try:
            # Mode x looks and creates in one step: between two, another upload takes the name.
            async with aiofiles.open(path, "xb") as out:
                while data := await file.read(64 * 1024):
                    await out.write(data)
            return {"filename": path.name}
        except FileExistsError:
            number += 1
            path = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")


@app.get("/files")
def list_files() -> list[str]:
    return sorted(os.listdir(UPLOAD_DIR))
