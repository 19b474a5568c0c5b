"""Answers that do not start, hang, flood or stay: a sentence for each, and the others go on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from waiting import until
from workbook import ROOT
from workbook.exercises import find_exercises
from workbook.runner import Report, run
from workbook.server import STOP_SECONDS

(QUICK,) = find_exercises("no_globals")  # its checks wait for little
(UNBLOCK,) = find_exercises("unblock")  # none of its checks stops the answer
RIGHT = UNBLOCK.solution.read_text(encoding="utf-8")

ODD = {
    "exits 0 at import": ("import os; os._exit(0)\n", "did not start (exit code 0)"),
    "raises at import": ("import nowhere\n" + RIGHT, "No module named 'nowhere'"),
    "is empty": ("", 'Attribute "app" not found'),
    "floods its log": (
        RIGHT + "\nprint(('x' * 99 + '\\n') * 50_000)\n",
        "it floods its log",
    ),
    "leaves a process": (
        RIGHT + "\nimport subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n",
        "it left a process running",
    ),
}


def check(folder: Path, text: str) -> Report:
    answer = folder / "answer.py"
    answer.write_text(text, encoding="utf-8")
    return run(UNBLOCK, answer)


@pytest.mark.skipif(os.name != "posix", reason="some of these need POSIX signals")
@pytest.mark.parametrize("kind", ODD)
def test_an_odd_answer_is_told_in_a_sentence(tmp_path: Path, kind: str) -> None:
    text, sentence = ODD[kind]
    report = check(tmp_path, text)
    assert not report.solved
    assert len(report.outcomes) == len(UNBLOCK.titles)
    told = [outcome.advice for outcome in report.outcomes if not outcome.passed]
    assert all(sentence in advice for advice in told), told
    assert "workbook/checking.py" not in "".join(told)  # our own frames are no advice


@pytest.mark.skipif(os.name != "posix", reason="ignores a POSIX signal")
def test_an_answer_that_ignores_its_stop_costs_one_deadline(tmp_path: Path) -> None:
    started = time.monotonic()
    report = check(
        tmp_path,
        RIGHT + "\nimport signal\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "signal.signal = lambda *_: None\n",  # so that uvicorn cannot listen to it
    )
    seconds = time.monotonic() - started
    assert [outcome.passed for outcome in report.outcomes] == [False] * len(UNBLOCK.titles)
    assert all("had to be killed" in outcome.advice for outcome in report.outcomes)
    assert seconds < 2 * STOP_SECONDS


def test_an_answer_that_never_starts_costs_one_deadline(tmp_path: Path) -> None:
    started = time.monotonic()
    report = check(tmp_path, "import time; time.sleep(600)\n")
    seconds = time.monotonic() - started
    assert [outcome.passed for outcome in report.outcomes] == [False] * len(UNBLOCK.titles)
    assert "did not start in 10 s" in report.outcomes[0].advice
    assert seconds < 2 * 10  # not one deadline for each check


def test_an_answer_that_kills_who_started_it_passes_nothing_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    report = check(tmp_path, "import os; os.kill(os.getppid(), 9)\n" + RIGHT)
    assert not report.solved
    left = [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(p.info["cmdline"])]
    assert not left


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


def test_hints_come_one_at_a_time_and_solved_is_remembered_until_the_file_changes(
    copied: Path,
) -> None:
    def copy(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "workbook", *arguments],
            cwd=copied,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        ).stdout

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
        until(lambda: prints("watching 1 exercises"))
        for answer, verdict in [(QUICK.file, "expected:"), (QUICK.solution, "✓ 06_lifespan")]:
            saved = 0.0
            while not prints(verdict):
                if time.monotonic() > saved + 10:  # it says so before it begins to watch
                    shutil.copy(answer, mine)
                    saved = time.monotonic()
                time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 0
        assert prints("stopped")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert "Traceback" not in printed
