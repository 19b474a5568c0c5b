"""Section 5: a server that is stopped while streams are open, in every way it is run."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import uvicorn

from workbook import ROOT, Server, serve

ENDLESS = """
import asyncio
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

app = FastAPI()

async def beat():
    while True:
        yield "data: tick\\n\\n"
        await asyncio.sleep(0.1)

@app.get("/ticker")
async def ticker():
    return StreamingResponse(beat(), media_type="text/event-stream")
"""


@contextlib.contextmanager
def listening(url: str, *paths: str) -> Iterator[list[Future[str]]]:
    """Streams being read to their end in threads; each future holds what came."""

    def read(path: str, started: threading.Event) -> str:
        text = ""
        with httpx.stream("GET", url + path, trust_env=False, timeout=20) as answer:
            for chunk in answer.iter_text():
                text += chunk
                started.set()
        return text  # an answer that was cut off has raised RemoteProtocolError

    with ThreadPoolExecutor(len(paths)) as pool:
        events = [threading.Event() for _ in paths]
        streams = [pool.submit(read, *each) for each in zip(paths, events, strict=True)]
        for event in events:
            assert event.wait(10)
        yield streams


def stop(server: Server) -> float:
    started = time.monotonic()
    server.stop()
    return time.monotonic() - started


@pytest.mark.claim("5.8")
def test_sigterm_ends_open_streams_whole_and_runs_lifespan_shutdown() -> None:
    """Contract: SIGTERM with streams open: it ends within 2 s, and lifespan shutdown runs."""
    paths = ["/ticker", "/ticker?interval=60", "/events/news?interval=10", "/chat?prompt=hi"]
    server = serve("05_sse", env={"TOKEN_SECONDS": "1"})
    with listening(server.url, *paths * 5) as streams:
        assert stop(server) < 2
        answers = [stream.result(timeout=5) for stream in streams]
    assert all(answer.endswith("\n\n") and "[DONE]" not in answer for answer in answers)
    assert "Application shutdown complete" in server.log()
    assert "Traceback" not in server.log()


@pytest.mark.claim("5.8")
@pytest.mark.skipif(os.name != "posix", reason="sends SIGTERM itself")
def test_without_a_word_from_the_signal_an_endless_stream_holds_the_stop(tmp_path: Path) -> None:
    app = tmp_path / "endless.py"
    app.write_text(ENDLESS)
    ours, naive = serve("05_sse"), serve(app)
    with listening(ours.url, "/ticker") as streams:
        seconds = stop(ours)
        streams[0].result(timeout=5)
    with listening(naive.url, "/ticker") as streams:
        naive.process.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            naive.process.wait(max(1, 4 * seconds))
        naive.process.kill()
        with pytest.raises(httpx.RemoteProtocolError):
            streams[0].result(timeout=5)
    assert "Waiting for application shutdown" not in naive.log()


@pytest.mark.parametrize("options", ["--workers 2", "--reload", "--http h11"])
def test_streams_end_with_the_server_however_it_is_run(options: str) -> None:
    """Contract: SIGTERM with streams open: it ends within 2 s, and lifespan shutdown runs."""
    server = serve("05_sse", *options.split())
    processes = 2 if options == "--workers 2" else 1
    deadline = time.monotonic() + 10
    while server.log().count("Application startup complete") < processes:
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.02)  # these two bind the port before they serve
    with listening(server.url, *["/ticker"] * 8) as streams:
        assert stop(server) < 2
        assert all(stream.result(timeout=5).endswith("\n\n") for stream in streams)
    assert server.log().count("Application shutdown complete") == processes
    assert "Traceback" not in server.log()


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to one process")
def test_ctrl_c_ends_open_streams() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "uvicorn", "examples.05_sse:app", "--port", port]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        log = ""
        try:
            while "Uvicorn running" not in log:
                log += (line := process.stderr.readline())
                assert line, log
            with listening(f"http://127.0.0.1:{port}", "/ticker") as streams:
                process.send_signal(signal.SIGINT)
                process.wait(2)
                assert streams[0].result(timeout=5).endswith("\n\n")
        finally:
            process.kill()
        log += process.stderr.read()
    assert "Application shutdown complete" in log
    assert "Traceback" not in log


@pytest.mark.skipif(os.name != "posix", reason="sends SIGTERM, twice")
def test_a_second_signal_is_no_surprise() -> None:
    server = serve("05_sse")
    with listening(server.url, "/ticker") as streams:
        server.process.terminate()
        server.process.terminate()
        server.process.wait(2)
        assert streams[0].result(timeout=5).endswith("\n\n")
    server.stop()
    assert "Traceback" not in server.log()


def test_clients_that_stop_reading_do_not_hold_the_stop() -> None:
    """Contract: SIGTERM with streams open: it ends within 2 s."""
    server = serve("05_sse", env={"TOKEN_SECONDS": "0", "KEEPALIVE_SECONDS": "0.001"})
    url = httpx.URL(server.url)
    longest = "%E8%AF%8D" * 200
    paths = ["/ticker", f"/events/{longest}?interval=0", f"/chat?prompt={longest * 2}"] * 5
    with contextlib.ExitStack() as stack:
        for path in paths:
            peer = stack.enter_context(socket.socket())
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the least there is
            peer.connect((url.host, url.port or 0))
            peer.sendall(f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
            assert peer.recv(10)
        time.sleep(0.5)  # let the tickers write into the void
        assert stop(server) < 2
    assert "Application shutdown complete" in server.log()
    assert "Traceback" not in server.log()


@pytest.mark.claim("5.6")
def test_a_client_goes_on_with_the_server_that_comes_after() -> None:
    """Contract: a client that comes back with `Last-Event-ID` gets what follows."""
    server = serve("05_sse")
    with listening(server.url, "/events/news?interval=10") as streams:
        server.stop()
        first = streams[0].result(timeout=5)
    with serve("05_sse") as successor:
        headers = {"Last-Event-ID": first.partition("id: ")[2].split("\n")[0]}
        url = f"{successor.url}/events/news?interval=0"
        rest = httpx.get(url, headers=headers, trust_env=False).text
        assert first + rest == httpx.get(url, trust_env=False).text


def test_in_a_thread_of_another_program_streams_run_out_by_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(ROOT / "examples")
    server = uvicorn.Server(uvicorn.Config("05_sse:app", log_config=None))
    before = signal.getsignal(signal.SIGTERM)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = "http://{}:{}".format(*listener.getsockname())
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            with listening(url, "/events/news?interval=0.1") as streams:
                server.should_exit = True
                assert streams[0].result(timeout=5).endswith("data: [DONE]\n\n")
        finally:
            server.should_exit = True
            thread.join(10)
    assert not thread.is_alive()
    assert signal.getsignal(signal.SIGTERM) is before
