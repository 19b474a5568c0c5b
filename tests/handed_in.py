"""What students hand in, made and read, for the tests of that."""

import io
import os
import zipfile
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import pytest

from workbook.exercises import find_exercises
from workbook.submissions import Submission

(SLOW_READER,) = find_exercises("slow_reader")
STARTER = SLOW_READER.file.read_text(encoding="utf-8")
MONDAY = datetime(2024, 5, 6, 9, 30)
FRIDAY = datetime(2024, 5, 10, 18, 0)

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX only")


def put(path: Path, content: str | bytes = "app = 1\n", when: datetime = MONDAY) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(path, (when.timestamp(),) * 2)
    return path


Files = Mapping[str, str | bytes]


def zipped(members: Files, when: datetime = MONDAY) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(member(name, when), content)
    return data.getvalue()


def member(name: str, when: datetime = MONDAY) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, when.timetuple()[:6])
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def lay_out(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        put(folder / name, content)
    return folder


Read = Callable[[], dict[str, Submission]]


def text(submission: Submission, exercise: str = "03_websocket/slow_reader") -> str:
    return submission.answers[exercise].read_text(encoding="utf-8")


SLOW, ROOMS = "03_websocket/slow_reader", "03_websocket/rooms"
BOTH = {"slow_reader.py": "a = 1", "rooms.py": "b = 2"}
NESTED = {"Homework/exercises/03_websocket/slow_reader.py": "a", "Homework/notes/rooms.py": "b"}
OLD, NEW = "old = 1\n", "new = 1\n"
