"""Submissions that cannot be read: each is named, and the rest is read."""

import io
import os
import zipfile
from pathlib import Path

import pytest

from handed_in import (
    BOTH,
    ROOMS,
    SLOW,
    Files,
    Read,
    lay_out,
    put,
    text,
    zipped,
)


def encrypted() -> bytes:
    data = bytearray(zipped(BOTH))
    for signature, offset in [(b"PK\3\4", 6), (b"PK\1\2", 8)]:
        at = data.find(signature)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(signature, at + 1)
    return bytes(data)


def bzipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("slow_reader.py", bytes(900_000))
    return data.getvalue()


def damaged(size: int) -> bytes:
    data = bytearray(zipped({"slow_reader.py": os.urandom(size)}))
    data[len(data) // 2] ^= 0xFF
    return bytes(data)


UNREADABLE: dict[str, tuple[Files, str]] = {
    "a zip cut off": ({"Ana.zip": zipped(BOTH)[:-30]}, "Ana.zip is damaged"),
    "a zip that is none": ({"Ana.zip": "<html>please log in</html>"}, "Ana.zip is damaged"),
    "an empty zip file": ({"Ana.zip": b""}, "Ana.zip is damaged"),
    "a damaged member": ({"Ana.zip": damaged(999)}, "Ana.zip/slow_reader.py is damaged"),
    "a zip with a password": ({"Ana.zip": encrypted()}, "Ana.zip is encrypted"),
    "a zip by bzip2": ({"Ana.zip": bzipped()}, "compressed in an unusual way"),
    "a zip of nothing": ({"Ana.zip": zipped({})}, "It is empty."),
    "a rar": ({"Ana.rar": b"Rar!"}, "Ana.rar is neither a folder nor a zip"),
    "a tar.gz": ({"Ana.tar.gz": b"\x1f\x8b"}, "Ana.tar.gz is neither a folder nor a zip"),
    "a 7z in a folder": ({"Ana/home.7z": b"7z"}, "Ana/home.7z is neither a folder nor a zip"),
    "a folder without an exercise": ({"Ana/essay.docx": "x"}, "None of its files"),
    "a notebook": (
        {"Ana/slow_reader.ipynb": "{}"},
        "slow_reader: Ana/slow_reader.ipynb is not read",
    ),
    "a text file": ({"Ana/slow_reader.py.txt": "{}"}, "slow_reader.py.txt is not read, only"),
    "a folder in a zip by a file's name": (
        {"Ana.zip": zipped({"slow_reader.py/": "", "x.txt": ""})},
        "slow_reader.py is a folder",
    ),
    "a folder by a file's name": ({"Ana/slow_reader.py/x.txt": ""}, "slow_reader.py is a folder"),
    "too large a file": ({"Ana/slow_reader.py": bytes(1_000_001)}, "larger than the 1,000,000"),
    "a file of nobody's": ({"Ana.py": "a", "Carl/rooms.py": ""}, "not known whose it is"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_cannot_be_read_is_named_and_the_rest_read(
    handed_in: Path, read: Read, kind: str
) -> None:
    files, reason = UNREADABLE[kind]
    lay_out(handed_in, {**files, "Ben/slow_reader.py": "b"})
    found = read()
    ana = found["Ana" if "Ana.py" not in files else "Ana.py"]
    assert reason in ana.unreadable
    assert not ana.answers
    assert text(found["Ben"]) == "b"
    assert not found["Ben"].unreadable


@pytest.mark.parametrize("kind", [k for k, (files, _) in UNREADABLE.items() if "nobody" not in k])
def test_beside_something_unreadable_the_students_other_answers_are_read(
    handed_in: Path, read: Read, kind: str
) -> None:
    files, reason = UNREADABLE[kind]
    (name, content) = next(iter(files.items()))
    lay_out(handed_in / "Ana", {"rooms.py": "b", f"more/{Path(name).name}": content})
    if "/" in name[4:]:
        lay_out(handed_in, files)
    lay_out(handed_in, {"Ben/rooms.py": ""})
    ana = read()["Ana"]
    assert list(ana.answers) == [ROOMS]
    assert not ana.unreadable
    if kind not in ("a zip of nothing", "a folder without an exercise"):
        assert reason.rpartition("Ana")[2].rpartition("/")[2] in " ".join(ana.notes)


def test_an_empty_folder_is_named(handed_in: Path, read: Read) -> None:
    (handed_in / "Ana").mkdir()
    put(handed_in / "Ben/rooms.py")
    assert read()["Ana"].unreadable == "It is empty."


@pytest.mark.parametrize("content", ["# -*- coding: gbk -*-\n名 = 1".encode("gbk"), b"\xff\xfe\0"])
def test_bytes_are_kept_as_they_are(handed_in: Path, read: Read, content: bytes) -> None:
    put(handed_in / "Ana/slow_reader.py", content)
    put(handed_in / "Ben.zip", zipped({"slow_reader.py": content}))
    for submission in read().values():
        assert submission.answers[SLOW].read_bytes() == content


def test_reading_again_leaves_nothing_of_before(handed_in: Path, read: Read) -> None:
    lay_out(handed_in / "Ana", BOTH)
    put(read()["Ana"].answers[SLOW].with_name("planted.py"))
    (handed_in / "Ana/rooms.py").unlink()
    ana = read()["Ana"]
    assert list(ana.answers) == [SLOW]
    assert os.listdir(ana.answers[SLOW].parent) == ["slow_reader.py"]
    assert os.listdir(ana.answers[SLOW].parents[1]) == ["slow_reader"]
