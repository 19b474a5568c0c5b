"""Of several copies of an answer, the one that counts."""

import zipfile
from datetime import timedelta
from pathlib import Path

import pytest

from handed_in import FRIDAY, MONDAY, NEW, OLD, STARTER, Read, lay_out, member, put, text, zipped

# ── Several copies ───────────────────────────────────────────────────────────────────────────

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
