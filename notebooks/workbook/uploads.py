"""Clients that upload, politely or not, and what their uploads cost the server."""

import select
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
from IPython.display import Markdown, display

from workbook.language import _
from workbook.server import Server, serve

MIB = 1024**2
PNG = b"\x89PNG\r\n\x1a\n"  # how every PNG begins
FORM_HEAD = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="film.png"\r\n'
    b"Content-Type: image/png\r\n\r\n" + PNG
)
FORM_TAIL = b"\r\n--x--\r\n"


def post(
    server: Server, path: str, name: str, data: bytes, content_type: str = "image/png"
) -> httpx.Response:
    """Upload one file, on a connection of its own. Any status is fine.

    Raises httpx.TransportError when there is no answer in 60 s.
    """
    form = {"file": (name, data, content_type)}
    # Without proxies and certificates, which a client takes long to set up.
    return httpx.post(server.url + path, files=form, timeout=60, trust_env=False, verify=False)


def offer(
    server: Server, path: str, mib: int, *, stop_at: int | None = None, tell_length: bool = True
) -> tuple[int, str]:
    """Send film.png, `mib` MiB big, until an answer comes. Return the MiB sent and the status.

    It asks first whether it may send. With `stop_at`, it hangs up after so many MiB. Without
    `tell_length` it sends chunks. Raises OSError when the connection breaks or stalls for 60 s.
    """
    pieces = [FORM_HEAD, *[bytes(MIB)] * mib, FORM_TAIL]
    if tell_length:
        framing, pause = f"Content-Length: {sum(map(len, pieces))}", 0.0
    else:  # slower, so that what lies in buffers when the answer comes is little
        framing, pause = "Transfer-Encoding: chunked", 0.01
        pieces = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""]]
    form = "Content-Type: multipart/form-data; boundary=x"
    head = [f"POST {path} HTTP/1.1", "Host: x", form, framing, "Expect: 100-continue", "", ""]
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as sock:
        sock.sendall("\r\n".join(head).encode())
        answer, sent = sock.recv(4096), 0
        if b" 100 " in answer:  # go on
            for piece in pieces:
                sock.sendall(piece)
                sent += len(piece)
                if stop_at and sent > stop_at * MIB:
                    return stop_at, _("hung up")
                if select.select([sock], [], [], pause)[0]:
                    break
            answer = sock.recv(4096)
    return sent // MIB, answer[9:12].decode()


@contextmanager
def memory_of(server: Server, began: float) -> Iterator[tuple[list[float], list[float]]]:
    """Sample a server's memory during the block, and a moment before and after it.

    Yields two lists, full at the end: seconds since `began` (a `time.perf_counter()`), and MiB.
    Raises psutil.NoSuchProcess when the server has ended.
    """
    process = psutil.Process(server.pid)
    processes = [process, *process.children(recursive=True)]  # on Windows the server is a child
    moments: list[float] = []
    mib: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            moments.append(time.perf_counter() - began)
            mib.append(sum(each.memory_info().rss for each in processes) / MIB)

    with ThreadPoolExecutor() as pool:
        watching = pool.submit(watch)
        try:
            time.sleep(0.1)
            yield moments, mib
            time.sleep(0.2)
        finally:
            done.set()
    watching.result()


def kill_in_upload(app: Path, mib: int) -> float:
    """Kill a server as soon as film.png, `mib` MiB big, has its name. Return the MiB in it.

    Raises FileNotFoundError when it never appeared, and whatever `serve` raises.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        film = Path(folder, "film.png")
        with serve(app, env={"UPLOAD_DIR": folder}) as victim, ThreadPoolExecutor() as pool:
            sending = pool.submit(offer, victim, "/upload/large", mib)
            while not sending.done() and not (film.exists() and film.stat().st_size):
                time.sleep(0.0005)
            victim.process.kill()
        return film.stat().st_size / MIB


def table(*rows: Sequence[object]) -> None:
    """Display rows as a table in a notebook. The first is its head."""
    lines = ["|".join(["", *map(str, row), ""]) for row in rows]
    lines.insert(1, "|---" * len(rows[0]) + "|")
    display(Markdown("\n".join(lines)))  # type: ignore[no-untyped-call]
