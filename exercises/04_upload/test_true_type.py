"""Checks of `true_type`: whether a file is taken for what it is, and how soon."""

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import pytest

from workbook.checking import expect
from workbook.language import _
from workbook.server import Server

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
PDF = b"%PDF-"
KINDS = {
    "PNG": ("image/png", ".png", PNG + b"\0\0\0\rIHDR"),
    "JPEG": ("image/jpeg", ".jpg", JPEG + b"\xe0\0\x10JFIF"),
    "PDF": ("application/pdf", ".pdf", PDF + b"1.7\n"),
}
SCRIPT = b"#!/bin/sh\nrm -rf ~\n"
SECONDS = 3  # the longest wait for what a right answer does at once


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "uploads"


@pytest.fixture
def environment(folder: Path) -> Mapping[str, str]:
    return {"UPLOAD_DIR": str(folder)}


def called(kind: str) -> str:
    """What a kind of file is called in a sentence."""
    return {"PNG": _("a PNG picture"), "JPEG": _("a JPEG picture"), "PDF": _("a PDF")}[kind]


def kept(stored: bytes | None, data: bytes, name: str) -> str:
    """What became of the bytes sent, in a sentence."""
    if stored is None:
        return _("filename {name!r}, which is no file in UPLOAD_DIR").format(name=name)
    differs = (i for i, byte in enumerate(data) if stored[i : i + 1] != bytes([byte]))
    first = None if stored == data else next(differs, None)
    seen = _("filename {name!r}, a file of {size} bytes")
    if first is not None:
        seen = _("filename {name!r}, a file of {size} bytes, that differ from byte {first} on")
    elif stored != data:
        seen = _("filename {name!r}, a file of {size} bytes, too many")
    return seen.format(name=name, size=len(stored), first=first)


def expect_stored(
    response: httpx.Response, kind: str, data: bytes, folder: Path, *, did: str, hint: int
) -> None:
    """Expect that a file was taken for what it is, and stored whole."""
    content_type, suffix, _head = KINDS[kind]
    try:
        told = response.json() if response.status_code == 201 else None
    except ValueError:
        told = None
    expect(
        isinstance(told, dict) and told.get("content_type") == content_type,
        did=did,
        expected=_("201 and a content_type of {type}, as the contents are").format(
            type=json.dumps(content_type)
        ),
        seen=_("{status} and {text}").format(status=response.status_code, text=response.text[:200]),
        hint=hint,
    )
    assert isinstance(told, dict)
    name = str(told.get("filename"))
    stored = (folder / name).read_bytes() if (folder / name).is_file() else None
    expect(
        stored == data and name.endswith(suffix),
        did=did,
        expected=_("a filename that ends in {suffix}, and holds the {size} bytes sent").format(
            suffix=suffix, size=len(data)
        ),
        seen=kept(stored, data, name),
        hint=4,
    )
    digest = hashlib.sha256(data).hexdigest()
    seen = _("sha256 {digest}") if "sha256" in told else _("no sha256 in {answer}")
    expect(
        str(told.get("sha256")).lower() == digest,
        did=did,
        expected=_("a sha256 of {digest}, that of the {size} bytes sent").format(
            digest=digest, size=len(data)
        ),
        seen=seen.format(digest=told.get("sha256"), answer=told),
        hint=4,
    )


async def test_the_contents_decide(client: httpx.AsyncClient, folder: Path) -> None:
    """A file is taken for what its contents are, whatever the client says it is."""
    for kind, declared in [
        ("PNG", "text/plain"),
        ("JPEG", "image/png"),
        ("PDF", "application/octet-stream"),
        ("PDF", None),
        ("PNG", "image/png"),
    ]:
        data = KINDS[kind][2] + os.urandom(1000)
        headers = {"Content-Type": declared} if declared else {}
        did = _("POST /files with {what}, declared as nothing")
        if declared:
            did = _("POST /files with {what}, declared as {type}")
        did = did.format(what=called(kind), type=declared)
        response = await client.post("/files", content=data, headers=headers)
        expect_stored(response, kind, data, folder, did=did, hint=1)


async def test_other_contents_are_refused(client: httpx.AsyncClient) -> None:
    """A file that is none of them gets 415, however it is declared and however short it is."""
    for what, data in [
        (_("a script"), SCRIPT),
        (_("an empty file"), b""),
        (_("a file of one byte"), PNG[:1]),
        (_("7 of a PNG's first 8 bytes, and no more"), PNG[:-1]),
        (_("a text that has %PDF- further on"), b"About " + PDF + b"1.7"),
    ]:
        headers = {"Content-Type": "image/png"}
        response = await client.post("/files", content=data, headers=headers)
        expect(
            response.status_code == 415,
            did=_("POST /files with {what}, declared as {type}").format(
                what=what, type="image/png"
            ),
            expected=_("415, for its contents begin as none of SIGNATURES"),
            seen=_("{status} and {text}").format(
                status=response.status_code, text=response.text[:200]
            ),
            hint=1,
        )


async def test_the_first_piece_may_be_short(client: httpx.AsyncClient, folder: Path) -> None:
    """A file whose first bytes arrive one by one is taken for what it is, too."""

    async def pieces(data: bytes) -> AsyncIterator[bytes]:
        for piece in (data[:1], data[1:2], data[2:]):
            yield piece
            for _time in range(2):  # a server that has answered others meanwhile has seen the piece
                await client.get("/")

    async def send(kind: str) -> None:
        content_type, _suffix, head = KINDS[kind]
        data = head + os.urandom(1000)
        headers = {"Content-Type": content_type}
        response = await client.post("/files", content=pieces(data), headers=headers)
        did = _("POST /files with {what} in three pieces: a byte, a byte and the rest").format(
            what=called(kind)
        )
        expect_stored(response, kind, data, folder, did=did, hint=2)

    for result in await asyncio.gather(*map(send, KINDS), return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


async def test_a_large_file_is_whole(client: httpx.AsyncClient, folder: Path) -> None:
    """A large file is stored byte for byte, and the SHA-256 is that of all of it."""
    data = PDF + os.urandom(1_000_000)  # many pieces for the server
    did = _("POST /files with a PDF of {size} bytes").format(size=len(data))
    response = await client.post("/files", content=data, headers={"Content-Type": "image/png"})
    expect_stored(response, "PDF", data, folder, did=did, hint=1)


async def test_others_are_refused_while_they_arrive(answer: Server) -> None:
    """A file that is none of them is refused when its first bytes are here, not at its end."""
    url = httpx.URL(answer.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    data = SCRIPT.ljust(1000)
    head = "\r\n".join(
        [
            "POST /files HTTP/1.1",
            f"Host: {url.host}:{url.port}",
            "Content-Type: image/png",
            "Content-Length: 1000000000",
            "",
            "",
        ]
    )
    try:
        writer.write(head.encode() + data)
        async with asyncio.timeout(SECONDS):
            line = await reader.readline()
        seen = line.decode().strip() or _("it closed the connection")
    except TimeoutError:
        seen = _("no answer for {seconds} s: it waits for more").format(seconds=SECONDS)
    except OSError as error:
        seen = _("the connection broke: {why}").format(why=error)
    finally:
        writer.transport.abort()
    expect(
        " 415 " in seen,
        did=_(
            "POST /files with a script, {size} bytes of 1000000000, declared as image/png"
        ).format(size=len(data)),
        expected=_("415 at once, for these bytes are enough to know"),
        seen=seen,
        hint=3,
    )
