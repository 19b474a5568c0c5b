"""Section 4: uploads that come to no good end, and what must not be left of them."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from waiting import until
from workbook import Server, find_section, serve

MIB = 1024**2
HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="big"\r\n\r\n'
TAIL = b"\r\n--x--\r\n"

# Lines that, added to a copy of the app, make it run as on a system other than Linux,
ELSEWHERE = "del os.O_TMPFILE"
# lose patience sooner, and fail when a certain name is given.
SHORTCUTS = """
LINGER_SECONDS = 0.2
FAILURES = {"last straw": errno.ENOSPC, "forbidden": errno.EACCES}
real_link = os.link
def link_or_fail(source, target, **options):
    if number := FAILURES.get(target.name):
        raise OSError(number, os.strerror(number))
    real_link(source, target, **options)
os.link = link_or_fail
"""

# Writes under the final name, as most tutorials do.
NAIVE = """
import os
from fastapi import FastAPI, UploadFile

app = FastAPI()

@app.post("/upload/large")
def keep(file: UploadFile):
    with open(os.environ["UPLOAD_DIR"] + "/" + file.filename, "wb") as out:
        while chunk := file.file.read(1024**2):
            out.write(chunk)
"""


def write_app(folder: Path, lines: str) -> Path:
    path = folder / "variant.py"
    source = find_section("04").app.read_text(encoding="utf-8")
    path.write_text(f"{source}\n{lines}\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=["", ELSEWHERE], ids=["linux", "elsewhere"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    if request.param == "" and sys.platform != "linux":
        pytest.skip("only on Linux can a file without a name be given one")
    folder = tmp_path_factory.mktemp("system")
    app = write_app(folder, SHORTCUTS + request.param)
    with serve(app, env={"UPLOAD_DIR": str(folder / "uploads")}) as server:
        yield server
    assert "Traceback" not in server.log()


@pytest.fixture
def uploads(server: Server) -> Path:
    """The server's folder, empty."""
    folder = server.app.parent / "uploads"
    for path in folder.iterdir():
        path.unlink()
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a server of the test's own."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder


def files(server: Server) -> object:
    return httpx.get(f"{server.url}/files", trust_env=False, timeout=20).json()


def post(server: Server, data: bytes, name: str = "big") -> httpx.Response:
    url, file = f"{server.url}/upload/large", {"file": (name, data)}
    return httpx.post(url, files=file, trust_env=False, timeout=20)


def begin(server: Server, sent: bytes, headers: str) -> socket.socket:
    url = urlsplit(server.url)
    sock = socket.create_connection((url.hostname, url.port), timeout=20)
    head = f"POST /upload/large HTTP/1.1\r\nHost: x\r\n{headers}\r\n"
    head += "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    sock.sendall(head.encode() + sent)
    return sock


def spooled(server: Server, folder: Path) -> int:
    """How many bytes of unfinished uploads the server holds in its empty folder, named or not."""
    if sys.platform != "linux":
        return sum(path.stat().st_size for path in folder.iterdir())
    total = 0
    for fd in Path(f"/proc/{server.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if str(folder) in os.readlink(fd):
                total += fd.stat().st_size
    return total


@pytest.mark.claim("4.6")
@pytest.mark.parametrize("headers", [f"Content-Length: {9 * MIB}", "Transfer-Encoding: chunked"])
def test_what_is_cut_off_leaves_nothing(server: Server, uploads: Path, headers: str) -> None:
    """Contract: cut off: no partial file under its final name, no temporary file left."""
    sent = HEAD + b"x" * MIB
    if "chunked" in headers:
        sent = b"%x\r\n%b\r\n" % (len(sent), sent)
    with begin(server, sent, headers):
        until(lambda: spooled(server, uploads) > MIB / 2)
        assert files(server) == []
    until(lambda: spooled(server, uploads) == 0)
    assert (files(server), os.listdir(uploads)) == ([], [])


@pytest.mark.claim("4.6")
def test_what_is_refused_half_way_leaves_nothing(server: Server, uploads: Path) -> None:
    """Contract: refused: no partial file under its final name, no temporary file left."""
    with begin(server, HEAD + b"x" * MIB, f"Content-Length: {9 * MIB}") as sock:
        until(lambda: spooled(server, uploads) > MIB / 2)
        sock.sendall(b"\r\n" + HEAD)  # a second file
        assert sock.recv(4096).startswith(b"HTTP/1.1 400 ")
        until(lambda: spooled(server, uploads) == 0)
        assert os.listdir(uploads) == []


def test_every_system_stores_whole_files(server: Server, uploads: Path) -> None:
    """Contract: `filename` is the name under `UPLOAD_DIR` that now holds exactly the bytes sent."""
    for name in ("cat", "cat-2", "cat-3"):
        data = os.urandom(3 * MIB)
        assert post(server, data, "cat").json() == {"filename": name, "total_bytes": 3 * MIB}
        assert (uploads / name).read_bytes() == data
    assert len(os.listdir(uploads)) == 3


@pytest.mark.claim("4.6")
def test_a_disk_that_is_full_at_the_last_step_is_told(server: Server, uploads: Path) -> None:
    """Contract: with the disk full (507), be it when the file gets its name."""
    assert post(server, b"x", "last straw").status_code == 507
    assert os.listdir(uploads) == []


def test_what_else_the_disk_refuses_is_logged(server: Server, uploads: Path) -> None:
    """Contract: No request makes a 500: 507 only with the disk full, a 503 with any other."""
    answer = post(server, b"x", "forbidden")
    assert answer.status_code == 503
    assert "try later" in answer.json()["detail"]
    assert "PermissionError(13, " in server.log()
    assert os.listdir(uploads) == []


@pytest.mark.claim("4.6")
def test_a_quota_is_told_as_a_full_disk_is(server: Server, uploads: Path) -> None:
    """Contract: with the disk full (507)."""
    resource: Any = pytest.importorskip("resource", reason="needs POSIX")
    if not hasattr(resource, "prlimit"):
        pytest.skip("only Linux can limit another process")
    before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (MIB, before[1]))
    try:
        assert post(server, b"x" * 2 * MIB).status_code == 507
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, before)
    until(lambda: spooled(server, uploads) == 0)
    assert os.listdir(uploads) == []


def test_who_goes_on_sending_after_the_refusal_is_cut_off(server: Server) -> None:
    """Contract: too much is refused while it arrives: nobody can send for ever."""
    with begin(server, b"", f"Content-Length: {2**60}") as sock:
        assert sock.recv(4096).startswith(b"HTTP/1.1 413 ")
        deadline = time.monotonic() + 20
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < deadline:
                sock.sendall(b"x" * MIB)
        assert time.monotonic() < deadline


@pytest.mark.claim("4.6")
@pytest.mark.parametrize("lines", ["", ELSEWHERE], ids=["linux", "elsewhere"])
def test_kill_9_leaves_nothing(tmp_path: Path, folder: Path, lines: str) -> None:
    """Contract: killed: no partial file under its final name, no temporary file left."""
    with (
        serve(write_app(tmp_path, lines), env={"UPLOAD_DIR": str(folder)}) as server,
        begin(server, HEAD + b"x" * MIB, f"Content-Length: {9 * MIB}"),
    ):
        until(lambda: spooled(server, folder) > MIB / 2)
        assert files(server) == []
        server.process.kill()
        server.process.wait()
    if sys.platform == "linux" and not lines:
        assert os.listdir(folder) == []
        return
    # Elsewhere it needs a name, one that no final file can have, and the next start removes it.
    assert all(name.startswith(".partial-") for name in os.listdir(folder))
    with serve("04_upload", env={"UPLOAD_DIR": str(folder)}) as server:
        assert (files(server), os.listdir(folder)) == ([], [])


@pytest.mark.claim("4.6")
def test_a_server_that_starts_leaves_alone_what_another_is_filling(
    tmp_path: Path, folder: Path
) -> None:
    """Contract: `filename` is the name under `UPLOAD_DIR` that now holds exactly the bytes sent."""
    app, env = write_app(tmp_path, ELSEWHERE), {"UPLOAD_DIR": str(folder)}
    body = HEAD + b"x" * MIB + TAIL
    headers = f"Content-Length: {len(body)}\r\nConnection: close"
    with serve(app, env=env) as server, begin(server, body[:-1], headers) as sock:
        until(lambda: spooled(server, folder) > MIB / 2)
        with serve(app, env=env):
            sock.sendall(body[-1:])
            assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert [path.stat().st_size for path in folder.iterdir()] == [MIB]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MiB."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root on Linux can make a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.claim("4.6")
@pytest.mark.parametrize("lines", ["", ELSEWHERE], ids=["linux", "elsewhere"])
def test_a_full_disk_is_told_and_leaves_nothing(
    tmp_path: Path, small_disk: Path, lines: str
) -> None:
    """Contract: with the disk full (507): no partial file, no temporary file left."""
    app = write_app(tmp_path, lines)
    with serve(app, env={"UPLOAD_DIR": str(small_disk)}) as server:
        answer = post(server, b"x" * 4 * MIB)
        assert answer.status_code == 507
        assert "later" in answer.json()["detail"]
        until(lambda: spooled(server, small_disk) == 0)
        assert os.listdir(small_disk) == []
        assert post(server, b"x" * MIB).status_code == 200  # there is room again
    assert "Traceback" not in server.log()


@pytest.mark.claim("4.6")
def test_the_naive_way_leaves_half_a_file_on_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    (tmp_path / "naive.py").write_text(NAIVE)
    with serve(tmp_path / "naive.py", env={"UPLOAD_DIR": str(small_disk)}) as server:
        assert post(server, b"x" * 4 * MIB).status_code == 500
        assert os.listdir(small_disk) == ["big"]
