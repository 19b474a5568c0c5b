# Wrong: failed is all a client needs to know. Fails: test_a_failure_is_told. Hint: 4.
"""Reports on parcels."""

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
    async with turn:
        report.status = "running"
        try:
            for number, city in enumerate(cities, 1):
                report.result[city] = await count_parcels(city)
                report.progress = number / len(cities)
            report.status = "done"
        except Exception:
            report.status, report.error = "failed", "internal error"


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
