"""The `workbook` command, as it is typed."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from workbook import SECTIONS
from workbook.launch import FORK

WORKBOOK = [sys.executable, "-m", "workbook"]


@pytest.fixture(autouse=True)
def as_readers_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FORK)


def workbook(*arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "120"}
    return subprocess.run(
        [*WORKBOOK, *arguments], capture_output=True, encoding="utf-8", env=env, timeout=60
    )


def hear_sigint() -> None:  # a shell that starts the tests in the background ignores it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def running(
    *arguments: str, until: str, end: signal.Signals, **env: str
) -> Iterator[tuple[str, list[str]]]:
    """Run the command until its output matches, and end it by a signal to its process group."""
    process = subprocess.Popen(
        [*WORKBOOK, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1", **env},
        start_new_session=True,
        preexec_fn=hear_sigint if os.name == "posix" else None,
    )
    assert process.stdout is not None
    log: list[str] = []
    try:
        while not (found := re.search(until, "".join(log))):
            line = process.stdout.readline()
            assert line, "".join(log)
            log.append(line)
        yield found[0], log
    finally:
        if os.name == "posix":
            os.killpg(process.pid, end)
        else:
            process.terminate()
        log += process.communicate(timeout=30)[0].splitlines(keepends=True)


def test_alone_it_lists_the_sections() -> None:
    listed = workbook()
    assert listed.returncode == 0
    for section in SECTIONS:
        assert section.stem in listed.stdout
        assert section.question in listed.stdout


def test_task_says_what_is_wrong_and_what_to_reach() -> None:
    shown = workbook("task", "slow_reader")
    assert shown.returncode == 0
    assert "the whole room falls silent" in shown.stdout
    assert "• A stalled member does not make the app's memory grow" in shown.stdout
    assert "Check it: workbook check slow_reader" in shown.stdout


def test_run_starts_an_app_shows_the_line_and_ends_with_ctrl_c() -> None:
    command = ["run", "01", "--port", "0", "--no-browser"]
    with running(*command, until=r"http://\S+(?=\n)", end=signal.SIGINT) as (url, log):
        assert httpx.get(f"{url}/ping", trust_env=False).status_code == 200
    assert "$ uvicorn examples.01_async_vs_def:app --port" in "".join(log)
    assert "GET /ping" in "".join(log)
    assert "Traceback" not in "".join(log)


def test_run_says_what_to_do_when_the_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = workbook("run", "05", "--port", str(port), "--no-browser")
    assert refused.returncode == 2
    assert refused.stderr == f"Port {port} is taken: add --port 0, which takes a free one.\n"


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["run", "wesocket"], "03_websocket"),
        (["run", "0"], "01_async_vs_def"),
        (["rum"], "run"),
        (["task", "03"], "slow_reader"),
        (["--lang", "fr"], "zh"),
    ],
)
def test_a_wrong_word_gets_advice_and_exit_code_2(arguments: list[str], advice: str) -> None:
    refused = workbook(*arguments)
    assert refused.returncode == 2
    assert advice in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(("language", "folder"), [("en", "notebooks"), ("zh", "notebooks/zh")])
def test_lab_opens_on_the_notebooks_and_prints_its_address(
    language: str, folder: str, tmp_path: Path
) -> None:
    """As root, too: where the tests run as root, this is."""
    env = {name: str(tmp_path / name) for name in ("HOME", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    # jsonschema does without this one, which takes seconds to compile a grammar.
    (tmp_path / "rfc3987_syntax.py").write_text("raise ImportError")
    env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    command = ["--lang", language, "lab", "--no-browser", "--port", "0"]
    until = r"http://127\S+token=\w+"
    with running(*command, until=until, end=signal.SIGTERM, **env) as (address, _log):
        first, _, token = address.partition("?token=")
        assert first.endswith(f"/{folder}/00_start_here.ipynb")
        patient = httpx.HTTPTransport(retries=5)  # it prints the address before it listens
        with httpx.Client(transport=patient, timeout=20) as client:
            listing = client.get(
                re.sub(r"/lab.*", f"/api/contents/{folder}/01_async_vs_def.ipynb", address),
                params={"token": token, "content": 0},
            )
    assert listing.raise_for_status().json()["type"] == "notebook"
