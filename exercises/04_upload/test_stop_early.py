"""Checks of `stop_early`: when a file that is too big is refused, and what is left of it."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from workbook.checking import expect
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
            return f"no answer for {SECONDS} s"
        try:
            return self.reading.result().decode().partition("\r\n")[0]
        except (OSError, asyncio.IncompleteReadError):
            return "the connection was closed without an answer"


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
    """What a folder holds, for a sentence, and that film.mp4 looks like what was sent but isn't."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sizes = [f"{path.relative_to(folder)} ({path.stat().st_size} bytes)" for path in files]
    stored = contents(folder / "film.mp4")
    if sent is not None and stored is not None and stored != sent and len(stored) == len(sent):
        sizes.append("but other bytes than were sent")
    return ", ".join(sizes) or "nothing"


async def keep_old_file(client: httpx.AsyncClient, folder: Path, name: str = "film.mp4") -> None:
    """Store a small file, which later ones must not spoil."""
    response = await client.put(f"/files/{name}", content=OLD)
    expect(
        response.status_code == 201 and contents(folder / name) == OLD,
        did=f"PUT /files/{name} with {len(OLD)} bytes",
        expected=f"201, and UPLOAD_DIR/{name} holds them",
        seen=f"{response.status_code} and {response.text[:200]}; UPLOAD_DIR holds {told(folder)}",
        hint=3,
    )


async def expect_only_old_file(folder: Path, did: str) -> None:
    """Expect, soon and for good, the folder to be as `keep_old_file` left it."""

    def is_clean() -> bool:
        return os.listdir(folder) == ["film.mp4"] and contents(folder / "film.mp4") == OLD

    await asyncio.sleep(0.2)  # a wrong answer may put its half file there a little later
    for _ in range(20 * SECONDS):
        if is_clean():
            return
        await asyncio.sleep(0.05)
    expect(
        False,
        did=did,
        expected=f"UPLOAD_DIR holds what it held before: film.mp4 ({len(OLD)} bytes)",
        seen=f"UPLOAD_DIR holds {told(folder)}",
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
            for _ in range(2):  # a server that has answered others meanwhile has seen the piece
                await client.get("/")
        for upload, data in uploads.items():
            await upload.send_chunk(data[len(data) // 2 :])
            upload.writer.write(b"0\r\n\r\n")
            seen = await upload.answered()
            expect(
                " 201 " in seen and contents(folder / "film.mp4") == data,
                did=f"PUT /files/film.mp4 twice at once, {len(files[0])} bytes and {len(files[1])} "
                f"bytes, in turn a piece of each; that of {len(data)} bytes has ended",
                expected=f"201, and UPLOAD_DIR/film.mp4 holds those {len(data)} bytes",
                seen=f"{seen}; UPLOAD_DIR holds {told(folder, data)}",
                hint=4,
            )
    expect(
        contents(folder / "film.mp4.part") == OLD,
        did=f"PUT /files/film.mp4.part with {len(OLD)} bytes, then others as film.mp4",
        expected="UPLOAD_DIR/film.mp4.part is as it was",
        seen=f"UPLOAD_DIR holds {told(folder)}",
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

    for how, content in (("with its Content-Length", data), ("chunked", pieces())):
        did = f"PUT /files/film.mp4 with exactly MAX_BYTES={MAX_BYTES}, {how}"
        response = await client.put("/files/film.mp4", content=content)
        expect(
            response.status_code == 201,
            did=did,
            expected="201, for that is not too much",
            seen=f"{response.status_code} and {response.text[:200]}",
            hint=3,
        )
        size = response.json().get("size")
        expect(
            contents(folder / "film.mp4") == data and size == MAX_BYTES,
            did=did,
            expected=f'{{"size": {MAX_BYTES}}}, and UPLOAD_DIR/film.mp4 holds what was sent',
            seen=f"size {size}; UPLOAD_DIR holds {told(folder, data)}",
            hint=3,
        )
    await keep_old_file(client, folder, "film.mp4.part")
    await expect_two_at_once(answer, client, folder)


async def test_a_told_length_is_refused_before_the_body(answer: Server) -> None:
    """With an honest `Content-Length` that is too much, the 413 comes before the body is read."""
    headers = [f"Content-Length: {MAX_BYTES + 1}", "Expect: 100-continue"]
    async with put(answer, "film.mp4", *headers) as upload:
        seen = await upload.answered()
    expect(
        " 413 " in seen,
        did=f"PUT /files/film.mp4, only the head, with {' and '.join(headers)} (MAX_BYTES + 1)",
        expected="413, before a byte of the body was sent",
        seen=f"{seen}: the app asked for the body" if " 100 " in seen else seen,
        hint=2,
    )


async def test_a_chunked_body_is_refused_while_it_arrives(answer: Server) -> None:
    """Without a length, the 413 comes while the body arrives, soon past the limit."""
    async with put(answer, "film.mp4", "Transfer-Encoding: chunked") as upload:
        sent = await upload.send_too_much()
        seen = await upload.answered()
    expect(
        " 413 " in seen,
        did=f"PUT /files/film.mp4, chunked, {sent} bytes so far with MAX_BYTES={MAX_BYTES}",
        expected="413, though the body has no end yet",
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
    did = (
        f"PUT /files/film.mp4 with a Content-Length of {MAX_BYTES + 1} (MAX_BYTES + 1), "
        f"and again chunked, {sent} bytes"
    )
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
    did = (
        f"PUT /files/film.mp4 with a Content-Length of {MAX_BYTES}, and again chunked, "
        f"sent {len(half)} bytes of each and vanished"
    )
    await expect_only_old_file(folder, did)
