"""Answers that do not start, hang, flood or stay: a sentence for each, and the others go on."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from conftest import assert_gone, read_processes
from waiting import until
from workbook import runner
from workbook.checking import START_SECONDS
from workbook.exercises import find_exercises
from workbook.launch import Process, launch
from workbook.runner import Report, run, run_all, watch_over
from workbook.server import STOP_SECONDS

(QUICK,) = find_exercises("no_globals")  # its checks wait for little
(UNBLOCK,) = find_exercises("unblock")  # none of its checks stops the answer
RIGHT = UNBLOCK.solution.read_text(encoding="utf-8")
ODD = {
    "exits 0 at import": ("import os; os._exit(0)\n", "did not start (exit code 0)"),
    "raises at import": ("import nowhere\n" + RIGHT, "No module named 'nowhere'"),
    "is no Python": ("x = 1\ndef (\n", '(exit code 1):\n\n  File "answer.py", line 2\n    def (\n'),
    "hangs at import": ("while True: pass\n", "printed nothing. An endless loop?"),
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


def test_an_answers_own_traceback_is_shown_from_where_it_enters_the_answer(tmp_path: Path) -> None:
    fails = "\n\ndef look_up(year):\n    return {}[year]\n\n\nmake_report = look_up\n"
    outcome = check(tmp_path, RIGHT + fails).outcomes[0]
    assert not outcome.passed
    _, said, own = outcome.advice.partition("Your app's own traceback:")
    assert said, outcome.advice
    assert "in get_report" in own
    assert "    return {}[year]\n" in own
    assert "KeyError: 20" in own
    assert "site-packages" not in own


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
    assert seconds < len(UNBLOCK.titles) * STOP_SECONDS  # as one for each check would take


def test_an_answer_that_never_starts_costs_one_deadline(tmp_path: Path) -> None:
    started = time.monotonic()
    report = check(tmp_path, "import time; time.sleep(600)\n")
    seconds = time.monotonic() - started
    assert [outcome.passed for outcome in report.outcomes] == [False] * len(UNBLOCK.titles)
    assert "did not start in 10 s" in report.outcomes[0].advice
    assert seconds < len(UNBLOCK.titles) * START_SECONDS  # as one for each check would take


def test_an_answer_that_kills_who_started_it_passes_nothing_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    pids = tmp_path / "pids"
    report = check(
        tmp_path,
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"with open({str(pids)!r}, 'a') as file:\n"
        "    print(os.getpid(), child.pid, os.getppid(), file=file)\n"
        "os.kill(os.getppid(), 9)\n" + RIGHT,
    )
    assert not report.solved
    assert_gone(read_processes(pids))


def test_a_check_that_is_broken_off_leaves_neither_process_nor_timer(tmp_path: Path) -> None:
    (tmp_path / "answer.py").write_text("import time; time.sleep(600)")
    processes = []

    def break_off(process: Process) -> None:
        processes.append(psutil.Process(process.pid))
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        watch_over(UNBLOCK, tmp_path / "answer.py", (), break_off)
    assert time.monotonic() < started + 8
    assert_gone(processes)
    until(lambda: not any(isinstance(each, threading.Timer) for each in threading.enumerate()))


def test_a_check_that_starts_while_all_are_ended_is_ended_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "answer.py").write_text("import time; time.sleep(600)")

    def launch_late(command: list[str], *rest: Any) -> Process:
        if command[0] == QUICK.id:
            raise OSError("no process to be had")
        time.sleep(1)
        return launch(command, *rest)

    monkeypatch.setattr(runner, "launch", launch_late)
    started = time.monotonic()
    with pytest.raises(OSError, match="no process to be had"):
        run_all([(QUICK, None), (UNBLOCK, tmp_path / "answer.py")])
    assert time.monotonic() < started + 8
