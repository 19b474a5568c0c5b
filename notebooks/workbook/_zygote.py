"""A process that has imported what the apps import, and forks servers from itself on request.

Importing FastAPI is most of a server's start. Who starts hundreds of servers, as the tests do,
pays for it once. POSIX only: elsewhere there is no fork. See `launch.py` for the other side.
"""

import atexit
import contextlib
import gc
import importlib
import io
import json
import multiprocessing.process
import os
import signal
import socket
import sys
import tempfile
import threading
import traceback
import types
from collections.abc import Callable
from typing import Any, NoReturn, TextIO

from workbook import box, launch

APPS = (
    "aiofiles",
    "anyio._backends._asyncio",
    "email_validator",
    "fastapi.sse",
    "httpcore",
    "httpx",
    "multiprocessing.spawn",
    "python_multipart",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
    "workbook._child",
)
DATABASE = ("sqlalchemy.dialects.sqlite.aiosqlite", "sqlalchemy.ext.asyncio")  # no exercise has one


def preload_apps() -> None:
    """Import what apps do, and what a first app and a first client import only when made."""
    import fastapi
    import httpx
    import uvicorn

    for module in APPS:
        importlib.import_module(module)
    app = fastapi.FastAPI()

    @app.get("/{number}")
    def answer(number: int) -> dict[str, int]:
        return {"number": number}

    uvicorn.Config(app).get_loop_factory()
    httpx.Client(verify=False).close()


def preload_checks() -> None:
    """Import what the exercises' checks do."""
    import httpx
    from _pytest.config import default_plugins

    modules = ["anyio._backends._asyncio", "anyio.pytest_plugin", "httpcore"]
    modules += ["websockets.asyncio.client", "workbook.checking", "workbook.run_checks"]
    for module in [*modules, *(f"_pytest.{plugin}" for plugin in default_plugins)]:
        importlib.import_module(module)
    httpx.Client(verify=False).close()


def freeze() -> None:
    """Have no collection in a forked process look at, and so copy, all that we have imported."""
    gc.collect()
    gc.freeze()


def await_request(starter: socket.socket) -> dict[str, Any]:
    """Fork for each request. Returns only in a forked process, with what it is to be."""
    fds: list[int] = []  # a server's standard input and output, two for each request to start
    lines = b""
    while True:
        received, more_fds, _, _ = socket.recv_fds(starter, 65536, 16)
        if not received:
            os._exit(0)  # the starter is gone; the servers see it for themselves
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
            elif "pid" in request:
                pid, status = os.waitpid(request["pid"], os.WNOHANG)
                answer = os.waitstatus_to_exitcode(status) if pid else None
            else:
                answer = None  # it is asked whether it is ready
            starter.sendall(b"%s\n" % json.dumps([request["number"], answer]).encode())


def open_output(fd: int, errors: str) -> TextIO:
    """What a new Python makes of standard output, or error, in this environment."""
    encoding = os.environ["PYTHONIOENCODING"].partition(":")[0]
    if not os.environ["PYTHONUNBUFFERED"]:
        return open(fd, "w", encoding=encoding, errors=errors, closefd=False)
    raw = io.FileIO(fd, "w", closefd=False)  # ours may be forked again, and replaced
    return io.TextIOWrapper(raw, encoding=encoding, errors=errors, write_through=True)


def leave_as_python_does(run: Callable[[], object]) -> NoReturn:
    """Run it and exit, but let the system free memory: by hand, all that we share gets copied."""
    code: object = 0
    try:
        run()
    except SystemExit as leaving:
        code = leaving.code
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as multiprocessing does
    atexit._run_exitfuncs()
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code or 0)


def main(starter: socket.socket) -> NoReturn:
    """Fork servers, until the starter is gone. In a forked process: be what was asked for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    request = await_request(starter)
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(request["folder"])
    # Where processes that an app spawns find its module.
    multiprocessing.process.ORIGINAL_DIR = os.getcwd()  # type: ignore[attr-defined]
    os.environ.clear()
    os.environ.update(request["env"])
    tempfile.tempdir = None  # and not what it was in our environment
    sys.stdout, sys.stderr = open_output(1, "strict"), open_output(2, "backslashreplace")
    # Processes that an app spawns would import what is called __main__ here: us, with all we need.
    sys.modules["__main__"] = types.ModuleType("__main__")
    launch.begin_anew(main)
    module = importlib.import_module(request["module"])
    leave_as_python_does(lambda: module.main(request["command"]))


if __name__ == "__main__":
    preload_apps()
    if sys.argv[2] == "none":
        preload_checks()
        for module in DATABASE:
            importlib.import_module(module)
    else:
        box.limit_resources()
    if sys.argv[2] == "boxed":
        box.limit_processes()
    freeze()
    main(socket.socket(fileno=int(sys.argv[1])))
