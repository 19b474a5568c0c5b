"""`workbook check`, `hint` and `watch`, as they are typed, and what they remember."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from conftest import assert_gone, read_processes
from waiting import until
from workbook import ROOT
from workbook.exercises import EXERCISES, find_exercises

(QUICK,) = find_exercises("no_globals")  # its checks wait for little


def workbook(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workbook", *arguments],
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "100", "HOME": str(home)},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


def test_the_command_tells_solved_from_unsolved_by_its_exit_code(tmp_path: Path) -> None:
    passed = workbook("check", QUICK.name, "--answer", str(QUICK.solution), home=tmp_path)
    assert (passed.returncode, passed.stderr) == (0, "")
    assert f"✓ {QUICK.id}" in passed.stdout
    failed = workbook("check", QUICK.name, "--answer", str(QUICK.file), home=tmp_path)
    assert failed.returncode == 1
    assert "expected:" in failed.stdout
    assert "hint" in failed.stdout
    assert "Traceback" not in failed.stdout + failed.stderr


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["check", "one_cleint"], "06_lifespan/one_client"),
        (["check", "c"], "Did you mean"),
        (["hint", "06"], "clean_up"),
        (["hint", "unblock", "99"], "hints 1 to"),
        (["check", "06", "--answer", "nowhere.py"], "--answer"),
    ],
)
def test_a_wrong_word_gets_advice_and_exit_code_2(
    arguments: list[str], advice: str, tmp_path: Path
) -> None:
    refused = workbook(*arguments, home=tmp_path)
    assert refused.returncode == 2
    assert advice in refused.stderr


@pytest.mark.parametrize(
    "name", ["one_client", "06/one", "exercises/06_lifespan/one_client.py", "One-Client"]
)
def test_names_may_be_abbreviated(name: str) -> None:
    assert [e.id for e in find_exercises(name)] == ["06_lifespan/one_client"]


def test_a_section_stands_for_its_three() -> None:
    assert len(find_exercises("06")) == len(find_exercises("lifespan")) == 3


def test_pytest_alone_gives_the_same_advice(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            QUICK.checks.relative_to(ROOT),
            "--answer",
            QUICK.file,
        ],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 1
    assert "expected:" in done.stdout
    assert "Hint" in done.stdout
    assert "checking.py" not in done.stdout


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the workbook, for checking writes down progress, and `workbook` there means it."""
    for folder in ("notebooks/workbook", "exercises"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "notebooks"))
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")
    return tmp_path


@pytest.fixture
def copy(copied: Path) -> Callable[..., str]:
    """The command, run in the copy."""

    def copy(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "workbook", *arguments],
            cwd=copied,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        ).stdout

    return copy


def test_hints_come_one_at_a_time_and_solved_is_remembered_until_the_file_changes(
    copied: Path, copy: Callable[..., str]
) -> None:
    shown = [copy("hint", QUICK.name) for _ in range(2)]
    assert "hint 1 of" in shown[0]
    assert "hint 2 of" in shown[1]
    mine = copied / QUICK.file.relative_to(ROOT)
    right = QUICK.solution.read_text(encoding="utf-8")
    mine.write_text(right, encoding="utf-8")
    assert f"· {QUICK.name}" in copy()
    copy("check", QUICK.name)
    assert f"✓ {QUICK.name}" in copy()
    mine.write_text(right + "\n", encoding="utf-8")
    assert f"· {QUICK.name}" in copy()
    assert set(json.loads((copied / ".workbook" / "progress.json").read_text())) == {
        "solved",
        "hints",
    }


def test_what_was_saved_while_it_was_checked_is_not_solved(
    copied: Path, copy: Callable[..., str]
) -> None:
    mine = copied / QUICK.file.relative_to(ROOT)
    save = "with open(__file__, 'a') as file:\n    file.write('# saved meanwhile\\n')\n"
    checked = QUICK.solution.read_text(encoding="utf-8") + save
    mine.write_text(checked, encoding="utf-8")
    assert f"✓ {QUICK.id}" in copy("check", QUICK.name)
    assert "# saved meanwhile" in mine.read_text(encoding="utf-8").splitlines()
    assert f"· {QUICK.name}" in copy()
    mine.write_text(checked, encoding="utf-8")  # which only some of the checks have seen
    assert f"· {QUICK.name}" in copy()


# ── Ctrl-C ───────────────────────────────────────────────────────────────────────────────────


HANG = """
import os, time
with open({pids!r}, "a") as file:
    print(os.getpid(), file=file)
time.sleep(600)
"""
NOTEBOOK = """
import time
from workbook.results import check
try:
    for section in ("01", "06"):
        check(section)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    time.sleep(600)
"""


def interrupt(copied: Path, *python: str) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """Have answers checked that hang, interrupt this, and tell what ran then."""
    pids = copied / "pids"
    for exercise in EXERCISES:
        answer = copied / exercise.file.relative_to(ROOT)
        answer.write_text(HANG.format(pids=str(pids)), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, *python],
        cwd=copied,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        until(lambda: pids.exists() and len(pids.read_text().split()) > 1)
        hanging = {each.pid for each in read_processes(pids)}  # and meanwhile one more may come
        running = psutil.Process(process.pid).children(recursive=True)
        assert hanging <= {each.pid for each in running}
        os.killpg(process.pid, signal.SIGINT)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return process, running


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_check_ends_at_once_with_ctrl_c(copied: Path) -> None:
    process, running = interrupt(copied, "-m", "workbook", "check")
    try:
        printed, _ = process.communicate(timeout=5)  # each check would wait 10 s for its answer
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, printed.strip()) == (130, "stopped")
    assert_gone(running)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to a process group, as Jupyter does")
def test_an_interrupted_cell_leaves_no_check_running(copied: Path) -> None:
    process, running = interrupt(copied, "-c", NOTEBOOK)
    started = time.monotonic()
    with process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "interrupted\n"
            assert time.monotonic() < started + 5
            [forks_them] = psutil.Process(process.pid).children()  # and waits for the next cell
            assert_gone([each for each in running if each != forks_them])
        finally:
            process.kill()
    assert_gone(running)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_watch_checks_what_is_saved_and_ends_with_ctrl_c(copied: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "workbook", "watch", QUICK.name],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        cwd=copied,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    mine = copied / QUICK.file.relative_to(ROOT)
    printed = ""

    def prints(wanted: str) -> bool:
        nonlocal printed
        printed += (process.stdout.read() or b"").decode() if process.stdout else ""
        return wanted in printed

    try:
        until(lambda: prints("watching no_globals"))
        for answer, verdict in [(QUICK.file, "expected:"), (QUICK.solution, "✓ 06_lifespan")]:
            for _again in range(6):  # it says so before it begins to watch
                shutil.copy(answer, mine)
                with contextlib.suppress(AssertionError):
                    until(partial(prints, verdict), 10)
                    break
            assert prints(verdict), printed
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 0
        assert prints("stopped")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert "Traceback" not in printed
