"""Who waits when one handler blocks? The same slow work, done in every style.

Run it:    fastapi dev examples/01_async_vs_def.py
           uvicorn examples.01_async_vs_def:app --port 8001   (a second copy, for /fetch to call)
Try it:    curl "http://127.0.0.1:8000/sleep/blocking?seconds=3" & curl http://127.0.0.1:8000/ping
Watch for: /ping answers at once, except while a handler blocks the event loop.
"""

import asyncio
import multiprocessing
import os
import signal
import ssl
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from typing import Annotated, Any

import aiofiles
import httpx
from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse

UPSTREAM_URL = os.getenv("UPSTREAM_URL", "http://127.0.0.1:8001/sleep/async?seconds=0.1")

Seconds = Annotated[float, Query(ge=0, le=5, allow_inf_nan=False)]
Rounds = Annotated[int, Query(ge=1, le=50_000_000)]


def crunch(rounds: int) -> str:
    """Work the CPU in pure Python, which holds the GIL, and name the thread that did it."""
    x = 1
    for _ in range(rounds):
        x = (x * 1_103_515_245 + 12_345) & 0x7FFFFFFF
    return threading.current_thread().name


def start_worker() -> None:
    """Set up a pool process: Ctrl-C is the server's business, and nobody outlives the server."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = multiprocessing.parent_process()
    assert server is not None

    def leave_with_server() -> None:
        server.join()  # returns when the server is gone, even by kill -9
        os._exit(1)

    threading.Thread(target=leave_with_server, daemon=True).start()
    threading.current_thread().name = multiprocessing.current_process().name


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    tls = ssl.create_default_context()  # slow to build, so both clients share one
    # A fork would copy the event loop's and the pool's locks in whatever state they are: spawn.
    spawn = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(2, mp_context=spawn, initializer=start_worker) as processes,
        httpx.Client(verify=tls) as sync_client,
    ):
        for _ in range(2):
            processes.submit(crunch, 1)  # a process takes a second to start: begin now
        async with httpx.AsyncClient(verify=tls) as async_client:
            yield {"processes": processes, "sync_client": sync_client, "async_client": async_client}
        for worker in multiprocessing.active_children():
            worker.terminate()  # all requests are answered; don't wait for one that still starts


app = FastAPI(title="01 async vs def", lifespan=lifespan)


def report(style: str, started: float, thread: str | None = None) -> JSONResponse:
    """Answer directly: to check a response model, FastAPI queues a `def` handler's result for
    the thread pool once more, behind all that wait there already."""
    return JSONResponse(
        {
            "style": style,
            "thread": thread or threading.current_thread().name,
            "elapsed": time.perf_counter() - started,  # seconds
        }
    )


@app.exception_handler(httpx.InvalidURL)
@app.exception_handler(httpx.HTTPError)
async def upstream_failed(request: Request, error: Exception) -> JSONResponse:
    detail = f"{UPSTREAM_URL} did not answer ({error!r}): start it, or set UPSTREAM_URL."
    return JSONResponse({"detail": detail}, status_code=502)


@app.get("/", include_in_schema=False)
async def open_docs() -> RedirectResponse:
    return RedirectResponse("/docs")


@app.get("/ping")
async def ping() -> JSONResponse:
    """The heartbeat: late if, and only if, the event loop is busy."""
    return report("ping", time.perf_counter())


# ── Waiting ──────────────────────────────────────────────────────────────────────────────────


@app.get("/sleep/async")
async def sleep_async(seconds: Seconds = 0.1) -> JSONResponse:
    started = time.perf_counter()
    await asyncio.sleep(seconds)  # hands the event loop to the others meanwhile
    return report("async", started)


@app.get("/sleep/def")
def sleep_def(seconds: Seconds = 0.1) -> JSONResponse:
    started = time.perf_counter()
    time.sleep(seconds)  # blocks one of the pool's 40 threads, not the event loop
    return report("def", started)


@app.get("/sleep/blocking")
async def sleep_blocking(seconds: Seconds = 0.1) -> JSONResponse:
    started = time.perf_counter()
    time.sleep(seconds)  # WRONG, on purpose: nobody else is served until it returns
    return report("blocking", started)


# ── Calling another server ───────────────────────────────────────────────────────────────────


@app.get("/fetch/async")
async def fetch_async(request: Request) -> JSONResponse:
    started = time.perf_counter()
    client: httpx.AsyncClient = request.state.async_client
    (await client.get(UPSTREAM_URL)).raise_for_status()
    return report("async", started)


@app.get("/fetch/def")
def fetch_def(request: Request) -> JSONResponse:
    started = time.perf_counter()
    client: httpx.Client = request.state.sync_client
    client.get(UPSTREAM_URL).raise_for_status()
    return report("def", started)


@app.get("/fetch/blocking")
async def fetch_blocking(request: Request) -> JSONResponse:
    started = time.perf_counter()
    client: httpx.Client = request.state.sync_client
    client.get(UPSTREAM_URL).raise_for_status()  # WRONG, on purpose: a sync client on the loop
    return report("blocking", started)


# ── Computing ────────────────────────────────────────────────────────────────────────────────


@app.get("/cpu/async")
async def cpu_async(n: Rounds = 3_000_000) -> JSONResponse:
    started = time.perf_counter()
    crunch(n)  # WRONG, on purpose: nothing in here awaits, so the loop starves
    return report("async", started)


@app.get("/cpu/def")
def cpu_def(n: Rounds = 3_000_000) -> JSONResponse:
    started = time.perf_counter()
    crunch(n)  # the loop lives, but all threads share one GIL: two take twice as long
    return report("def", started)


@app.get("/cpu/process")
async def cpu_process(request: Request, n: Rounds = 3_000_000) -> JSONResponse:
    started = time.perf_counter()
    loop = asyncio.get_running_loop()
    worker = await loop.run_in_executor(request.state.processes, crunch, n)
    return report("process", started, thread=worker)


# ── Reading a file ───────────────────────────────────────────────────────────────────────────


@app.get("/file/async")
async def file_async() -> JSONResponse:
    started = time.perf_counter()
    async with aiofiles.open(__file__, encoding="utf-8") as file:
        await file.read()  # aiofiles hands each call to a thread and awaits it
    return report("async", started)


@app.get("/file/def")
def file_def() -> JSONResponse:
    started = time.perf_counter()
    with open(__file__, encoding="utf-8") as file:
        file.read()
    return report("def", started)
