"""A box for programs that nobody has read: by bubblewrap where it is installed, and by limits.

There are two, one in the other. In the outer one, which has a network of its own, run a student's
checks; in the inner one, which cannot see them, the student's answers. Both see the same small
file system: Python and the system, read-only, and a folder to work in.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from workbook.grades import Limit
from workbook.language import _
from workbook.launch import PACKAGE
from workbook.sections import ROOT

MEBIBYTE = 1024 * 1024
MEMORY = 1024 * MEBIBYTE  # resident, all processes of an answer together
FILE = 128 * MEBIBYTE  # the largest file that a process may write
FILES = 512 * MEBIBYTE  # all files of an answer together
PROCESSES = 128  # and threads
CPU_SECONDS = 60  # of one process
TEMPORARY = 64 * MEBIBYTE  # /tmp and /dev/shm in the box, each
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/opt")


def python_folders() -> list[Path]:
    """Where this Python and what is installed for it live."""
    folders = {Path(sys.prefix), Path(sys.base_prefix)}
    return sorted(folder for folder in folders if not folder.is_relative_to("/usr"))


def bubblewrap(read: Sequence[Path], write: Sequence[Path], *options: str) -> list[str]:
    """The start of a command line that runs the rest of it in a box.

    `read` and `write` are the folders that it sees, at their own paths, beside the system's.
    """
    command = ["bwrap", "--die-with-parent", "--unshare-ipc", "--unshare-uts"]
    for folder in map(Path, SYSTEM):
        if folder.is_symlink():
            command += ["--symlink", str(folder.readlink()), str(folder)]
        elif folder.exists():
            command += ["--ro-bind", str(folder), str(folder)]
    command += ["--dev", "/dev"]
    for temporary in ("/tmp", "/dev/shm"):
        command += ["--perms", "1777", "--size", str(TEMPORARY), "--tmpfs", temporary]
    for kind, folders in [("--ro-bind", [*python_folders(), *read]), ("--bind", write)]:
        for folder in folders:
            for parent in [*folder.parents][-2::-1]:  # left to itself, it makes them root's alone
                command += ["--perms", "0755", "--dir", str(parent)]
            command += [kind, str(folder), str(folder)]
    return [*command, *options, "--"]


def outer(answers: Path, work: Path) -> list[str]:
    """The box of the checks: it sees the workbook, and nobody else's ports."""
    # All of the system's /proc: from one with a part hidden, the inner box could not get its own.
    return bubblewrap([ROOT, answers], [work], "--unshare-net", "--bind", "/proc", "/proc")


def inner(answers: Path, work: Path) -> list[str]:
    """The box of the answers: it sees neither checks nor solutions, nor a process of ours."""
    return bubblewrap([PACKAGE, answers], [work], "--unshare-pid", "--proc", "/proc")


def limits(boxed: bool) -> list[Limit]:
    """What of an answer's misdeeds this machine can prevent, with boxes or without."""
    posix = os.name == "posix"
    install = _("install bubblewrap (Linux; a container may refuse it)")
    by_box = "bubblewrap" if boxed else install
    by_resource = "resource" if posix else _("grade on Linux")
    watching = _("watching") if boxed else install
    time = _("Using more than {seconds} s of processor time").format(seconds=CPU_SECONDS)
    memory = _("Using more than {size} MiB of memory").format(size=MEMORY // MEBIBYTE)
    processes = _("Running more than {count} processes and threads").format(count=PROCESSES)
    files = _("Writing files of more than {size} MiB").format(size=FILES // MEBIBYTE)
    deadline = _("a deadline for each wait, and for each exercise")
    return [
        Limit(_("Reading the checks, the solutions or others' answers"), boxed, by_box),
        Limit(_("Writing outside of its own folder"), boxed, by_box),
        Limit(_("Connecting to anything but its own checks"), boxed, by_box),
        Limit(_("Seeing or ending processes that are not its own"), boxed, by_box),
        Limit(_("Leaving something running"), boxed, by_box),
        Limit(time, posix, by_resource),
        Limit(memory, boxed, watching),
        Limit(processes, boxed, by_box),
        Limit(files, boxed, watching),
        Limit(_("Running on for ever"), True, deadline),
    ]


def limit_resources() -> None:
    """Limit this process and all that will come from it. POSIX only."""
    import resource

    def limit(kind: int, value: int) -> None:
        _soft, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))

    limit(resource.RLIMIT_CPU, CPU_SECONDS)
    limit(resource.RLIMIT_FSIZE, FILE)
    limit(resource.RLIMIT_CORE, 0)
    if sys.platform == "linux":  # macOS counts what it has mapped, and Python maps a lot
        limit(resource.RLIMIT_DATA, 2 * MEMORY)


def limit_processes() -> None:
    """In a box: its processes and threads are the only ones of this user that count."""
    import resource

    resource.setrlimit(resource.RLIMIT_NPROC, (PROCESSES, PROCESSES))
