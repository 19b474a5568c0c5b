"""Submissions that should not be believed: paths, links, bombs, names and times."""

import io
import os
import shutil
import socket
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from handed_in import (
    BOTH,
    FRIDAY,
    MONDAY,
    NESTED,
    NEW,
    ROOMS,
    SLOW,
    SLOW_READER,
    Read,
    lay_out,
    member,
    posix,
    put,
    text,
    zipped,
)
from workbook import archives, submissions
from workbook.archives import Unreadable
from workbook.submissions import read_submissions


def everything_in(folder: Path) -> dict[str, float]:
    return {str(p): p.lstat().st_mtime for p in folder.rglob("*") if "into" not in p.parts}


@pytest.mark.parametrize(
    "name",
    [
        "../../../slow_reader.py",
        "/tmp/x/slow_reader.py",
        "..\\..\\slow_reader.py",
        "C:/x/slow_reader.py",
    ],
)
def test_a_path_in_a_zip_leads_nowhere(
    handed_in: Path, tmp_path: Path, read: Read, name: str
) -> None:
    put(handed_in / "Ana.zip", zipped({name: "a", "../../../evil.py": "no"}))
    put(handed_in / "Ben/home.zip", zipped({"x.zip": zipped({name: "a"})}))
    before = everything_in(tmp_path)
    for submission in read().values():
        assert text(submission) == "a"
        assert submission.answers[SLOW].is_relative_to(tmp_path / "into")
    assert everything_in(tmp_path) == before
    assert not list(tmp_path.rglob("evil.py"))


@posix
@pytest.mark.parametrize(
    "target",
    [
        str(SLOW_READER.solution),
        "/etc/passwd",
        "/dev/zero",
        "slow_reader.py",
        "../Ben/slow_reader.py",
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_links_are_not_followed(handed_in: Path, read: Read, target: str, packed: bool) -> None:
    put(handed_in / "Ben/slow_reader.py", "b")
    if packed:
        link = member("slow_reader.py")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        link.create_system = 3
        with zipfile.ZipFile(handed_in / "Ana.zip", "w") as archive:
            archive.writestr(link, target)
    else:
        (handed_in / "Ana").mkdir()
        (handed_in / "Ana/slow_reader.py").symlink_to(target)
    ana = read()["Ana"]
    assert not ana.answers
    assert "is a link" in ana.unreadable


@posix
def test_links_to_folders_are_not_followed(handed_in: Path, read: Read) -> None:
    put(handed_in / "Ben/rooms.py", "b")
    (handed_in / "Ben/loop").symlink_to("..")
    (handed_in / "Ana").symlink_to("Ben")
    put(handed_in.parent / "elsewhere/slow_reader.py")
    (handed_in / "Ben/03_websocket").symlink_to("../../elsewhere")
    found = read()
    assert found["Ana"].unreadable == "Ana is a link, which is not followed."
    assert list(found["Ben"].answers) == [ROOMS]


@posix
def test_pipes_sockets_and_devices_are_not_opened(
    handed_in: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    (handed_in / "Ana").mkdir()
    os.mkfifo(handed_in / "Ana/slow_reader.py")
    os.mkfifo(handed_in / "Ben.zip")
    os.mkfifo(handed_in / "Carl")
    with socket.socket(socket.AF_UNIX) as listening:
        (handed_in / "Dora").mkdir()
        monkeypatch.chdir(handed_in / "Dora")  # a socket's path has to be short
        listening.bind("rooms.py")
        found = read()
    assert [each.unreadable for each in found.values()] == [
        f"{name} is a device or a pipe."
        for name in ["Ana/slow_reader.py", "Ben.zip", "Carl", "Dora/rooms.py"]
    ]


@contextmanager
def powerless(folder: Path) -> Iterator[None]:
    """Without root's power to read everything."""
    if os.geteuid() != 0:
        yield
        return
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@posix
def test_what_may_not_be_read_is_named() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        forbidden = [
            put(folder / "in/Ana/slow_reader.py"),
            put(folder / "in/Ben.zip", zipped(BOTH)),
            put(folder / "in/Carl/x/rooms.py").parent,
        ]
        put(folder / "in/Dora/rooms.py")
        with powerless(folder):
            for path in forbidden:
                path.chmod(0)
            found = read_submissions(folder / "in", folder / "into")
            forbidden[-1].chmod(0o700)
    *unreadable, dora = found
    assert ["cannot be read: Permission denied" in each.unreadable for each in unreadable] == [
        True
    ] * 3
    assert dora.answers


def bomb(size: int) -> bytes:
    """A zip of few bytes whose member inflates to `size`."""
    data = io.BytesIO()
    with (
        zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(member("slow_reader.py"), "w", force_zip64=True) as file,
    ):
        for _ in range(size // 2**20):
            file.write(bytes(2**20))
    return data.getvalue()


def test_a_bomb_is_inflated_no_further_than_an_answer_may_be_long(
    handed_in: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    inflated = []
    read_on = zipfile.ZipExtFile.read

    def counted(self: zipfile.ZipExtFile, n: int | None = -1) -> bytes:
        data = read_on(self, n)
        inflated.append(len(data))
        return data

    monkeypatch.setattr(zipfile.ZipExtFile, "read", counted)
    data = bomb(64 * 2**20)
    lies = data.replace((64 * 2**20).to_bytes(8, "little"), (9).to_bytes(8, "little"))
    put(handed_in / "Ana.zip", data)
    put(handed_in / "Ben.zip", lies)
    put(
        handed_in / "Carl.zip",
        zipped({**BOTH, **{f"x{n}/data.bin": bytes(2**20) for n in range(9)}}),
    )
    found = read()
    assert "larger than the 1,000,000 bytes" in found["Ana"].unreadable
    assert not found["Ben"].answers
    assert len(found["Carl"].answers) == 2
    assert sum(inflated) < 3_000_000


def test_a_zip_in_a_zip_is_inflated_to_a_bound(
    handed_in: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_BYTES", 100_000)
    inside = io.BytesIO()
    with zipfile.ZipFile(inside, "w") as archive:
        archive.writestr("slow_reader.py", NEW)
        archive.writestr("padding", bytes(200_000))
    put(handed_in / "Ana.zip", zipped({"a.zip": inside.getvalue(), "rooms.py": NEW}))
    small = zipped({"slow_reader.py": bytes(60_000)})
    many = {f"{n}.zip": inside.getvalue()[:90_000] for n in range(9)}
    put(handed_in / "Ben.zip", zipped({**many, "rooms.py": NEW, "z.zip": small}))
    found = read()
    assert list(found["Ana"].answers) == [ROOMS]
    assert "Ana.zip/a.zip is larger than the 100,000 bytes" in found["Ana"].notes[0]
    assert sum("larger than" in note for note in found["Ben"].notes) >= 7


def quine_like(depth: int) -> bytes:
    data = zipped({"slow_reader.py": NEW})
    for _ in range(depth):
        data = zipped({f"{n}.zip": data for n in range(4)})
    return data


def test_zips_in_zips_come_to_an_end(handed_in: Path, read: Read) -> None:
    put(handed_in / "Ana.zip", quine_like(6))
    put(handed_in / "Ben/rooms.py")
    found = read()
    assert f"{archives.MAX_ARCHIVES} are opened" in found["Ana"].unreadable
    assert len(found["Ana"].unreadable) < 10_000
    assert found["Ben"].answers


def test_too_many_files_are_not_looked_at(
    handed_in: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_ENTRIES", 50)
    many = {f"data/{n}.csv": "" for n in range(60)}
    lay_out(handed_in / "Ana", {**many, "x/slow_reader.py": NEW})
    put(handed_in / "Ben.zip", zipped({**many, "x/slow_reader.py": NEW}))
    spread = {f"{n}/{m}.csv": "" for n in range(9) for m in range(9)}
    lay_out(handed_in / "Carl", {**spread, "slow_reader.py": NEW})
    for name, submission in read().items():
        assert text(submission) == NEW
        assert any("50 files" in note for note in submission.notes), name


def test_too_many_students_are_told_rather_than_left_out(
    handed_in: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_ENTRIES", 5)
    lay_out(handed_in, {f"{n}/rooms.py": "" for n in range(6)})
    with pytest.raises(Unreadable, match="more than 5 files"):
        read()


def test_a_zip_with_a_huge_table_of_contents_is_refused(
    handed_in: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_CONTENTS", 2_000_000)
    data = zipped({"x" * 999 + str(n): "" for n in range(2000)})
    put(handed_in / "Ana.zip", data)
    put(handed_in / "Ben.zip", zipped({"in.zip": data, "rooms.py": ""}))
    found = read()
    assert "Ana.zip has too many members" in found["Ana"].unreadable
    assert "Ben.zip/in.zip has too many members" in found["Ben"].notes[0]


def test_of_very_many_copies_some_are_read(
    handed_in: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    read_node = archives.Reading.read

    def counted(self: archives.Reading, node: archives.Node, limit: int) -> bytes:
        reads.append(node.name)
        return read_node(self, node, limit)

    monkeypatch.setattr(archives.Reading, "read", counted)
    with zipfile.ZipFile(handed_in / "Ana.zip", "w") as archive:
        for n in range(500):
            archive.writestr(member(f"{n}/slow_reader.py", FRIDAY if n == 250 else MONDAY), str(n))
    put(handed_in / "Ben/rooms.py")
    ana = read()["Ana"]
    assert text(ana) == "250"
    assert len(reads) == submissions.MAX_COPIES + 1
    assert "492 older ones" in ana.notes[0]


@pytest.mark.parametrize(
    "name",
    [
        "gather" + "1" * 3000 + "x.py",
        "gather" + " (1)" * 700 + "x.py",
        "gather" + "copy" * 700 + "!.py",
        "gather" + "_" * 3000,
        "copy of " * 400,
        "a" * 60_000 + "/gather.py",
    ],
)
def test_no_name_takes_long_to_match(handed_in: Path, read: Read, name: str) -> None:
    put(handed_in / "Ana.zip", zipped({name: "", "rooms.py": "b"}))
    assert list(read()["Ana"].answers) == [ROOMS]


def test_folders_without_end_are_left(handed_in: Path, read: Read) -> None:
    put(handed_in / "Ana.zip", zipped({"d/" * 500 + "slow_reader.py": "a", "rooms.py": "b"}))
    put(handed_in / "Ben" / ("d/" * 60) / "slow_reader.py")
    put(handed_in / "Ben" / "rooms.py")
    for submission in read().values():
        assert list(submission.answers) == [ROOMS]


def test_notes_have_a_bound_and_obey_no_terminal(handed_in: Path, read: Read) -> None:
    many = {f"\x1b[2J{n}\n.7z": "" for n in range(99)}
    put(handed_in / "Ana.zip", zipped({**many, "rooms.py": ""}))
    put(handed_in / "Ben/rooms.py")
    notes = read()["Ana"].notes
    assert len(notes) == submissions.MAX_NOTES + 1
    assert notes[-1] == "And 69 more."
    assert not {"\x1b", "\n"} & set("".join(notes))


def test_times_out_of_range_are_borne(tmp_path: Path) -> None:
    memory = Path("/dev/shm")  # where files can have been changed in the year 36812
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        data = bytearray(zipped({"slow_reader.py": NEW}))
        at = data.find(b"PK\1\2")
        data[at + 12 : at + 16] = b"\0\0\0\0"  # month 0, day 0
        put(Path(folder, "Ana.zip"), bytes(data))
        os.utime(put(Path(folder, "Ben/slow_reader.py")), (2**40, 2**40))
        assert all(each.answers for each in read_submissions(Path(folder), tmp_path / "into"))


def test_reading_is_deterministic(handed_in: Path, tmp_path: Path) -> None:
    lay_out(handed_in, {"b/rooms.py": "1", "b/x/rooms.py": "2", "a.zip": zipped(NESTED), "c/x": ""})
    first = read_submissions(handed_in, tmp_path / "into")
    shutil.rmtree(tmp_path / "into")
    assert read_submissions(handed_in, tmp_path / "into") == first
    assert [each.name for each in first] == ["a", "b", "c"]
