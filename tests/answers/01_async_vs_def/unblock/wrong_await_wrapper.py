# Wrong: an `async def` wrapper makes a blocking call asynchronous. Fails: test_ten_reports_take_about_as_long_as_one. Hint: 2.
"""Reports for everybody."""

import time

from fastapi import FastAPI

app = FastAPI()


def make_report(year: int) -> dict[str, int]:
    """A library's: slow, synchronous, and not ours to change."""
    time.sleep(0.4)
    return {"year": year, "pages": year % 100 // 2}


@app.get("/reports/{year}")
async def get_report(year: int) -> dict[str, int]:
    return await make_report_async(year)


async def make_report_async(year: int) -> dict[str, int]:
    return make_report(year)


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
