"""A file that is too big is taken in whole before it is refused, and half of a file stays for good.

Run `fastapi dev exercises/04_upload/stop_early.py` and send 3 GB from another terminal:
`curl -T film.mp4 http://127.0.0.1:8000/files/film.mp4`. The 413 comes after the last byte, and
`uploads/` holds the film. Interrupt the next one half way: `uploads/` holds half of it.

Goal: `PUT /files/{name}`, the file as the body, answers 201 and `{"size": BYTES}`, and
`UPLOAD_DIR/name` holds it. More than `MAX_BYTES` gets 413 (both are variables of the environment):

- With an honest `Content-Length` before any of the body is read: who asks by
  `Expect: 100-continue` hears 413 and no `100 Continue`.
- Without one (chunked) while it arrives, 512 KiB past the limit at the latest, whether it has
  an end or not.
- Refused or cut off, it leaves no trace: no part of it in `UPLOAD_DIR` under whatever name, and
  an older file called `name` is as it was. Only a whole file replaces that.
- Two of one name may arrive at once, and a client may call a file as it likes: `film.mp4.part`,
  for instance. Each is whole when its 201 comes, and no other file changes.

Check it: workbook check stop_early
"""

import os
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, HTTPException, Request
from fastapi import Path as PathParam

UPLOAD_DIR = Path(os.getenv("UPLOAD_DIR", "uploads"))
UPLOAD_DIR.mkdir(parents=True, exist_ok=True)
MAX_BYTES = int(os.getenv("MAX_BYTES", 10 * 1024**2))

app = FastAPI()

Name = Annotated[str, PathParam(pattern=r"^\w[\w.-]{0,99}$")]


@app.put("/files/{name}", status_code=201)
async def keep_file(name: Name, request: Request) -> dict[str, int]:
    size = 0
    with (UPLOAD_DIR / name).open("wb") as out:
        async for data in request.stream():
            out.write(data)
            size += len(data)
    if size > MAX_BYTES:  # TODO: by now everything is here
        raise HTTPException(413, f"The file is too big: send {MAX_BYTES} bytes at most.")
    return {"size": size}
