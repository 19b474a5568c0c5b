"""Submissions as platforms and people lay them out, and how they are named."""

import os
import sys
from pathlib import Path

import pytest

from handed_in import BOTH, FRIDAY, NESTED, ROOMS, SLOW, Files, Read, lay_out, put, text, zipped
from workbook.archives import Unreadable
from workbook.exercises import EXERCISES
from workbook.submissions import read_submissions

# ── As platforms and people lay it out ───────────────────────────────────────────────────────


LAYOUTS: dict[str, tuple[Files, dict[str, set[str]]]] = {
    "a folder for each": (
        {"Ana/slow_reader.py": "a", "王小明/03_websocket/rooms.py": "b", "names.csv": "Ana"},
        {"Ana": {SLOW}, "王小明": {ROOMS}},
    ),
    "a zip for each": (
        {"Wang Xiaoming.zip": zipped(BOTH), "李雷.ZIP": zipped(NESTED)},
        {"Wang Xiaoming": {SLOW, ROOMS}, "李雷": {SLOW, ROOMS}},
    ),
    "a zip in a folder": ({"Ana/home/all.zip": zipped(NESTED)}, {"Ana": {SLOW, ROOMS}}),
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
    data = zipped({"Ana/home/slow_reader.py": "a"}).replace(b"Ana/home/", b"Ana\\home\\")
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
