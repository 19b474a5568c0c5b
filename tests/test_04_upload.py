"""Section 4: what is taken in, what is refused, and how early."""

import os
import re
import select
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import requests

from workbook import Server, serve

MIB = 1024**2
LARGE = 64 * MIB
PNG = b"\x89PNG\r\n\x1a\n"
TOO_LARGE = "文件太大,最大 10MB"
FORM = "multipart/form-data; boundary=x"
HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="big"\r\n\r\n'
TAIL = b"\r\n--x--\r\n"

# Takes a file as most tutorials do.
NAIVE = """
import os
import aiofiles
from fastapi import FastAPI, HTTPException, UploadFile

app = FastAPI()

@app.post("/upload")
async def keep(file: UploadFile):
    if file.content_type not in ("image/png", "application/octet-stream"):
        raise HTTPException(400)
    data = await file.read()
    if len(data) > 64 * 1024**2:
        raise HTTPException(413)
    async with aiofiles.open(os.environ["UPLOAD_DIR"] + "/" + file.filename, "wb") as out:
        await out.write(data)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("upload") / "not" / "there yet"


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    env = {"UPLOAD_DIR": str(folder), "MAX_LARGE_BYTES": str(LARGE)}
    with serve("04_upload", env=env) as server:
        yield server
    assert "Traceback" not in server.log()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def naive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("naive")
    (folder / "naive.py").write_text(NAIVE)
    with serve(folder / "naive.py", env={"UPLOAD_DIR": str(folder)}) as server:
        yield server


def send(client: httpx.Client, path: str, data: bytes, type: str = "image/png") -> httpx.Response:
    return client.post(path, files={"file": ("cat.png", data, type)})


def connect(server: Server, headers: str, path: str = "/upload") -> socket.socket:
    """Begin a request on a socket: what goes over it is up to the test."""
    url = urlsplit(server.url)
    sock = socket.create_connection((url.hostname, url.port), timeout=20)
    lines = [f"POST {path} HTTP/1.1", f"Host: {url.netloc}", f"Content-Type: {FORM}", headers]
    sock.sendall("\r\n".join([*lines, "", ""]).encode())
    return sock


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def is_answered(sock: socket.socket, seconds: float = 20) -> bool:
    return bool(select.select([sock], [], [], seconds)[0])


# ── What is taken in ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content_type", "start"),
    [("image/jpeg", b"\xff\xd8\xff\xe0"), ("image/png", PNG), ("application/pdf", b"%PDF-1.7")],
)
def test_a_file_of_an_allowed_type_is_stored(
    client: httpx.Client, folder: Path, content_type: str, start: bytes
) -> None:
    """Contract: `POST /upload` → 200 `{"filename", "content_type", "size"}`."""
    answer = send(client, "/upload", start + b"x" * 1000, content_type)
    assert answer.status_code == 200
    name = answer.json()["filename"]
    size = len(start) + 1000
    assert answer.json() == {"filename": name, "content_type": content_type, "size": size}
    assert (folder / name).read_bytes() == start + b"x" * 1000


@pytest.mark.parametrize("size", [0, 1, 2, 100_000])
def test_the_large_route_takes_any_type(client: httpx.Client, folder: Path, size: int) -> None:
    """Contract: `POST /upload/large` → 200 `{"filename", "total_bytes"}`, any type."""
    answer = send(client, "/upload/large", b"x" * size, "text/x-script")
    assert answer.status_code == 200
    name = answer.json()["filename"]
    assert answer.json() == {"filename": name, "total_bytes": size}
    assert (folder / name).read_bytes() == b"x" * size


def test_the_folder_is_made_whenever_it_is_missing(tmp_path: Path) -> None:
    """Contract: `UPLOAD_DIR`, made when missing."""
    with serve("04_upload", env={"UPLOAD_DIR": str(tmp_path / "a" / "b")}) as server:
        shutil.rmtree(tmp_path / "a")
        assert httpx.get(f"{server.url}/files", trust_env=False).json() == []
        shutil.rmtree(tmp_path / "a")
        answer = httpx.post(f"{server.url}/upload/large", files={"file": b"x"}, trust_env=False)
        assert answer.json() == {"filename": "upload", "total_bytes": 1}


# ── What is refused ──────────────────────────────────────────────────────────────────────────


@pytest.mark.claim("4.1")
@pytest.mark.parametrize("content_type", ["text/plain", "image/gif", "IMAGE/PNG", "image/png;x=y"])
def test_other_types_are_refused(client: httpx.Client, content_type: str) -> None:
    """Contract: else 400 `不支持的文件类型:{content_type}`."""
    answer = send(client, "/upload", PNG, content_type)
    assert answer.status_code == 400
    assert answer.json() == {"detail": f"不支持的文件类型:{content_type}"}


@pytest.mark.claim("4.4")
@pytest.mark.parametrize("data", [b"#!/bin/sh\nrm -rf ~", b"", PNG[:-1], b"\xff\xd8\xff"])
def test_contents_that_are_not_of_that_type_are_refused(
    client: httpx.Client, naive: Server, data: bytes
) -> None:
    """Contract: contents that don't begin as that type does → 400."""
    answer = send(client, "/upload", data)
    assert answer.status_code == 400
    assert "image/png" in answer.json()["detail"]
    with httpx.Client(base_url=naive.url, trust_env=False) as naive_client:
        assert send(naive_client, "/upload", data).status_code == 200


@pytest.mark.claim("4.1")
def test_ten_mib_is_the_limit(client: httpx.Client) -> None:
    """Contract: more than 10 MiB → 413 `文件太大,最大 10MB`; exactly 10 MiB is accepted."""
    answer = send(client, "/upload", PNG.ljust(10 * MIB, b"x"))
    assert (answer.status_code, answer.json()["size"]) == (200, 10 * MIB)
    answer = send(client, "/upload", PNG.ljust(10 * MIB + 1, b"x"))
    assert (answer.status_code, answer.json()) == (413, {"detail": TOO_LARGE})


@pytest.mark.claim("4.1")
def test_the_large_route_has_a_limit_too(client: httpx.Client) -> None:
    """Contract: in chunks, up to `MAX_LARGE_BYTES`, else 413."""
    answer = send(client, "/upload/large", b"x" * LARGE)
    assert (answer.status_code, answer.json()["total_bytes"]) == (200, LARGE)
    answer = send(client, "/upload/large", b"x" * (LARGE + 1))
    assert answer.status_code == 413
    assert str(LARGE) in answer.json()["detail"]


def test_a_body_a_mib_over_the_limit_may_hold_a_file_within_it(server: Server) -> None:
    """Contract: a `Content-Length` up to 1 MiB over the limit may still hold a file within it."""
    head = HEAD.replace(b"\r\n\r\n", b"\r\nContent-Type: image/png\r\n\r\n", 1)
    body = head + PNG.ljust(10 * MIB, b"x") + TAIL
    body += b"x" * (11 * MIB - len(body))  # what follows the form is nobody's, but allowed
    headers = {"Content-Type": FORM}
    answer = httpx.post(f"{server.url}/upload", content=body, headers=headers, trust_env=False)
    assert answer.status_code == 200
    answer = httpx.post(
        f"{server.url}/upload", content=body + b"x", headers=headers, trust_env=False
    )
    assert answer.status_code == 413


# ── What goes on meanwhile ───────────────────────────────────────────────────────────────────

WRITERS = """
import os
import aiofiles
from fastapi import FastAPI, UploadFile

app = FastAPI()
PIPE = os.environ["PIPE"]  # a disk that is as slow as the test wants

@app.get("/ping")
async def ping(): ...

@app.post("/aiofiles")
async def write_in_a_thread(file: UploadFile):
    async with aiofiles.open(PIPE, "wb") as out:
        await out.write(await file.read())

@app.post("/open")
async def write_on_the_loop(file: UploadFile):
    with open(PIPE, "wb") as out:
        out.write(await file.read())
"""


@pytest.mark.claim("4.3")
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_aiofiles_writes_without_blocking_the_loop(tmp_path: Path) -> None:
    (tmp_path / "writers.py").write_text(WRITERS)
    os.mkfifo(tmp_path / "pipe")
    with (
        serve(tmp_path / "writers.py", env={"PIPE": str(tmp_path / "pipe")}) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=20) as client,
        ThreadPoolExecutor(2) as pool,
    ):
        for path, pings in (("/aiofiles", True), ("/open", False)):
            upload = pool.submit(send, client, path, b"x" * MIB)
            with (tmp_path / "pipe").open("rb") as pipe:  # opened by the server: it is writing
                ping = pool.submit(client.get, "/ping")
                wait([ping], timeout=10 if pings else 0.3)
                assert ping.done() == pings
                assert not upload.done()
                assert len(pipe.read()) == MIB
            assert ping.result().status_code == upload.result().status_code == 200


# ── How early ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.claim("4.5")
@pytest.mark.parametrize(("path", "limit"), [("/upload", 10 * MIB), ("/upload/large", LARGE)])
def test_an_honest_length_is_refused_before_the_body_is_read(
    server: Server, path: str, limit: int
) -> None:
    """Contract: with an honest `Content-Length` before the body is read."""
    headers = f"Content-Length: {limit + MIB + 1}\r\nExpect: 100-continue"
    with connect(server, headers, path) as sock:
        assert sock.recv(4096).startswith(b"HTTP/1.1 413 ")  # and no 100 Continue


@pytest.mark.claim("4.5")
def test_the_naive_way_takes_everything_in_first(naive: Server) -> None:
    with connect(naive, f"Content-Length: {65 * MIB}") as sock:
        sock.sendall(HEAD + b"x" * (65 * MIB - len(HEAD) - len(TAIL)))
        assert not is_answered(sock, 0.2)  # it has all of the file, and waits for the last bytes
        sock.sendall(TAIL)
        assert is_answered(sock)


@pytest.mark.claim("4.5")
@pytest.mark.parametrize(("path", "limit"), [("/upload", 10 * MIB), ("/upload/large", LARGE)])
def test_a_chunked_body_is_refused_within_a_mib(server: Server, path: str, limit: int) -> None:
    """Contract: without one (chunked) at most 1 MiB past the limit."""
    with connect(server, "Transfer-Encoding: chunked", path) as sock:
        sock.sendall(chunk(HEAD))
        for _ in range(limit // MIB):
            sock.sendall(chunk(b"x" * MIB))
        assert not is_answered(sock, 0.05)
        sock.sendall(chunk(b"x" * (MIB - len(HEAD))))
        assert is_answered(sock)  # though the body has no end yet
        assert sock.recv(4096).startswith(b"HTTP/1.1 413 ")


def _requests(url: str, data: bytes) -> tuple[int, str]:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(url, files={"file": data})
    return answer.status_code, answer.text


def _httpx(url: str, data: bytes) -> tuple[int, str]:
    pieces = (chunk for chunk in [HEAD, *[data[:MIB]] * (len(data) // MIB)])
    answer = httpx.post(url, content=pieces, headers={"Content-Type": FORM}, trust_env=False)
    return answer.status_code, answer.text


def _urllib(url: str, data: bytes) -> tuple[int, str]:  # asks for Connection: close
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with pytest.raises(urllib.error.HTTPError) as info:
        opener.open(urllib.request.Request(url, data, {"Content-Type": FORM}))
    with info.value as error:
        return error.code, error.read().decode()


def _curl(url: str, data: bytes) -> tuple[int, str]:
    if not shutil.which("curl"):
        pytest.skip("needs curl")
    command = ["curl", "-sS", "--noproxy", "*", "-F", "file=@-;filename=big", "-w", " %{http_code}"]
    done = subprocess.run([*command, url], input=data, capture_output=True, check=True)
    text, _, code = done.stdout.decode().rpartition(" ")
    return int(code), text


@pytest.mark.parametrize("post", [_requests, _httpx, _urllib, _curl])
def test_a_client_that_is_still_sending_reads_the_413(
    server: Server, post: Callable[[str, bytes], tuple[int, str]]
) -> None:
    """Contract: what a client does wrong gets a 4xx with a sentence, and that arrives."""
    code, text = post(f"{server.url}/upload", b"x" * (32 * MIB))
    assert code == 413
    assert TOO_LARGE in text


def _linux_peak(server: Server) -> int:
    """The most memory that the server has ever held, in bytes."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert match
    return int(match[1]) * 1024


@pytest.mark.claim("4.2")
@pytest.mark.skipif(sys.platform != "linux", reason="reads a process's memory from /proc")
def test_memory_does_not_grow_with_the_file(server: Server, naive: Server) -> None:
    """Contract: at most 16 MiB above idle for any size."""
    grown = {}
    for one, path in ((naive, "/upload"), (server, "/upload/large")):
        with httpx.Client(base_url=one.url, trust_env=False, timeout=60) as client:
            send(client, path, b"x")
            Path(f"/proc/{one.pid}/clear_refs").write_text("5")  # its peak is what it holds now
            idle = _linux_peak(one)
            files = {"file": ("big", b"x" * (60 * MIB), "application/octet-stream")}
            assert client.post(path, files=files).status_code == 200
            grown[one] = _linux_peak(one) - idle
    assert grown[server] < 16 * MIB
    assert grown[naive] > 32 * MIB


@pytest.mark.skipif(sys.platform != "linux", reason="reads a process's memory from /proc")
@pytest.mark.parametrize("part", ["", '; filename="x"'])
def test_memory_does_not_grow_with_other_parts(
    server: Server, client: httpx.Client, part: str
) -> None:
    """Contract: no memory that grows with the file (nor with what is sent beside it)."""
    piece = f'--x\r\nContent-Disposition: form-data; name="other"{part}\r\n\r\n'.encode()
    piece += b"x" * (MIB - 1000) + b"\r\n"
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")
    idle = _linux_peak(server)
    headers = {"Content-Type": FORM}
    answer = client.post("/upload/large", content=iter([piece] * 60), headers=headers)
    assert answer.status_code == 400
    assert _linux_peak(server) - idle < 16 * MIB
