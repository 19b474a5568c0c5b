# Right: an executor of one's own, big enough, in the app's state
"""Reports for everybody."""

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, ThreadPoolExecutor]]:
    with ThreadPoolExecutor(20) as pool:
        yield {"pool": pool}


app = FastAPI(lifespan=lifespan)


def make_report(year: int) -> dict[str, int]:
    """A library's: slow, synchronous, and not ours to change."""
    time.sleep(0.4)
    return {"year": year, "pages": year % 100 // 2}


@app.get("/reports/{year}")
async def get_report(year: int, request: Request) -> dict[str, int]:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(request.state.pool, make_report, year)


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
