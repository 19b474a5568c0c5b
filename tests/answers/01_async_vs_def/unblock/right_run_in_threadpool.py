# Right: the handler stays async and hands the work to Starlette's thread pool
"""Reports for everybody."""

import time

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

app = FastAPI()


def make_report(year: int) -> dict[str, int]:
    """A library's: slow, synchronous, and not ours to change."""
    time.sleep(0.4)
    return {"year": year, "pages": year % 100 // 2}


@app.get("/reports/{year}")
async def get_report(year: int) -> dict[str, int]:
    return await run_in_threadpool(make_report, year)


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
