# Wrong: any thread pool will do, however small. Fails: test_ten_reports_take_about_as_long_as_one. Hint: 4.
"""Reports for everybody."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from fastapi import FastAPI

app = FastAPI()
pool = ThreadPoolExecutor(1)


def make_report(year: int) -> dict[str, int]:
    """A library's: slow, synchronous, and not ours to change."""
    time.sleep(0.4)
    return {"year": year, "pages": year % 100 // 2}


@app.get("/reports/{year}")
async def get_report(year: int) -> dict[str, int]:
    return await asyncio.get_running_loop().run_in_executor(pool, make_report, year)


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
