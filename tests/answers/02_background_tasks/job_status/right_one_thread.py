# Right: an executor of one thread does the work; who has no note yet is pending; ids are tokens of any letters
"""Reports on parcels."""

import asyncio
import os
import secrets
from concurrent.futures import ThreadPoolExecutor

from fastapi import FastAPI, HTTPException, Response

COUNT_SECONDS = float(os.getenv("COUNT_SECONDS", "0.3"))
CITIES = ("anxi", "hangzhou", "kunming", "suzhou", "wuyi")

app = FastAPI()


async def count_parcels(city: str) -> int:
    """Pretend to walk through a city's warehouse."""
    await asyncio.sleep(COUNT_SECONDS)
    if city not in CITIES:
        raise LookupError(f"there is no warehouse in {city}")
    return len(city) * 100


class Report:
    def __init__(self, cities: list[str]) -> None:
        self.cities = cities
        self.counted: dict[str, int] = {}
        self.future = maker.submit(asyncio.run, self.make())

    async def make(self) -> dict[str, int]:
        for city in self.cities:
            self.counted[city] = await count_parcels(city)
        return self.counted

    def tell(self) -> dict[str, object]:
        if self.future.running():
            return {"status": "running", "progress": len(self.counted) / len(self.cities)}
        if not self.future.done():
            return {"status": "pending"}
        if error := self.future.exception():
            return {"status": "failed", "error": str(error)}
        return {"status": "done", "result": self.future.result()}


maker = ThreadPoolExecutor(max_workers=1)
reports: dict[str, Report] = {}


@app.post("/reports", status_code=202)
def order_report(cities: list[str], response: Response) -> dict[str, str]:
    key = secrets.token_urlsafe(6)
    reports[key] = Report(cities)
    response.headers["location"] = f"reports/{key}"
    return {"id": key}


@app.get("/reports/{key}")
def tell_report(key: str) -> dict[str, object]:
    report = reports.get(key)
    if report is None:
        raise HTTPException(status_code=404, detail="unknown")
    return report.tell()
