"""Submissions that do all they can to harm, or for a better grade: each gets its own, no more."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from workbook import ROOT
from workbook.examine import can_box
from workbook.exercises import Exercise, find_exercises
from workbook.launch import Zygote, has_ended

HOSTILE = ROOT / "tests" / "hostile"
KINDS = sorted(path.stem for path in HOSTILE.iterdir() if not path.name.startswith("__"))
(UNBLOCK,) = find_exercises("unblock")
(LATER,) = find_exercises("no_globals")  # checked after it
STARTER = UNBLOCK.file.read_text(encoding="utf-8")
LOADS_WHAT_IT_FOUND = "\n\nfor path in found:\n    exec(open(path, encoding='utf-8').read())\n"
MARK = "workbook-was-here"


@dataclass
class Graded:
    out: Path
    code: int
    printed: str
    visitors: list[bytes]
    before: set[str]

    def passed(self, student: str, exercise: Exercise = UNBLOCK) -> list[bool]:
        file = self.out / "students" / student / "results.json"
        tests = json.loads(file.read_text(encoding="utf-8"))["tests"]
        return [t["status"] == "passed" for t in tests if exercise.name in t["name"]]


def hand_in(folder: Path, kind: str) -> None:
    """What this kind does, and then the starter as it was."""
    source = HOSTILE / kind
    shutil.copytree(source, folder) if source.is_dir() else folder.mkdir()
    file = folder / "unblock.py" if source.is_dir() else source.with_suffix(".py")
    text = file.read_text(encoding="utf-8")
    uses = LOADS_WHAT_IT_FOUND if "found" in text else ""
    (folder / "unblock.py").write_text(f"{text}\n{STARTER}{uses}", encoding="utf-8")


def marks() -> set[str]:
    """Where hostile answers have left something, of the places that they try."""
    places = ["/", "/root", "/tmp", "/var/tmp", "/dev/shm", str(ROOT), str(Path.home())]
    return {
        str(path)
        for place in places
        for pattern in (MARK, "workbook-fill-*")
        for path in Path(place).glob(pattern)
    }


def listener() -> socket.socket:
    for port in range(40_000, 42_000):
        with suppress(OSError):
            return socket.create_server(("127.0.0.1", port))
    raise OSError("all ports are taken")


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Graded:
    """A class in which all are hostile but for one, graded by the command."""
    if not can_box():  # they would do to this machine what they can
        pytest.skip("these want a box to run in: install bubblewrap (Linux)")
    folder = tmp_path_factory.mktemp("class")
    out = tmp_path_factory.mktemp("graded")
    for kind in KINDS:
        hand_in(folder / kind, kind)
    shutil.copy(LATER.solution, folder / "files_at_home")
    (folder / "honest").mkdir()
    shutil.copy(UNBLOCK.solution, folder / "honest")
    (folder / "starter").mkdir()
    shutil.copy(UNBLOCK.file, folder / "starter")
    visitors: list[bytes] = []

    def listen(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                visitor, _ = server.accept()
                with visitor:
                    visitors.append(visitor.recv(1000))

    before = marks()
    with closing(listener()) as server:
        threading.Thread(target=listen, args=(server,), daemon=True).start()
        done = subprocess.run(
            [sys.executable, "-m", "workbook", "grade", str(folder), "--out", str(out)],
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            encoding="utf-8",
            timeout=400,
        )
    return Graded(out, done.returncode, done.stdout + done.stderr, visitors, before)


def test_the_whole_class_is_graded(graded: Graded) -> None:
    assert graded.code == 0, graded.printed
    assert "cannot be enforced" not in graded.printed
    assert graded.passed("honest") == [True] * 3


@pytest.mark.parametrize("kind", KINDS)
def test_each_gets_the_grade_that_it_deserves(graded: Graded, kind: str) -> None:
    source = HOSTILE / kind
    file = source / "unblock.py" if source.is_dir() else source.with_suffix(".py")
    deserved = file.read_text(encoding="utf-8").partition("\n")[0].rpartition("Deserves ")[2]
    starter = graded.passed("starter")
    assert starter == [True, False, False]
    passed = graded.passed(kind)
    if deserved.startswith("what the starter does"):
        assert passed == starter
    elif "or what the starter does" in deserved:
        assert passed in ([False] * 3, starter)
    else:
        assert passed == [False] * 3


def test_what_one_answer_leaves_does_not_count_against_the_next(graded: Graded) -> None:
    passed = graded.passed("files_at_home", LATER)
    assert passed == [True] * len(LATER.titles)


def test_nobody_has_called_on_us(graded: Graded) -> None:
    assert graded.visitors == []


def test_nothing_lies_elsewhere(graded: Graded) -> None:
    assert marks() - graded.before == set()
    assert not list(graded.out.rglob(MARK))
    assert {path.name for path in (graded.out / ".work").iterdir()} == {"answers", "results.jsonl"}


def test_nothing_runs_on(graded: Graded) -> None:
    left = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            said = [*process.cmdline(), *process.environ().values()]  # its box's, or its home
            if str(graded.out) in " ".join(said) and not has_ended(process):
                left.append(process)
    assert left == []


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc to open it by")
def test_what_runs_in_a_box_can_open_nothing_of_ours() -> None:
    """By /proc it can open what it holds: for a user who is not root, forges_results.py does."""
    zygote = Zygote(box=[])
    try:
        zygote.ask({})
        assert zygote._process
        held = Path(f"/proc/{zygote._process.pid}/fd")
        assert {os.readlink(held / str(fd)) for fd in range(3)} == {os.devnull}
        assert {os.readlink(fd).partition(":")[0] for fd in held.iterdir()} == {
            "socket",
            os.devnull,
        }
    finally:
        zygote.kill()
