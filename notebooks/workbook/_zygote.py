"""A process that has imported what the apps import, and forks servers from itself on request.

Importing FastAPI is most of a server's start. Who starts hundreds of servers, as the tests do,
pays for it once. POSIX only: elsewhere there is no fork. See `launch.py` for the other side.
"""

import importlib
import io
import json
import multiprocessing.process
import os
import signal
import socket
import sys
from typing import Any

from workbook._child import run_uvicorn

PRELOAD = (
    "aiofiles",
    "anyio._backends._asyncio",
    "email_validator",
    "fastapi.sse",
    "httpx",
    "python_multipart",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "sqlalchemy.ext.asyncio",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
)


def await_request(starter: socket.socket) -> dict[str, Any]:
    """Fork for each request. Returns only in a forked process, with what it is to be."""
    while True:
        message, fds, _, _ = socket.recv_fds(starter, 1_000_000, 2)
        if not message:
            sys.exit()  # the starter is gone; the servers see it for themselves
        request: dict[str, Any] = json.loads(message)
        answer: int | None
        if fds:
            answer = os.fork()
            if answer == 0:
                os.dup2(fds[0], 0)
                os.dup2(fds[1], 1)
                os.dup2(fds[1], 2)
        else:
            pid, status = os.waitpid(request["pid"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        for fd in fds:
            os.close(fd)
        if answer == 0 and fds:
            starter.close()
            return request
        starter.sendall(json.dumps(answer).encode())


def unbuffered(fd: int) -> io.TextIOWrapper:
    """What `python -u` makes of standard output."""
    return io.TextIOWrapper(io.FileIO(fd, "w"), encoding="utf-8", write_through=True)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for module in PRELOAD:
        importlib.import_module(module)
    request = await_request(socket.socket(fileno=int(sys.argv[1])))
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(request["folder"])
    # Where processes that an app spawns find its module.
    multiprocessing.process.ORIGINAL_DIR = os.getcwd()  # type: ignore[attr-defined]
    os.environ.clear()
    os.environ.update(request["env"])
    sys.stdout, sys.stderr = unbuffered(1), unbuffered(2)
    run_uvicorn(request["command"])


if __name__ == "__main__":
    main()
