# Right: asyncio.to_thread
"""Reports for everybody."""

import asyncio
import time

from fastapi import FastAPI

app = FastAPI()


def make_report(year: int) -> dict[str, int]:
    """A library's: slow, synchronous, and not ours to change."""
    time.sleep(0.4)
    return {"year": year, "pages": year % 100 // 2}


@app.get("/reports/{year}")
async def get_report(year: int) -> dict[str, int]:
    return await asyncio.to_thread(make_report, year)


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
