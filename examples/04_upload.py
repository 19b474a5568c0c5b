"""When does a server say no to a file that is too big? While it arrives, not after.

Run it:    fastapi dev examples/04_upload.py
Try it:    curl -F "file=@cat.png;type=image/png" http://127.0.0.1:8000/upload
           head -c 3G /dev/zero | curl -F "file=@-;filename=zeros" http://127.0.0.1:8000/upload/large
Watch for: the 413 comes before the end, memory stays flat, and uploads/ holds whole files only.
"""

import errno
import logging
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import anyio
from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

UPLOAD_DIR = Path(os.getenv("UPLOAD_DIR", "uploads"))
MAX_LARGE_BYTES = int(os.getenv("MAX_LARGE_BYTES", 2 * 1024**3))
MAX_SIZE = 10 * 1024**2
MARGIN = 1024**2  # what a body may hold besides its file: boundaries, headers, text fields
LINGER_SECONDS = 10
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# How the contents of each type begin. The type itself is only what the client says.
ALLOWED_TYPES = {
    "image/jpeg": b"\xff\xd8\xff",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "application/pdf": b"%PDF-",
}

log = logging.getLogger("uvicorn.error")  # the one that uvicorn prints


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    make_folder()
    remove_partials()
    yield


app = FastAPI(title="04 upload", lifespan=lifespan)


class StoredFile(BaseModel):
    filename: str
    size: int


class UploadedFile(StoredFile):
    content_type: str


class LargeFile(BaseModel):
    filename: str
    total_bytes: int


# ── Receiving ────────────────────────────────────────────────────────────────────────────────


class FileParser(MultiPartParser):
    """Starlette's parser, with its one file going straight into ours."""

    spool: BinaryIO

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        if self._current_part.file:
            self._current_part.file.file = self.spool


@asynccontextmanager
async def receive_file(request: Request, limit: int, too_large: str) -> AsyncIterator[UploadFile]:
    """Take in a form's one file, which is gone at the end unless it was stored.

    For a handler that asks for `UploadFile`, FastAPI reads the whole form before the first line
    runs. Ours ask for `Request`, and run the same parser over a body that is counted.
    """
    length = int(request.headers.get("content-length", 0))
    if length > limit + MARGIN:
        raise HTTPException(413, too_large)  # nothing has been read yet

    async def body() -> AsyncGenerator[bytes, None]:
        received = 0
        async for chunk in request.stream():
            received += len(chunk)
            if received > max(length, limit + MARGIN // 2):  # a chunked body tells no length
                raise HTTPException(413, too_large)
            yield chunk

    if "multipart/form-data" not in request.headers.get("content-type", "").lower():
        raise HTTPException(422, "Send a multipart/form-data form with a file in field 'file'.")
    # One file only, and little text: that is kept in memory.
    limits = {"max_files": 1, "max_fields": 16, "max_part_size": 16 * 1024}
    parser = FileParser(request.headers, body(), **limits)
    parser.spool = await run_in_threadpool(open_spool)
    try:
        form = await parser.parse()  # writes in a thread, as aiofiles does
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise HTTPException(422, "Send one whole file in the form's field 'file'.")
        if (file.size or 0) > limit:
            raise HTTPException(413, too_large)
        yield file
    except ClientDisconnect:
        raise HTTPException(400, "The upload was cut off: send it again.") from None
    except MultiPartException as error:
        raise HTTPException(400, f"Send one file as multipart/form-data. {error.message}") from None
    except UnicodeError as error:
        raise HTTPException(400, f"Send the form and its names in UTF-8: {error}.") from None
    finally:
        await run_in_threadpool(close_spool, parser.spool)


class Refusal(JSONResponse):
    """An error that is told at once, but hears the client out before the connection is closed.

    A client cut off in the middle of sending may never read the answer.
    """

    request: Request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **head})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with anyio.move_on_after(LINGER_SECONDS), suppress(ClientDisconnect, RuntimeError):
            async for _ in self.request.stream():  # RuntimeError: it has been read to the end
                pass
        await send({"type": "http.response.body"})


@app.exception_handler(HTTPException)
async def refuse(request: Request, error: HTTPException) -> Refusal:
    refusal = Refusal({"detail": error.detail}, error.status_code, {"Connection": "close"})
    refusal.request = request
    return refusal


@app.exception_handler(OSError)
async def refuse_for_disk(request: Request, error: OSError) -> Refusal:
    if error.errno in DISK_FULL:
        detail = f"The server can't store this now, try later: {error.strerror}."
        return await refuse(request, HTTPException(507, detail))
    log.error("%r", error)  # the folder is not ours to write, too many files are open …
    return await refuse(request, HTTPException(503, "The server can't use its folder: try later."))


# ── Storing ──────────────────────────────────────────────────────────────────────────────────

PARTIAL = ".partial-"
# Path and wildcard characters, controls, surrogates, and what turns the reading direction.
UNSAFE = re.compile(
    r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]'
)
# To Windows the first are devices, whatever the extension. The last are ours.
RESERVED = re.compile(
    rf"((con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)|{re.escape(PARTIAL)})", re.I
)


def safe_name(filename: str, tag: str = "") -> str:
    """The name itself if every system can store it, else one like it. A tag precedes the suffix."""
    name = UNSAFE.sub("_", re.split(r"[/\\]", filename)[-1]).strip(" ").rstrip(". ")
    if not name or RESERVED.match(name):
        name = f"_{name}"
    stem, suffix = os.path.splitext(name)
    if len(suffix.encode()) > 32:
        stem, suffix = name, ""
    room = 255 - len(f"{tag}{suffix}".encode())  # file systems count bytes, 3 for a Chinese one
    return f"{stem.encode()[:room].decode(errors='ignore')}{tag}{suffix}".rstrip(". ")


def make_folder() -> None:
    UPLOAD_DIR.mkdir(parents=True, exist_ok=True)


def remove_partials() -> None:
    for partial in UPLOAD_DIR.glob(f"{PARTIAL}*"):  # left by a kill -9, where they need a name
        with suppress(OSError):  # another server is filling it
            with partial.open("r+b") as leftover:
                lock(leftover)
            partial.unlink()


def lock(file: BinaryIO) -> BinaryIO:
    """Claim a file for as long as it is open. Fails when another server has claimed it."""
    if os.name == "posix":  # Windows removes no file that is open: it needs no lock
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def open_spool() -> BinaryIO:
    """A file to receive into: without a name, where the system can give it one later."""
    make_folder()
    try:  # Linux: whatever becomes of us, a file without a name goes with us
        return open(os.open(UPLOAD_DIR, os.O_TMPFILE | os.O_RDWR, 0o666), "w+b")
    except (AttributeError, OSError):
        return lock(open(os.path.join(UPLOAD_DIR, f"{PARTIAL}{uuid4()}"), "x+b"))


def close_spool(spool: BinaryIO) -> None:
    with suppress(OSError):  # nobody wants what a full disk did not let it write
        spool.close()
    if isinstance(spool.name, str):
        with suppress(FileNotFoundError):  # a server that starts takes it for a leftover
            os.unlink(spool.name)


def store(upload: UploadFile) -> str:
    """Give the file the first free name, in one step, and never the name of another."""
    fd = upload.file.fileno()
    nameless = not isinstance(upload.file.name, str)
    # Linux finds it by its number. With a src_dir_fd, whichever, Python goes where that path leads.
    source = f"/proc/self/fd/{fd}" if nameless else upload.file.name
    src_dir_fd = fd if nameless else None
    filename = upload.filename or ""
    name, number = safe_name(filename), 1
    while True:
        try:
            os.link(source, UPLOAD_DIR / name, src_dir_fd=src_dir_fd, follow_symlinks=True)
            return name
        except FileExistsError:
            number += 1
            name = safe_name(filename, f"-{number}")


# ── Handlers ─────────────────────────────────────────────────────────────────────────────────

# What the handlers read, told to /docs: FastAPI sees only a Request.
FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "format": "binary"}},
}
BODY = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM}}}}


@app.get("/", include_in_schema=False)
def show_page() -> FileResponse:
    return FileResponse(Path(__file__).with_suffix(".html"))


@app.post("/upload", openapi_extra=BODY)
async def upload_file(request: Request) -> UploadedFile:
    async with receive_file(request, MAX_SIZE, "文件太大,最大 10MB") as file:
        content_type = file.content_type or ""
        if content_type not in ALLOWED_TYPES:
            raise HTTPException(400, f"不支持的文件类型:{file.content_type}")
        signature = ALLOWED_TYPES[content_type]
        if await file.read(len(signature)) != signature:
            raise HTTPException(400, f"This is no {content_type} inside: send the type that it is.")
        name = await run_in_threadpool(store, file)
        return UploadedFile(filename=name, content_type=content_type, size=file.size or 0)


@app.post("/upload/large", openapi_extra=BODY)
async def upload_large_file(request: Request) -> LargeFile:
    too_large = f"文件太大,最大 {MAX_LARGE_BYTES} 字节"
    async with receive_file(request, MAX_LARGE_BYTES, too_large) as file:
        name = await run_in_threadpool(store, file)
        return LargeFile(filename=name, total_bytes=file.size or 0)


@app.get("/files")
def list_files() -> list[StoredFile]:
    """The whole files: nothing unfinished, and not what a symbolic link points to."""
    make_folder()
    with os.scandir(UPLOAD_DIR) as entries:
        return [
            StoredFile(filename=entry.name, size=entry.stat().st_size)
            for entry in sorted(entries, key=lambda entry: entry.name)
            if entry.is_file(follow_symlinks=False) and entry.name == safe_name(entry.name)
        ]
