"""Checks of `stop_early`: when a file that is too big is refused, and what is left of it."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from workbook.checking import expect
from workbook.language import _
from workbook.server import Server

pytestmark = pytest.mark.anyio

KIB = 1024
MAX_BYTES = 256 * KIB
MARGIN = 512 * KIB
SECONDS = 3  # the longest wait for what a right answer does at once
OLD = b"the older file"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "uploads"


@pytest.fixture
def environment(folder: Path) -> Mapping[str, str]:
    return {"UPLOAD_DIR": str(folder), "MAX_BYTES": str(MAX_BYTES)}


class Upload:
    """A `PUT` on a socket of its own: what goes over it, and when, is up to the check."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.reading = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))

    async def send_chunk(self, data: bytes) -> None:
        """Send a piece of a chunked body. Who has been answered may have stopped to listen."""
        with suppress(OSError):
            self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))
            async with asyncio.timeout(SECONDS):
                await self.writer.drain()

    async def send_too_much(self) -> int:
        """Send a chunked body without an end, until the answer or far enough. How much it was."""
        sent = 0
        while sent < MAX_BYTES + MARGIN and not self.reading.done():
            await self.send_chunk(b"x" * 64 * KIB)
            sent += 64 * KIB
        return sent

    async def answered(self) -> str:
        """The first line of the answer, or a sentence about there being none."""
        await asyncio.wait([self.reading], timeout=SECONDS)
        if not self.reading.done():
            return _("no answer for {seconds} s").format(seconds=SECONDS)
        try:
            return self.reading.result().decode().partition("\r\n")[0]
        except (OSError, asyncio.IncompleteReadError):
            return _("the connection was closed without an answer")


@asynccontextmanager
async def put(answer: Server, name: str, *headers: str) -> AsyncIterator[Upload]:
    url = httpx.URL(answer.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    upload = Upload(reader, writer)
    try:
        lines = [f"PUT /files/{name} HTTP/1.1", f"Host: {url.host}:{url.port}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode())
        yield upload
    finally:
        upload.reading.cancel()
        writer.transport.abort()


def contents(path: Path) -> bytes | None:
    with suppress(OSError):  # there is none, or it goes away while we look
        return path.read_bytes()
    return None


def told(folder: Path, sent: bytes | None = None) -> str:
    """What a folder holds, in a sentence, and that film.mp4 looks like what was sent but isn't."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sizes = [
        _("{path} ({size} bytes)").format(path=path.relative_to(folder), size=path.stat().st_size)
        for path in files
    ]
    if not sizes:
        return _("UPLOAD_DIR holds nothing")
    holds = _("UPLOAD_DIR holds {files}")
    stored = contents(folder / "film.mp4")
    if sent is not None and stored is not None and stored != sent and len(stored) == len(sent):
        holds = _("UPLOAD_DIR holds {files}, but other bytes than were sent")
    return holds.format(files=_(", ").join(sizes))


async def keep_old_file(client: httpx.AsyncClient, folder: Path, name: str = "film.mp4") -> None:
    """Store a small file, which later ones must not spoil."""
    response = await client.put(f"/files/{name}", content=OLD)
    expect(
        response.status_code == 201 and contents(folder / name) == OLD,
        did=_("PUT /files/{name} with {size} bytes").format(name=name, size=len(OLD)),
        expected=_("201, and UPLOAD_DIR/{name} holds them").format(name=name),
        seen=_("{status} and {text}; {stored}").format(
            status=response.status_code, text=response.text[:200], stored=told(folder)
        ),
        hint=3,
    )


async def expect_only_old_file(folder: Path, did: str) -> None:
    """Expect, soon and for good, the folder to be as `keep_old_file` left it."""

    def is_clean() -> bool:
        return os.listdir(folder) == ["film.mp4"] and contents(folder / "film.mp4") == OLD

    await asyncio.sleep(0.2)  # a wrong answer may put its half file there a little later
    for _time in range(20 * SECONDS):
        if is_clean():
            return
        await asyncio.sleep(0.05)
    expect(
        False,
        did=did,
        expected=_("UPLOAD_DIR holds what it held before: film.mp4 ({size} bytes)").format(
            size=len(OLD)
        ),
        seen=told(folder),
        hint=4,
    )


async def expect_two_at_once(answer: Server, client: httpx.AsyncClient, folder: Path) -> None:
    """Send two files of one name, a piece of each in turn, and expect each to be stored whole."""
    files = (b"1" * (MAX_BYTES // 2), b"2" * (MAX_BYTES // 4))
    async with (
        put(answer, "film.mp4", "Transfer-Encoding: chunked") as first,
        put(answer, "film.mp4", "Transfer-Encoding: chunked") as second,
    ):
        uploads = {first: files[0], second: files[1]}
        for upload, data in uploads.items():
            await upload.send_chunk(data[: len(data) // 2])
            for _time in range(2):  # a server that has answered others meanwhile has seen the piece
                await client.get("/")
        for upload, data in uploads.items():
            await upload.send_chunk(data[len(data) // 2 :])
            upload.writer.write(b"0\r\n\r\n")
            seen = await upload.answered()
            expect(
                " 201 " in seen and contents(folder / "film.mp4") == data,
                did=_(
                    "PUT /files/film.mp4 twice at once, {first} bytes and {second} bytes, "
                    "in turn a piece of each; that of {size} bytes has ended"
                ).format(first=len(files[0]), second=len(files[1]), size=len(data)),
                expected=_("201, and UPLOAD_DIR/film.mp4 holds those {size} bytes").format(
                    size=len(data)
                ),
                seen=_("{answer}; {stored}").format(answer=seen, stored=told(folder, data)),
                hint=4,
            )
    expect(
        contents(folder / "film.mp4.part") == OLD,
        did=_("PUT /files/film.mp4.part with {size} bytes, then others as film.mp4").format(
            size=len(OLD)
        ),
        expected=_("UPLOAD_DIR/film.mp4.part is as it was"),
        seen=told(folder),
        hint=4,
    )


async def test_a_file_within_the_limit_is_stored(
    answer: Server, client: httpx.AsyncClient, folder: Path
) -> None:
    """A file of exactly `MAX_BYTES` is stored, its length told or not; two at once, too."""
    await keep_old_file(client, folder)
    data = os.urandom(MAX_BYTES)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, MAX_BYTES, 100 * KIB):
            yield data[start : start + 100 * KIB]

    for how, content in (
        (_("PUT /files/film.mp4 with exactly MAX_BYTES={size}, with its Content-Length"), data),
        (_("PUT /files/film.mp4 with exactly MAX_BYTES={size}, chunked"), pieces()),
    ):
        did = how.format(size=MAX_BYTES)
        response = await client.put("/files/film.mp4", content=content)
        expect(
            response.status_code == 201,
            did=did,
            expected=_("201, for that is not too much"),
            seen=_("{status} and {text}").format(
                status=response.status_code, text=response.text[:200]
            ),
            hint=3,
        )
        size = response.json().get("size")
        expect(
            contents(folder / "film.mp4") == data and size == MAX_BYTES,
            did=did,
            expected=_('{{"size": {size}}}, and UPLOAD_DIR/film.mp4 holds what was sent').format(
                size=MAX_BYTES
            ),
            seen=_("size {size}; {stored}").format(size=size, stored=told(folder, data)),
            hint=3,
        )
    await keep_old_file(client, folder, "film.mp4.part")
    await expect_two_at_once(answer, client, folder)


async def test_a_told_length_is_refused_before_the_body(answer: Server) -> None:
    """With an honest `Content-Length` that is too much, the 413 comes before the body is read."""
    headers = [f"Content-Length: {MAX_BYTES + 1}", "Expect: 100-continue"]
    async with put(answer, "film.mp4", *headers) as upload:
        seen = await upload.answered()
    if " 100 " in seen:
        seen = _("{answer}: the app asked for the body").format(answer=seen)
    expect(
        " 413 " in seen,
        did=_(
            "PUT /files/film.mp4, only the head, "
            "with Content-Length: {size} and Expect: 100-continue (MAX_BYTES + 1)"
        ).format(size=MAX_BYTES + 1),
        expected=_("413, before a byte of the body was sent"),
        seen=seen,
        hint=2,
    )


async def test_a_chunked_body_is_refused_while_it_arrives(answer: Server) -> None:
    """Without a length, the 413 comes while the body arrives, soon past the limit."""
    async with put(answer, "film.mp4", "Transfer-Encoding: chunked") as upload:
        sent = await upload.send_too_much()
        seen = await upload.answered()
    expect(
        " 413 " in seen,
        did=_("PUT /files/film.mp4, chunked, {sent} bytes so far with MAX_BYTES={limit}").format(
            sent=sent, limit=MAX_BYTES
        ),
        expected=_("413, though the body has no end yet"),
        seen=seen,
        hint=1,
    )


async def test_a_refused_file_leaves_nothing(
    answer: Server, client: httpx.AsyncClient, folder: Path
) -> None:
    """A file that was refused leaves no part of it, and the older file of that name as it was."""
    await keep_old_file(client, folder)
    async with put(answer, "film.mp4", f"Content-Length: {MAX_BYTES + 1}") as upload:
        upload.writer.write(b"x" * (MAX_BYTES + 1))
        await upload.answered()
    async with put(answer, "film.mp4", "Transfer-Encoding: chunked") as upload:
        sent = await upload.send_too_much()
        upload.writer.write(b"0\r\n\r\n")
        await upload.answered()
    did = _(
        "PUT /files/film.mp4 with a Content-Length of {size} (MAX_BYTES + 1), "
        "and again chunked, {sent} bytes"
    ).format(size=MAX_BYTES + 1, sent=sent)
    await expect_only_old_file(folder, did)


async def test_a_file_cut_off_leaves_nothing(
    answer: Server, client: httpx.AsyncClient, folder: Path
) -> None:
    """A file whose sender vanishes leaves no part of it, and the older file as it was."""
    await keep_old_file(client, folder)
    half = b"x" * (MAX_BYTES // 2)
    async with (
        put(answer, "film.mp4", f"Content-Length: {MAX_BYTES}") as told_length,
        put(answer, "film.mp4", "Transfer-Encoding: chunked") as chunked,
    ):
        told_length.writer.write(half)
        await chunked.send_chunk(half)
        await asyncio.wait([chunked.reading], timeout=0.3)  # the app is at work on it
    did = _(
        "PUT /files/film.mp4 with a Content-Length of {size}, and again chunked, "
        "sent {sent} bytes of each and vanished"
    ).format(size=MAX_BYTES, sent=len(half))
    await expect_only_old_file(folder, did)
