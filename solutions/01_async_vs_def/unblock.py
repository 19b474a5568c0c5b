"""Everybody waits while one report is made.

Ask for ten reports at once: the tenth comes after ten times as long as the first. Meanwhile
`/ping`, which does nothing, waits too.

Goal: ten reports at once take about as long as one, and `/ping` answers at once meanwhile.
`make_report` comes from a library and stays as it is; the routes and answers stay, too:
`GET /reports/{year}` gives `{"year": 2024, "pages": 12}`, `GET /ping` gives `{"ping": "pong"}`.

Check it: workbook check unblock
"""

import time

from fastapi import FastAPI

app = FastAPI()


def make_report(year: int) -> dict[str, int]:
    """A library's: slow, synchronous, and not ours to change."""
    time.sleep(0.4)
    return {"year": year, "pages": year % 100 // 2}


@app.get("/reports/{year}")
def get_report(year: int) -> dict[str, int]:  # FastAPI runs a `def` handler in a thread
    return make_report(year)


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
