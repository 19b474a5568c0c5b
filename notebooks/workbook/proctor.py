"""Checks one student's answers, one after the other, in a process of its own.

Who starts whom, from what everybody trusts to what nobody has read:

    workbook grade                    starts a proctor for each student (`examine.py`)
      outer box (`box.py`)            where boxes work; a network of its own
        proctor                       this file
          run_checks                  forked for each answer: pytest, and the client
          inner box                   sees the answers, and nothing of the above
            zygote (`_zygote.py`)     asked by `run_checks`, over a socket, to fork
              server                  uvicorn with the answer

What it prints is `run_checks.py`'s lines for each check, between a line that tells the exercise
and one that tells how it ended.
"""

import contextlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil

from workbook import box, launch, run_checks
from workbook._zygote import freeze, preload_checks
from workbook.examine import remove
from workbook.language import _
from workbook.launch import FORK, Zygote, find_zygote
from workbook.runner import DEADLINE

LOOK_SECONDS = 0.5  # between two looks at what an answer uses


def say(**fields: object) -> None:
    os.write(1, json.dumps(fields).encode() + b"\n")


def memory(processes: list[psutil.Process]) -> int:
    """What they use together, in bytes."""
    used = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            used += process.memory_info().rss
    return used


def nameless(processes: list[psutil.Process]) -> int:
    """The bytes of what they hold open and have unlinked, or made in memory only (Linux)."""
    sizes = {}
    for process in processes:
        with contextlib.suppress(OSError), os.scandir(f"/proc/{process.pid}/fd") as held:
            for fd in held:
                with contextlib.suppress(OSError):  # closed meanwhile
                    status = fd.stat()
                    if status.st_nlink == 0:
                        sizes[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(sizes.values())


def is_larger(folder: Path, most: int) -> bool:
    """Whether files and folders in it take more bytes, or some are hidden from us."""
    used = 0
    folders = [str(folder)]
    while folders and used <= most:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):  # it is being used
                        used += 4096 + entry.stat(follow_symlinks=False).st_blocks * 512
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(entry.path)
        except FileNotFoundError:
            continue
        except OSError:  # too deep for a path, or without rights
            return True
    return used > most


def excess(checks: int, zygote: Zygote, work: Path) -> str:
    """What an answer uses too much of, or nothing; what its checks were made to, too."""
    with contextlib.suppress(psutil.NoSuchProcess):
        processes = [psutil.Process(checks), *zygote.processes()]
        if memory(processes) + nameless(processes) > box.MEMORY:
            most = box.MEMORY // box.MEBIBYTE
            return _("it used more than {size} MiB of memory").format(size=most)
    if is_larger(work, box.FILES):
        text = _("it wrote more than {size} MiB, or made folders that nobody can look into")
        return text.format(size=box.FILES // box.MEBIBYTE)
    return ""


def clear(zygote: Zygote, own: set[int]) -> None:
    """End what an answer has left, but not the zygote, unless they are too many or too quick."""
    for _time in range(5):
        left = [process for process in zygote.processes() if process.pid not in own]
        if not (left := [process for process in left if not launch.has_ended(process)]):
            return
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=0.2)
    zygote.kill()


def check(exercise_id: str, answer: str, work: Path) -> str:
    """Have an answer checked, and say why that was broken off, if it was."""
    zygote = find_zygote()
    try:
        zygote.ask({})  # returns when it is ready
    except (OSError, RuntimeError):  # the answer before has spoilt it
        zygote.kill()
        zygote = find_zygote()
        zygote.ask({})
    own = {process.pid for process in zygote.processes()}
    work.mkdir()
    os.environ["TMPDIR"] = str(work)  # the checks' and the answer's, as it is outside of a box
    pid = os.fork()
    if pid == 0:
        box.limit_resources()  # an answer's response may have no end
        run_checks.main([exercise_id, answer])
        os._exit(0)
    deadline = time.monotonic() + DEADLINE
    reason = ""
    looked = time.monotonic()
    while not os.waitpid(pid, os.WNOHANG)[0]:
        time.sleep(0.02)
        if time.monotonic() < looked + LOOK_SECONDS:
            continue
        reason = excess(pid, zygote, work.parent)  # it may write beside its own folder, too
        looked = time.monotonic()
        if not reason and looked > deadline:
            reason = _("it was not done after {seconds} s").format(seconds=DEADLINE)
        if reason:
            zygote.kill()
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            break
    if not zygote.has_ended():
        clear(zygote, own)
    for left in work.parent.iterdir():  # the next answer starts with an empty disk
        remove(left)
    return reason


def become(user: int) -> None:
    """Give up root's powers: limits are nothing to root."""
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)


def main(arguments: list[str]) -> None:
    """Check what standard input orders, in a line of JSON."""
    order = json.loads(sys.stdin.buffer.readline())
    if order["user"]:
        become(order["user"])
    os.environ[FORK] = "1"
    answers, work = Path(order["answers"]), Path(order["work"])
    threading.Thread(target=run_checks.leave_with_starter, daemon=True).start()
    launch.confine(box.inner(answers, work) if order["boxed"] else [])
    find_zygote()  # which gets ready while we do
    preload_checks()
    freeze()
    find_zygote().ask({})
    say(ready=True)
    for number, (exercise_id, answer) in enumerate(order["jobs"]):
        say(exercise=exercise_id)
        reason = check(exercise_id, answer, work / str(number))
        say(ended=exercise_id, reason=reason)


if __name__ == "__main__":
    main(sys.argv[1:])
