"""What instructors get from students and learning platforms, built for real, and read."""

import io
import os
import shutil
import socket
import stat
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from workbook import archives, submissions
from workbook.archives import Unreadable
from workbook.exercises import EXERCISES, find_exercises
from workbook.submissions import Submission, read_submissions

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


@pytest.fixture
def handed_in(tmp_path: Path) -> Path:
    folder = tmp_path / "handed_in"
    folder.mkdir()
    return folder


@pytest.fixture
def read(handed_in: Path, tmp_path: Path) -> Callable[[], dict[str, Submission]]:
    def read() -> dict[str, Submission]:
        found = read_submissions(handed_in, tmp_path / "into")
        assert len({each.name for each in found}) == len(found)
        return {each.name: each for each in found}

    return read


Read = Callable[[], dict[str, Submission]]


def text(submission: Submission, exercise: str = "03_websocket/slow_reader") -> str:
    return submission.answers[exercise].read_text(encoding="utf-8")


# ── As platforms and people lay it out ───────────────────────────────────────────────────────

SLOW, ROOMS = "03_websocket/slow_reader", "03_websocket/rooms"
BOTH = {"slow_reader.py": "a = 1", "rooms.py": "b = 2"}
NESTED = {"Homework/exercises/03_websocket/slow_reader.py": "a", "Homework/notes/rooms.py": "b"}

LAYOUTS: dict[str, tuple[Files, dict[str, set[str]]]] = {
    "a folder for each": (
        {"Ana/slow_reader.py": "a", "王小明/03_websocket/rooms.py": "b", "names.csv": "Ana"},
        {"Ana": {SLOW}, "王小明": {ROOMS}},
    ),
    "a zip for each": (
        {"Wang Xiaoming.zip": zipped(BOTH), "李雷.ZIP": zipped(NESTED)},
        {"Wang Xiaoming": {SLOW, ROOMS}, "李雷": {SLOW, ROOMS}},
    ),
    "a zip in a folder": ({"Ana/work/all.zip": zipped(NESTED)}, {"Ana": {SLOW, ROOMS}}),
    "one zip of all": (
        {"all.zip": zipped({"Ana/slow_reader.py": "a", "李雷.zip": zipped(NESTED)})},
        {"Ana": {SLOW}, "李雷": {SLOW, ROOMS}},
    ),
    "one folder of all": (
        {"Class 5/Ana/slow_reader.py": "a", "Class 5/Ben.zip": zipped(BOTH)},
        {"Ana": {SLOW}, "Ben": {SLOW, ROOMS}},
    ),
    "one student's folder": (
        {"exercises/03_websocket/slow_reader.py": "a", "solutions/03_websocket/rooms.py": "b"},
        {"handed_in": {SLOW, ROOMS}},
    ),
    "one student's files": ({"slow_reader.py": "a", "old/x.py": ""}, {"handed_in": {SLOW}}),
    "Moodle": (
        {
            "Wang Xiaoming_12345_assignsubmission_file_/slow_reader.py": "a",
            "Wang Xiaoming_12345_assignsubmission_onlinetext_/onlinetext.html": "Hello",
            "李 雷_12346_assignsubmission_file/exercises.zip": zipped(BOTH),
        },
        {"Wang Xiaoming_12345": {SLOW}, "李 雷_12346": {SLOW, ROOMS}},
    ),
    "Moodle without folders": (
        {
            "Wang Xiaoming_12345_assignsubmission_file_slow_reader.py": "a",
            "Wang Xiaoming_12345_assignsubmission_file_rooms.py": "b",
            "李 雷_12346_assignsubmission_file_all.zip": zipped(BOTH),
        },
        {"Wang Xiaoming_12345": {SLOW, ROOMS}, "李 雷_12346": {SLOW, ROOMS}},
    ),
    "Canvas": (
        {
            "submissions/wangxiaoming_12345_67890_slow_reader.py": "a",
            "submissions/wangxiaoming_12345_67899_rooms-1.py": "b",
            "submissions/李雷_LATE_12346_67891_exercises.zip": zipped(BOTH),
            "submissions/anon_x1y2z_67892_rooms.py": "b",
        },
        {"wangxiaoming_12345": {SLOW, ROOMS}, "李雷_12346": {SLOW, ROOMS}, "anon_x1y2z": {ROOMS}},
    ),
    "names that only resemble Canvas's": (
        {f"lab_3_2024{n}_{name}.zip": zipped(BOTH) for n, name in enumerate(["Ana", "Ben"])}
        | {f"hw_3_2024{n}_hw.zip": zipped(BOTH) for n in range(2)},
        {
            name: {SLOW, ROOMS}
            for name in ["lab_3_20240_Ana", "lab_3_20241_Ben", "hw_3_20240_hw", "hw_3_20241_hw"]
        },
    ),
    "Gradescope": (
        {
            "assignment_9_export/submission_metadata.yml": "---\nsubmission_71:\n  :submitters:\n"
            "  - :name: 王小明\n    :sid: '100'\n    :email: w@x.cn\n  :created_at: 2024-05-06\n",
            "assignment_9_export/submission_71/slow_reader.py": "a",
            "assignment_9_export/submission_72/rooms.py": "b",
        },
        {"王小明 (submission_71)": {SLOW}, "submission_72": {ROOMS}},
    ),
    "GitHub Classroom": (
        {
            "async-submissions/async-ana/exercises/03_websocket/slow_reader.py": "a",
            "async-submissions/async-ana/.git/rooms.py": "no",
            "async-submissions/async-leilei/exercises/03_websocket/rooms.py": "b",
        },
        {"async-ana": {SLOW}, "async-leilei": {ROOMS}},
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read(handed_in: Path, read: Read, layout: str) -> None:
    files, expected = LAYOUTS[layout]
    lay_out(handed_in, files)
    found = read()
    assert {name: set(each.answers) for name, each in found.items()} == expected
    assert not any(each.notes or each.unreadable for each in found.values())
    assert list(found) == sorted(found)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_layout_is_read_from_one_zip(tmp_path: Path, layout: str) -> None:
    files, expected = LAYOUTS[layout]
    archive = put(tmp_path / "handed_in.zip", zipped(files))
    found = read_submissions(archive, tmp_path / "into")
    assert {each.name: set(each.answers) for each in found} == expected


def test_all_eighteen_are_found_wherever_they_lie(handed_in: Path, read: Read) -> None:
    for exercise in EXERCISES:
        put(handed_in / "Ana" / exercise.section / f"{exercise.name}.py", exercise.id)
        put(handed_in / "Ben" / "deep/er" / f"{exercise.name.upper()}.PY", exercise.id)
    for submission in read().values():
        assert list(submission.answers) == [exercise.id for exercise in EXERCISES]
        for exercise_id, path in submission.answers.items():
            assert path.read_text(encoding="utf-8") == exercise_id
            assert path.name == f"{exercise_id.partition('/')[2]}.py"
            assert os.listdir(path.parent) == [path.name]  # no other answer can be imported


def test_what_systems_and_tools_leave_is_no_answer(handed_in: Path, read: Read) -> None:
    junk = [
        "__MACOSX/Ana/slow_reader.py",
        "._slow_reader.py",
        ".DS_Store",
        "Thumbs.db",
        ".venv/slow_reader.py",
        "venv/lib/site-packages/slow_reader.py",
        "node_modules/slow_reader.py",
        "__pycache__/slow_reader.py",
        ".git/slow_reader.py",
        ".ipynb_checkpoints/slow_reader.py",
    ]
    later = {f"x/{name}": "junk" for name in junk}
    lay_out(handed_in / "Ana", {**later, "rooms.py": "b"})
    put(handed_in / "Ben.zip", zipped({**later, "rooms.py": "b"}, FRIDAY))
    put(handed_in / ".DS_Store")
    put(handed_in / "__MACOSX" / "._Ana.zip")
    found = read()
    assert {name: list(each.answers) for name, each in found.items()} == {
        "Ana": [ROOMS],
        "Ben": [ROOMS],
    }


def test_other_files_are_passed_over_and_peculiar_ones_told(handed_in: Path, read: Read) -> None:
    extra = {"README.md": "", "test_slow_reader.py": "", "helpers.py": "", "fastapi.py": ""}
    lay_out(handed_in / "Ana", {**BOTH, **extra, "tests/conftest.py": ""})
    lay_out(handed_in / "Ben", {**BOTH, "conftest.py": "raise SystemExit(0)"})
    found = read()
    assert found["Ana"].notes == ()
    assert found["Ben"].notes == ("Ben/conftest.py lies beside the answers and is not used.",)
    assert set(found["Ana"].answers) == set(found["Ben"].answers) == {SLOW, ROOMS}


@pytest.mark.parametrize("output", ["handed_in/out", "handed_in/class/out"])
def test_the_output_may_lie_inside_and_is_no_student(
    handed_in: Path, tmp_path: Path, output: str
) -> None:
    lay_out(handed_in / "class", {"Ana/slow_reader.py": "a", "Ben/rooms.py": "b"})
    put(tmp_path / output / "report.html")
    for _ in range(2):
        found = read_submissions(handed_in, tmp_path / output / "answers")
        assert [each.name for each in found] == ["Ana", "Ben"]


def test_what_is_neither_a_folder_nor_a_zip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="neither a folder nor a zip"):
        read_submissions(put(tmp_path / "names.csv"), tmp_path / "into")
    with pytest.raises(FileNotFoundError):
        read_submissions(tmp_path / "nowhere", tmp_path / "into")


# ── Names ────────────────────────────────────────────────────────────────────────────────────


def unflagged(names: list[bytes]) -> bytes:
    """A zip whose members' names are in some code page, as old Windows tools write them."""
    stand_ins = [chr(ord("A") + n) * len(name) for n, name in enumerate(names)]
    data = zipped(dict.fromkeys(stand_ins, "a"))
    for stand_in, name in zip(stand_ins, names, strict=True):
        data = data.replace(stand_in.encode(), name)
    return data


@pytest.mark.parametrize(
    ("names", "encoding"),
    [
        (["王小明", "李雷"], "gbk"),
        (["朱镕", "陶喆"], "gbk"),  # characters that GB 2312 lacks
        (["王小明", "李雷"], "utf-8"),  # as macOS writes it
        (["José_x", "Müller"], "cp437"),  # whose bytes are valid GBK, too
    ],
)
def test_names_without_the_utf8_flag_are_decoded(
    tmp_path: Path, names: list[str], encoding: str
) -> None:
    members = [f"{name}/slow_reader.py".encode(encoding) for name in names]
    archive = put(tmp_path / "all.zip", unflagged(members))
    found = read_submissions(archive, tmp_path / "into")
    assert {each.name for each in found} == set(names)
    assert all(each.answers for each in found)


def test_backslashes_in_a_zip_are_separators(handed_in: Path, read: Read) -> None:
    data = zipped({"Ana/work/slow_reader.py": "a"}).replace(b"Ana/work/", b"Ana\\work\\")
    put(handed_in / "Ana.zip", data)
    assert list(read()["Ana"].answers) == [SLOW]


ODD_NAMES = [
    "../../evil",
    "/absolute",
    "C:\\Windows",
    "CON",
    "nul.txt.",
    "Ana\nBen",
    "\x1b[31mred",
    "\u202etxet",
    "<script>alert(1)</script>",
    "=1+1",
    "N" * 300,
    "N" * 3000,
    "a" * 300 + "b",
    "a" * 300 + "c",
    "Ana",
    "ana",
    "Jose\u0301",
    "Jos\xe9",
    "   ",
    "علی\u200cرضا",
]


def test_any_name_is_shown_in_one_line_and_no_path(tmp_path: Path) -> None:
    archive = put(tmp_path / "all.zip", zipped({f"{n}/slow_reader.py": n for n in ODD_NAMES}))
    into = tmp_path / "into"
    found = read_submissions(archive, into)
    assert len({each.name for each in found}) == len(found) == len(ODD_NAMES)
    assert {text(each) for each in found} == set(ODD_NAMES)
    for each in found:
        assert each.name.splitlines() == [each.name]
        assert not {"\x1b", "\u202e"} & set(each.name)
        assert len(each.name) < 1000
    names = {each.name for each in found}
    assert {"Ana", "ana", "Jose\u0301", "Jos\xe9", "علی\u200cرضا", "N" * 300} <= names
    assert {r"Ana\nBen", r"\x1b[31mred", "<script>alert(1)<"} <= names
    assert all(part.isascii() and len(part) < 20 for p in into.rglob("*") for part in [p.name])
    assert set(os.listdir(tmp_path)) == {"all.zip", "into"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_on_disk_that_are_no_text_can_be_shown(handed_in: Path, read: Read) -> None:
    for raw in [b"Ana\n", b"B\xff\xfen", b"C" * 255]:
        put(handed_in / os.fsdecode(raw) / "slow_reader.py")
    for name, submission in read().items():
        assert name.encode("utf-8").decode().isprintable()
        assert submission.answers


# ── Several copies ───────────────────────────────────────────────────────────────────────────

OLD, NEW = "old = 1\n", "new = 1\n"
COPIES = {
    "a browser's": ("slow_reader.py", "slow_reader (1).py"),
    "Windows's": ("slow_reader - Copy.py", "slow_reader.py"),
    "Windows's in Chinese": ("slow_reader - 副本.py", "slow_reader.py"),
    "macOS's": ("slow_reader copy 2.py", "slow_reader.py"),
    "its own": ("slow_reader_old.py", "slow_reader.py"),
    "the other way round": ("slow_reader.py", "slow_reader_old.py"),
    "final": ("slow_reader_final.py", "slow-reader_final_v2.py"),
    "a backup folder's": ("backup/slow_reader.py", "slow_reader.py"),
    "beside its section": ("exercises/03_websocket/slow_reader.py", "slow_reader.py"),
}


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize("packed", [False, True])
def test_of_two_copies_the_newer_counts_and_a_note_says_so(
    handed_in: Path, read: Read, kind: str, packed: bool
) -> None:
    older, newer = COPIES[kind]
    if packed:
        with zipfile.ZipFile(handed_in / "Ana.zip", "w") as archive:
            archive.writestr(member(newer, FRIDAY), NEW)
            archive.writestr(member(older, MONDAY), OLD)
    else:
        put(handed_in / "Ana" / newer, NEW, FRIDAY)
        put(handed_in / "Ana" / older, OLD, MONDAY)
    ana = read()["Ana"]
    assert text(ana) == NEW
    top = "Ana.zip" if packed else "Ana"
    assert ana.notes == (
        f"slow_reader: {top}/{newer} (2024-05-10 18:00) counts, "
        f"not {top}/{older} (2024-05-06 09:30).",
    )


@pytest.mark.parametrize(
    ("worked_on", "other"),
    [
        ("backup/slow_reader.py", "slow_reader.py"),
        ("slow_reader_old.py", "exercises/03_websocket/slow_reader.py"),
    ],
)
@pytest.mark.parametrize("starter", [STARTER, STARTER.replace("\n", " \r\n"), "", "\n"])
def test_an_untouched_starter_never_counts_beside_work(
    handed_in: Path, read: Read, worked_on: str, other: str, starter: str
) -> None:
    put(handed_in / "Ana" / worked_on, OLD, MONDAY)
    put(handed_in / "Ana" / other, starter, FRIDAY)
    ana = read()["Ana"]
    assert text(ana) == OLD
    assert ana.notes == (
        f"slow_reader: Ana/{worked_on} (2024-05-06 09:30) counts, not Ana/{other} (untouched).",
    )


def test_an_untouched_starter_alone_is_what_was_handed_in(handed_in: Path, read: Read) -> None:
    put(handed_in / "Ana" / "slow_reader.py", STARTER)
    assert text(read()["Ana"]) == STARTER


def test_the_workbooks_own_solution_never_counts_for_an_exercise(
    handed_in: Path, read: Read
) -> None:
    put(handed_in / "Ana/exercises/03_websocket/slow_reader.py", STARTER, MONDAY)
    put(handed_in / "Ana/solutions/03_websocket/slow_reader.py", NEW, FRIDAY)
    ana = read()["Ana"]
    assert (text(ana), ana.notes) == (STARTER, ())


def test_copies_with_the_same_lines_need_no_note(handed_in: Path, read: Read) -> None:
    put(handed_in / "Ana" / "slow_reader.py", NEW, MONDAY)
    put(handed_in / "Ana" / "slow_reader (1).py", NEW.replace("\n", "\r\n"), FRIDAY)
    assert read()["Ana"].notes == ()


def test_of_copies_of_one_time_the_one_in_its_place_counts(handed_in: Path, read: Read) -> None:
    """As in a clone, where all files are as old as the clone."""
    others = ["exercises/03_websocket/slow_reader_v2.py", "a/b/c/slow_reader.py", "slow_reader.py"]
    for seconds, name in enumerate(others):
        put(handed_in / "Ana" / name, OLD, MONDAY + timedelta(seconds=seconds))
    put(handed_in / "Ana/exercises/03_websocket/slow_reader.py", NEW)
    assert text(read()["Ana"]) == NEW


def test_a_folder_and_a_zip_of_one_name_are_one_students(handed_in: Path, read: Read) -> None:
    put(handed_in / "Ana/slow_reader.py", OLD, MONDAY)
    put(handed_in / "Ana.zip", zipped({"slow_reader.py": NEW, "rooms.py": NEW}, FRIDAY))
    put(handed_in / "Ben/rooms.py")
    found = read()
    assert list(found) == ["Ana", "Ben"]
    assert text(found["Ana"]) == NEW
    assert found["Ana"].notes[0] == "Ana and Ana.zip are taken for one student's."


@pytest.mark.parametrize("again", ["Ana (1).zip", "Ana - Copy.zip", "Ana(2).zip"])
@pytest.mark.parametrize("times_kept", [True, False])
def test_of_two_zips_of_one_student_the_newer_counts(
    handed_in: Path, read: Read, again: str, times_kept: bool
) -> None:
    inside = {"slow_reader.py": NEW}
    put(handed_in / again, zipped(inside, FRIDAY if times_kept else MONDAY), FRIDAY)
    put(handed_in / "Ana.zip", zipped({"x/03_websocket/slow_reader.py": OLD}, MONDAY), MONDAY)
    found = read()
    assert list(found) == ["Ana"]
    assert text(found["Ana"]) == NEW
    assert f"{again}" in " ".join(found["Ana"].notes)


def test_numbered_folders_stay_two_students(handed_in: Path, read: Read) -> None:
    lay_out(handed_in, {"王伟/rooms.py": "a", "王伟 (2)/rooms.py": "b"})
    assert len(read()) == 2


@pytest.mark.parametrize("packed", [False, True])
def test_of_canvas_uploads_of_one_time_the_last_counts(
    handed_in: Path, read: Read, packed: bool
) -> None:
    for number, name, content in [("1890", "work-1", NEW), ("990", "work", OLD)]:
        if packed:
            put(handed_in / f"ana_12_{number}_{name}.zip", zipped({"slow_reader.py": content}))
        else:
            name = name.replace("work", "slow_reader")
            put(handed_in / f"ana_12_{number}_{name}.py", content)
    put(handed_in / "ben_13_991_rooms.py")
    assert text(read()["ana_12"]) == NEW


# ── What cannot be read ──────────────────────────────────────────────────────────────────────


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
    "a 7z in a folder": ({"Ana/work.7z": b"7z"}, "Ana/work.7z is neither a folder nor a zip"),
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


# ── Hostile ──────────────────────────────────────────────────────────────────────────────────


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
    put(handed_in / "Ben/work.zip", zipped({"x.zip": zipped({name: "a"})}))
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
