"""Run an app as a reader would, as a uvicorn process of its own, and never leave it behind."""

import codecs
import contextlib
import math
import os
import re
import shlex
import signal
import socket
import subprocess
import threading
import time
import weakref
from collections.abc import Mapping
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import IO, Self, TextIO
from urllib.parse import urlsplit

from workbook.language import _
from workbook.launch import Process, launch, option_value
from workbook.sections import ROOT, find_section

START_SECONDS = 30  # a first import on a cold, busy laptop; a crash is told at once
STOP_SECONDS = 5
LOG_BYTES = 1_000_000  # the newest are kept


class ServerError(RuntimeError):
    """A server that did not start, or did not stop. The message holds its log."""

    def __init__(self, message: str, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # of one that ended by itself

    def _render_traceback_(self) -> list[str]:
        """Show the server's traceback in a notebook, not ours (IPython asks for this)."""
        return [f"{type(self).__name__}: {self}"]


class _Log:
    """Collects what a process writes, and notices the address uvicorn announces."""

    def __init__(self, pipe: IO[bytes], echo: TextIO | None, processes: int, most: float) -> None:
        self.processes = processes
        self.most = most
        self.data = bytearray()
        self.bytes = 0  # ever written
        self.url = ""
        self.ready = threading.Event()
        self._pipe = pipe
        self._echo = echo
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._ended = False
        self._taking = threading.Lock()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        with self._pipe:
            while not self._ended:
                if os.name == "posix":
                    wait([self._pipe.fileno()])
                    self._take_what_is_there()
                else:
                    self._add(os.read(self._pipe.fileno(), 65536))

    def _take_what_is_there(self) -> None:
        with self._taking:
            for _chunk in range(100):  # and no more at once: it may write without end
                if self._ended or not wait([self._pipe.fileno()], 0):
                    return
                self._add(os.read(self._pipe.fileno(), 65536))

    def _add(self, chunk: bytes) -> None:
        self.bytes += len(chunk)
        self.data += chunk
        del self.data[:-LOG_BYTES]
        # Past the most, nobody reads any more, and who writes on gets an error.
        self._ended = not chunk or self.bytes >= self.most
        if self._echo:
            try:
                self._echo.write(self._decoder.decode(chunk))
                self._echo.flush()
            except (OSError, ValueError):  # closed, or it can't write Chinese
                self._echo = None
        if not self.ready.is_set():
            self._look_for_start()

    def _look_for_start(self) -> None:
        # Both lines, for with --workers the address comes before anyone listens to it.
        found = re.search(rb"Uvicorn running on (\S+)", self.data)
        if found and self.data.count(b"Application startup complete") >= self.processes:
            self.url = found[1].decode()
            self.ready.set()

    def text(self) -> str:
        if os.name == "posix":  # the thread may not have had its turn yet
            self._take_what_is_there()
        return self.data.decode(errors="replace").replace("\r\n", "\n")

    def finish(self) -> None:
        # A pool's worker may hold the pipe a moment longer than the server.
        self._thread.join(timeout=1)


class Server:
    """A running app. Made by `serve`; stops at the end of `with`, by `stop()`, or with us."""

    def __init__(self, process: Process, log: _Log, command: str, app: Path) -> None:
        self.process = process
        self.command = command
        self.app = app
        self._log = log
        self._finalizer = weakref.finalize(self, _end, process, log)

    @property
    def url(self) -> str:
        """Where it answers, without a slash at the end: `http://127.0.0.1:49152`."""
        return self._log.url

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> str:
        """What it has printed so far, uvicorn's lines included: the newest 1 MB."""
        return self._log.text()

    @property
    def logged_bytes(self) -> int:
        """How much it has printed since its start, in bytes."""
        return self._log.bytes

    def stop(self, seconds: float | None = None) -> None:
        """Stop it as a process manager does, by SIGTERM. Again is harmless.

        Raises ServerError when it was still there so many seconds later, by default STOP_SECONDS,
        and had to be killed.
        """
        if not self._finalizer.detach():
            return
        waited = _end(self.process, self._log, seconds)
        if waited is not None:
            reason = _("{app} had to be killed: it went on for {seconds:g} s after SIGTERM")
            reason = reason.format(app=self.app.name, seconds=waited)
            raise ServerError(f"{reason}\n\n{self.log()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What went wrong in the block is worth more than how the server took its stop.
        with contextlib.suppress(ServerError) if error else contextlib.nullcontext():
            self.stop()


def serve(
    app: str | Path,
    *options: str,
    env: Mapping[str, str] | None = None,
    port: int = 0,
    echo: TextIO | None = None,
    start_seconds: float = START_SECONDS,
    most_log_bytes: float = math.inf,
) -> Server:
    """Start an app under uvicorn and return when it accepts requests.

    `app` is a section ("01_async_vs_def", or "01") or the path to a file with an `app` in it;
    `options` go to uvicorn's command line, `env` is added to the environment. The server binds
    `port` itself (0: any free one), so that nobody can take the port in between. What it prints
    is kept for `log()`, and written to `echo` too where one is given. A server that accepts nothing
    after `start_seconds` is killed and reported. Its output is cut off after `most_log_bytes`.

    The command line a reader would type is printed. With `with`, the server stops at the end of
    the block; without, by `.stop()`, when nothing refers to it any more, or when this process
    ends in whatever way: the server watches a pipe that only we hold open (see `_child.py`).

    Raises LookupError or FileNotFoundError for an app that isn't there, ValueError for a log level
    that hides the start, and ServerError, with the app's own traceback, for an app that fails to.
    """
    if (level := option_value(options, "--log-level")) in ("warning", "error", "critical"):
        advice = _(
            "--log-level {level} hides the lines that tell where the server listens. "
            "Use info, debug or trace; --no-access-log is a quieter info."
        )
        raise ValueError(advice.format(level=level))
    path = _locate(app)
    folder, module = _module(path)
    command = [f"{module}:app", *options, "--port"]
    spoken = [f"{key}={shlex.quote(value)}" for key, value in (env or {}).items()]
    spoken += ["uvicorn", shlex.join(command)]
    if folder != ROOT:
        spoken[:0] = ["cd", shlex.quote(str(folder)), "&&"]
    process = launch([*command, str(port)], folder, env or {})
    assert process.stdout is not None
    log = _Log(process.stdout, echo, int(option_value(options, "--workers") or 1), most_log_bytes)
    server = Server(process, log, "", path)
    try:
        _await_start(process, log, path, start_seconds)
    except BaseException:
        server._finalizer()
        raise
    server.command = " ".join([*spoken, log.url.rpartition(":")[2]])
    print(f"$ {server.command}   # {log.url}")
    return server


def _locate(app: str | Path) -> Path:
    if isinstance(app, str) and not app.endswith(".py"):
        return find_section(app).app
    for path in (Path(app).absolute(), ROOT / app):
        if path.is_file():
            return path
    advice = _("There is no {file}, neither here nor in {folder}")
    raise FileNotFoundError(advice.format(file=app, folder=ROOT))


def _module(path: Path) -> tuple[Path, str]:
    """The folder to run uvicorn in, and the module's name from there."""
    if path.is_relative_to(ROOT):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if not any("." in part for part in parts):
            return ROOT, ".".join(parts)
    return path.parent, path.stem


def _await_start(process: Process, log: _Log, path: Path, seconds: float) -> None:
    for _attempt in range(round(seconds * 20)):
        if log.ready.wait(0.05) and accepts(log.url):
            return
        if process.poll() is not None:
            log.finish()
            reason = _("{app} did not start (exit code {code}):")
            code = process.returncode
            reason = reason.format(app=path.name, code=code)
            raise ServerError(f"{reason}\n\n{log.text()}", code)
    printed = log.text()
    reason = _("{app} did not start in {seconds:g} s and printed nothing. An endless loop?")
    if printed:
        reason = _("{app} did not start in {seconds:g} s:")
    raise ServerError(f"{reason.format(app=path.name, seconds=seconds)}\n\n{printed}")


def accepts(url: str) -> bool:
    """Whether someone listens there: with --workers or --reload, the lines in the log are early."""
    address = urlsplit(url)
    try:
        with socket.create_connection((address.hostname, address.port or 80), timeout=1):
            return True
    except OSError:
        time.sleep(0.05)
        return False


def _end(process: Process, log: _Log, seconds: float | None = None) -> float | None:
    """End the process, and say after how many seconds it had to be killed, if it had."""
    assert process.stdin is not None
    seconds = STOP_SECONDS if seconds is None else seconds
    with contextlib.suppress(OSError):  # it may have ended
        process.stdin.write(b"\n")  # `_child.py` makes a SIGTERM of it, on Windows, too
    try:
        process.wait(seconds)
        waited = None
    except subprocess.TimeoutExpired:
        if os.name == "posix":
            with contextlib.suppress(OSError):  # it may have ended this moment
                os.killpg(process.pid, signal.SIGKILL)  # its workers and pools, too
        process.kill()
        process.wait()
        waited = seconds
    process.stdin.close()
    log.finish()
    return waited
