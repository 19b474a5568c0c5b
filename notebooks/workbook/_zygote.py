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
    fds: list[int] = []  # a server's standard input and output, two for each request to start
    lines = b""
    while True:
        received, more_fds, _, _ = socket.recv_fds(starter, 65536, 16)
        if not received:
            sys.exit()  # the starter is gone; the servers see it for themselves
        fds += more_fds
        *complete, lines = (lines + received).split(b"\n")
        for line in complete:
            request: dict[str, Any] = json.loads(line)
            answer: int | None
            if "command" in request:
                stdin, stdout = fds.pop(0), fds.pop(0)
                answer = os.fork()
                if answer == 0:
                    starter.close()
                    for source, target in [(stdin, 0), (stdout, 1), (stdout, 2)]:
                        os.dup2(source, target)
                os.close(stdin)
                os.close(stdout)
                if answer == 0:
                    return request
            else:
                pid, status = os.waitpid(request["pid"], os.WNOHANG)
                answer = os.waitstatus_to_exitcode(status) if pid else None
            starter.sendall(b"%s\n" % json.dumps([request["number"], answer]).encode())


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
