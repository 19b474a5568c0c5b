"""uvicorn's command line, in a process that ends when the one that started it does.

Our standard input is a pipe whose other end only the starter holds. Its end of file means that
the starter is gone, however it went: exit, crash, kill -9. This needs no signal, no polling and
no platform's help, so it holds on Linux, macOS and Windows alike.

A byte on the pipe asks us to stop, for Windows has no signal that does.
"""

import os
import signal
import sys
import threading
import time

GRACE_SECONDS = 1.0  # for a clean shutdown once the starter is gone


def leave_with_starter(lifeline: int) -> None:
    while os.read(lifeline, 1):
        signal.raise_signal(signal.SIGTERM)  # and the starter decides how long it waits
    signal.raise_signal(signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    if os.name == "posix" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # with --workers, those that still hang, too
    os._exit(1)


def main(arguments: list[str]) -> None:
    lifeline = os.dup(0)
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, 0)  # the app and its children get an empty stdin
    os.close(devnull)
    threading.Thread(target=leave_with_starter, args=(lifeline,), daemon=True).start()

    import uvicorn

    sys.argv = ["uvicorn", *arguments]
    uvicorn.main()


if __name__ == "__main__":
    main(sys.argv[1:])
