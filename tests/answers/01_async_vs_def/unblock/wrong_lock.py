# Wrong: a lock keeps the loop free for others. Fails: test_ping_never_waits. Hint: 1.
"""Reports for everybody."""

import asyncio
import time

from fastapi import FastAPI

app = FastAPI()
lock = asyncio.Lock()


def make_report(year: int) -> dict[str, int]:
    """A library's: slow, synchronous, and not ours to change."""
    time.sleep(0.4)
    return {"year": year, "pages": year % 100 // 2}


@app.get("/reports/{year}")
async def get_report(year: int) -> dict[str, int]:
    async with lock:
        return make_report(year)


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
