# Wrong: handing work to a thread needs no await. Fails: test_each_report_is_the_librarys. Hint: 3.
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
    return asyncio.to_thread(make_report, year)  # type: ignore[return-value]


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
