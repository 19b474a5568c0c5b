# Right: asyncio tasks at a semaphore of one, statuses as an enum
"""Reports on parcels."""

import asyncio
import itertools
import os
from dataclasses import dataclass, field
from enum import StrEnum

from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse

COUNT_SECONDS = float(os.getenv("COUNT_SECONDS", "0.3"))
CITIES = ("anxi", "hangzhou", "kunming", "suzhou", "wuyi")

app = FastAPI()


async def count_parcels(city: str) -> int:
    """Pretend to walk through a city's warehouse."""
    await asyncio.sleep(COUNT_SECONDS)
    if city not in CITIES:
        raise LookupError(f"there is no warehouse in {city}")
    return len(city) * 100


class Status(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass
class Job:
    cities: list[str]
    id: int = field(default_factory=itertools.count(1).__next__)
    status: Status = Status.PENDING
    progress: float | None = None
    result: dict[str, int] | None = None
    error: str | None = None


jobs: dict[int, Job] = {}
running: set[asyncio.Task[None]] = set()
places = asyncio.Semaphore(1)


async def run(job: Job) -> None:
    async with places:
        job.status, job.progress = Status.RUNNING, 0
        result = {}
        try:
            for city in job.cities:
                result[city] = await count_parcels(city)
                job.progress += 1 / len(job.cities)
        except LookupError as error:
            job.status, job.error = Status.FAILED, error.args[0]
        else:
            job.status, job.progress, job.result = Status.DONE, None, result


@app.post("/reports")
async def order_report(cities: list[str]) -> JSONResponse:
    job = Job(cities)
    jobs[job.id] = job
    task = asyncio.create_task(run(job))
    running.add(task)
    task.add_done_callback(running.discard)
    return JSONResponse({}, 202, headers={"Location": f"/jobs/{job.id}"})


@app.get("/jobs/{id}")
async def get_job(id: int) -> Job:
    if job := jobs.get(id):
        return job
    raise HTTPException(404)
