"""Start a server, or checks, as a process of its own: a new one, or forked from one kept ready."""

import atexit
import contextlib
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import IO, NoReturn

import psutil

from workbook.language import _

PACKAGE = Path(__file__).parent
ZYGOTE = PACKAGE / "_zygote.py"
READY_SECONDS = 60  # in which a zygote has imported all that it is to share
ANSWER_SECONDS = 10  # in which it answers from then on, unless somebody has stopped it
FORK = "WORKBOOK_FORK"  # set by who starts many servers; inherited, so that a notebook's fork, too


class Forked:
    """A server forked by the zygote, with the part of subprocess.Popen's interface we use."""

    def __init__(
        self, zygote: "Zygote", number: int, pid: int, stdin: IO[bytes], stdout: IO[bytes]
    ) -> None:
        self.pid = pid
        self._number = number  # the pid that the zygote knows it by
        self.stdin = stdin
        self.stdout = stdout
        self.returncode: int | None = None
        self._zygote = zygote

    def poll(self) -> int | None:
        if self.returncode is None:
            try:
                self.returncode = self._zygote.ask({"pid": self._number})
            except (OSError, RuntimeError):  # who forked it is gone, and can't say how it ended
                self.returncode = -9 if self._is_gone() else None
        return self.returncode

    def _is_gone(self) -> bool:
        try:
            return has_ended(psutil.Process(self.pid))
        except psutil.NoSuchProcess:
            return True

    def wait(self, timeout: float | None = None) -> int:
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"uvicorn ({self.pid})", timeout or 0)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(15)

    def kill(self) -> None:
        self.send_signal(9)


Process = subprocess.Popen[bytes] | Forked


class Zygote:
    """The process that forks; see `_zygote.py`."""

    def __init__(self, box: Sequence[str] | None = None) -> None:
        """Start one. In a box: `box` is the start of its command line, and it limits itself."""
        self._box = box
        self._lock = threading.Lock()
        self._asked = 0
        self._killed = False
        self._socket, other = socket.socketpair()
        self._process: subprocess.Popen[bytes] | None = None
        with other:
            if preloaded:  # we were forked from one ourselves, and so can this be
                if os.fork() == 0:
                    self._socket.close()
                    preloaded(other)
            else:
                limits = ["none"] if box is None else ["boxed" if box else "limited"]
                command = [sys.executable, "-P", str(ZYGOTE), str(other.fileno()), *limits]
                # What runs in a box could open, by /proc, all that it was given of ours: our
                # standard output, on which a grade is told, or the terminal.
                ours = None if box is None else subprocess.DEVNULL
                self._process = subprocess.Popen(
                    [*(box or []), *command],
                    pass_fds=[other.fileno()],
                    process_group=0,
                    stdin=ours,
                    stdout=ours,
                    stderr=ours,
                )
        self._answers = self._socket.makefile("rb")
        self._socket.settimeout(READY_SECONDS)
        atexit.register(self._end)

    def ask(self, request: Mapping[str, object], fds: Sequence[int] = ()) -> int | None:
        """Its answer. Raises OSError or RuntimeError when there comes none, or nonsense."""
        with self._lock:
            self._asked += 1
            number = f"{os.getpid()}-{self._asked}"  # we may be forked, and the copy asks, too
            line = json.dumps({**request, "number": number}).encode() + b"\n"
            if fds:
                line = line[socket.send_fds(self._socket, [line], list(fds)) :]
            self._socket.sendall(line)
            while True:
                answered = self._answers.readline()
                if not answered:
                    raise RuntimeError(_("the process that forks servers has ended"))
                self._socket.settimeout(ANSWER_SECONDS)
                try:
                    answered_number, answer = json.loads(answered)
                    if answered_number == number:  # an interrupt may have left one unread
                        return None if answer is None else int(answer)
                except (ValueError, TypeError) as error:
                    raise RuntimeError(
                        _("the process that forks servers talks nonsense")
                    ) from error

    def start(self, command: list[str], folder: Path, env: dict[str, str], module: str) -> Forked:
        input_read, input_write = os.pipe()
        output_read, output_write = os.pipe()
        request = {"command": command, "folder": str(folder), "env": env, "module": module}
        with contextlib.ExitStack() as on_failure:
            stdin = on_failure.enter_context(open(input_write, "wb", 0))
            stdout = on_failure.enter_context(open(output_read, "rb", 0))
            try:
                pid = self.ask(request, [input_read, output_write])
            finally:
                os.close(input_read)
                os.close(output_write)
            if pid is None:
                raise RuntimeError(_("the process that forks servers talks nonsense"))
            visible = self._pid_outside(pid) if self._box else pid
            on_failure.pop_all()
        return Forked(self, pid, visible, stdin, stdout)

    def _pid_outside(self, pid: int) -> int:
        """What we know a process by that has this number in the box. Linux only.

        Raises RuntimeError when it has ended already.
        """
        for process in self.processes():
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
                if re.search(rf"^NSpid:\t\d+\t{pid}\b", status, re.MULTILINE):
                    return process.pid
        raise RuntimeError(_("the process has ended at once"))

    def processes(self) -> list[psutil.Process]:
        """Those that it has started, and those that these have; in a box, the box's own, too."""
        assert self._process is not None
        return descendants(self._process.pid)

    def has_ended(self) -> bool:
        if self._process is None:
            return False
        if self._killed:
            return True
        if not wait([self._socket], 0):
            return False
        try:  # not by asking the process: we may be forked, and not its parent
            return not self._socket.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def kill(self) -> None:
        """End it, and in a box all that is in there."""
        assert self._process is not None
        self._killed = True  # in a box, it lives on for a moment
        self._process.kill()
        self._process.wait()

    def _end(self) -> None:
        self._answers.close()
        self._socket.close()
        if self._process:
            if self._box is not None:  # what ran in there may have made it deaf
                self._process.kill()
            self._process.wait()


def has_ended(process: psutil.Process) -> bool:
    """Whether it has, which a zombie has: its new parent is late to ask how, or never does."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def descendants(pid: int) -> list[psutil.Process]:
    """The processes that come from this one. Linux tells it without a look at all that run."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess, OSError):  # it has ended
        tasks = Path(f"/proc/{pid}/task")
        if not (tasks / str(pid) / "children").exists():
            return psutil.Process(pid).children(recursive=True)
        for task in tasks.iterdir():
            for child in (task / "children").read_text(encoding="utf-8").split():
                with contextlib.suppress(psutil.NoSuchProcess):
                    found += [psutil.Process(int(child)), *descendants(int(child))]
    return found


preloaded: Callable[[socket.socket], NoReturn] | None = None  # set in processes forked by a zygote
_zygote: Zygote | None = None
_zygote_lock = threading.Lock()


def begin_anew(main: Callable[[socket.socket], NoReturn]) -> None:
    """In a forked process: what we hold belongs to who forked us, and `main` forks from us."""
    global preloaded, _zygote, _zygote_lock
    preloaded, _zygote, _zygote_lock = main, None, threading.Lock()


def find_zygote() -> Zygote:
    """The one that we have; the first time, or when that was killed, a new one."""
    global _zygote
    with _zygote_lock:
        if _zygote is None or _zygote.has_ended():
            _zygote = Zygote(_box)
        return _zygote


_box: Sequence[str] | None = None


def confine(box: Sequence[str]) -> None:
    """From now on start servers with limits, and in a box; empty: with limits only."""
    global _box
    _box = box


def option_value(command: Sequence[str], option: str) -> str | None:
    """What a command line says for an option, by `--workers 2` or by `--workers=2`."""
    value = None
    for word, following in itertools.pairwise([*command, ""]):
        name, equals, attached = word.partition("=")
        if name == option:
            value = attached if equals else following
    return value  # of several, uvicorn takes the last


def launch(
    command: list[str], folder: Path, env: Mapping[str, str], module: str = "workbook._child"
) -> Process:
    """Start `uvicorn COMMAND…` in `folder`; its standard input is its lifeline (`_child.py`).

    Another `module` of ours, with a `main` that takes the command, can be started in this way.
    """
    local = ",".join(filter(None, [os.getenv("NO_PROXY"), "127.0.0.1,localhost"]))
    output = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    full_env = {**output, **os.environ, "NO_PROXY": local, "no_proxy": local, **env}
    # Processes that uvicorn starts by itself, for --workers or --reload, begin anew.
    begins_anew = option_value(command, "--workers") is not None or "--reload" in command
    if os.getenv(FORK) and os.name == "posix" and not begins_anew:
        return find_zygote().start(command, folder, full_env, module)
    return subprocess.Popen(
        [sys.executable, "-P", str(PACKAGE / f"{module.rpartition('.')[2]}.py"), *command],
        cwd=folder,
        env=full_env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        # Ctrl-C in a terminal and a notebook's interrupt go to the whole process group. They are
        # meant for us, who stop the server if we want to: it gets a group of its own.
        process_group=0 if os.name == "posix" else None,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
