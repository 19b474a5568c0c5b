# Right: a queue and one worker, started in lifespan; ids are UUIDs, the address is whole
"""Reports on parcels."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

from fastapi import FastAPI, HTTPException, Request, Response

COUNT_SECONDS = float(os.getenv("COUNT_SECONDS", "0.3"))
CITIES = ("anxi", "hangzhou", "kunming", "suzhou", "wuyi")


async def count_parcels(city: str) -> int:
    """Pretend to walk through a city's warehouse."""
    await asyncio.sleep(COUNT_SECONDS)
    if city not in CITIES:
        raise LookupError(f"there is no warehouse in {city}")
    return len(city) * 100


notes: dict[UUID, dict[str, Any]] = {}
orders: asyncio.Queue[tuple[UUID, list[str]]] = asyncio.Queue()


async def work() -> None:
    while True:
        key, cities = await orders.get()
        result: dict[str, int] = {}
        try:
            for city in cities:
                notes[key] = {"status": "running", "progress": round(len(result) / len(cities), 2)}
                result[city] = await count_parcels(city)
            notes[key] = {"status": "done", "result": result}
        except Exception as error:
            notes[key] = {"status": "failed", "error": repr(error)}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    worker = asyncio.create_task(work())
    yield
    worker.cancel()


app = FastAPI(lifespan=lifespan)


@app.post("/reports")
async def order_report(cities: list[str], request: Request) -> Response:
    key = uuid4()
    notes[key] = {"status": "pending"}
    await orders.put((key, cities))
    address = str(request.url_for("tell_report", key=key))
    return Response(status_code=202, headers={"Location": address})


@app.get("/reports/{key}")
async def tell_report(key: UUID) -> dict[str, Any]:
    try:
        return notes[key]
    except KeyError:
        raise HTTPException(404) from None
