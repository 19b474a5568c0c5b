"""Whoever orders a report waits until it is done, and sees nothing meanwhile.

POST /reports with ["hangzhou", "wuyi", "anxi"] counts the parcels of these cities, one after
another, and answers when the last one is counted. A city that nobody knows makes a 500.

Goal: the order is answered at once, and says where to ask how far the report is.
- POST answers 202 without waiting, with a `Location` header: the report's own address.
- `GET` there answers 200 and JSON with a `status`, one of four:
  `pending`: not begun; `running`, with `progress`, the share of its cities counted so far, from 0
  to 1; `done`, with `result`, which is what POST answers now; `failed`, with `error`, a text that
  has in it what `count_parcels` said.
- Reports are made one at a time, in the order in which they came. A report that fails keeps no
  other from being made, and a report stays `done` or `failed`.
- `GET` of a report that never was answers 404.
- `count_parcels` stays as it is.

Check it: workbook check job_status
"""

import asyncio
import os
from typing import Literal

from fastapi import BackgroundTasks, FastAPI, HTTPException, Response
from pydantic import BaseModel

COUNT_SECONDS = float(os.getenv("COUNT_SECONDS", "0.3"))
CITIES = ("anxi", "hangzhou", "kunming", "suzhou", "wuyi")

app = FastAPI()


async def count_parcels(city: str) -> int:
    """Pretend to walk through a city's warehouse."""
    await asyncio.sleep(COUNT_SECONDS)
    if city not in CITIES:
        raise LookupError(f"there is no warehouse in {city}")
    return len(city) * 100


class Report(BaseModel):
    status: Literal["pending", "running", "done", "failed"] = "pending"
    progress: float = 0
    result: dict[str, int] = {}
    error: str = ""


reports: dict[int, Report] = {}
turn = asyncio.Lock()


async def make_report(report: Report, cities: list[str]) -> None:
    # The client has its answer: whatever happens here, only the report can tell.
    async with turn:
        report.status = "running"
        try:
            for number, city in enumerate(cities, 1):
                report.result[city] = await count_parcels(city)
                report.progress = number / len(cities)
            report.status = "done"
        except Exception as error:
            report.status, report.error = "failed", str(error)


@app.post("/reports", status_code=202)
async def order_report(cities: list[str], tasks: BackgroundTasks, response: Response) -> Report:
    number = len(reports) + 1
    report = reports[number] = Report()
    tasks.add_task(make_report, report, cities)
    response.headers["Location"] = f"/reports/{number}"
    return report


@app.get("/reports/{number}")
async def tell_report(number: int) -> Report:
    if number not in reports:
        raise HTTPException(404, "there is no such report")
    return reports[number]
