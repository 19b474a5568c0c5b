"""`workbook.serve`: how a server is told to stop, and what must be said and done for that."""

import os
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from waiting import until
from workbook import Server, ServerError, launch, serve

# All that happens is start and stop; what a stop does is up to the test.
APP = """
import asyncio, subprocess, time

async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    %s
    await send({"type": "lifespan.shutdown.complete"})
"""
SLOW = APP % 'await asyncio.sleep(1.5); print("released")'
STUCK = APP % "print('pid', subprocess.Popen(['sleep', '60']).pid); time.sleep(60)"


@pytest.fixture
def start(tmp_path: Path) -> Callable[[str], Server]:
    def start(code: str) -> Server:
        (tmp_path / "one.py").write_text(code)
        return serve(tmp_path / "one.py")

    return start


def is_running(pid: int) -> bool:
    try:
        return not launch.has_ended(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def test_a_stop_takes_the_time_it_needs(start: Callable[[str], Server]) -> None:
    server = start(SLOW)
    server.stop()
    assert "released" in server.log()


@pytest.mark.skipif(os.name != "posix", reason="needs process groups")
@pytest.mark.parametrize("way", ["started", "forked"])
def test_who_must_be_killed_takes_its_children_along(
    start: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setenv(launch.FORK, "1" if way == "forked" else "")
    server = start(STUCK)
    with pytest.raises(ServerError, match=r"it went on for 0\.7 s"):
        server.stop(0.7)
    found = re.search(r"pid (\d+)", server.log())
    assert found
    until(lambda: not is_running(int(found[1])))


@pytest.mark.parametrize("options", [("--log-level", "warning"), ("--log-level=error",)])
def test_a_log_level_that_hides_the_start_is_refused(options: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="Use info, debug or trace"):
        serve("03_websocket", *options)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("app --workers 2", "2"),
        ("--workers=2 app", "2"),
        ("--workers 2 --workers=3", "3"),
        ("--workers", ""),
        ("--port 2", None),
    ],
)
def test_both_spellings_of_an_option_are_read(words: str, value: str | None) -> None:
    assert launch.option_value(words.split(), "--workers") == value


# ── The process that forks ───────────────────────────────────────────────────────────────────


def test_all_threads_share_one_zygote(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        def __init__(self, box: object) -> None:
            time.sleep(0.1)

        def has_ended(self) -> bool:
            return False

    monkeypatch.setattr(launch, "Zygote", Slow)
    monkeypatch.setattr(launch, "_zygote", None)
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(lambda _: launch.find_zygote(), range(4)))) == 1


@pytest.mark.skipif(os.name != "posix", reason="needs fork")
def test_a_zygote_that_was_killed_is_replaced(start: Callable[[str], Server]) -> None:
    zygote = launch.find_zygote()
    assert zygote._process
    zygote._process.kill()
    zygote._process.wait()
    with start(SLOW.replace("1.5", "0")) as server:
        assert isinstance(server.process, launch.Forked)
