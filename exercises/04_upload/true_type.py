"""A script passes as a picture when its sender says so, and a real picture is refused.

Run `fastapi dev exercises/04_upload/true_type.py` and send this very file as a picture:
`curl -T exercises/04_upload/true_type.py -H "Content-Type: image/png" -X POST
http://127.0.0.1:8000/files` (one line). It is stored as `….png`. A real picture sent as
`text/plain`, or without a type, is refused.

Goal: `POST /files`, the file as the body, goes by the contents and not by what the client says:

- A file that begins as one of `SIGNATURES` does answers 201 and `{"filename": NAME,
  "content_type": TYPE, "sha256": DIGEST}`. NAME has that type's suffix, `UPLOAD_DIR/NAME` holds
  exactly what was sent (`UPLOAD_DIR` is a variable of the environment), and DIGEST is the SHA-256
  of it, in hexadecimal.
- The network may cut a file anywhere, so that its first piece may be a single byte.
- Any other file gets 415, an empty one and one that ends too early, too. It is refused while it
  arrives: when its first 8 bytes are here, it is not read to its end.

Check it: workbook check true_type
"""

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
    if content_type not in SIGNATURES:  # TODO: the client may say anything
        raise HTTPException(415, f"Send a file of one of these types: {', '.join(SIGNATURES)}.")
    path = UPLOAD_DIR / f"{uuid4()}{SUFFIXES[content_type]}"
    with path.open("wb") as out:
        async for data in request.stream():
            out.write(data)
    return {"filename": path.name, "content_type": content_type}
