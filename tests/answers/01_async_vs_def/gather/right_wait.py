# Right: asyncio.wait with a timeout, and what is late is cancelled
"""Prices of all suppliers."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request

SUPPLIERS_URL = os.getenv("SUPPLIERS_URL", "http://127.0.0.1:8000")
TIMEOUT = float(os.getenv("TIMEOUT", "1"))
SUPPLIERS = ("anxi", "hangzhou", "wuyi")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    async with httpx.AsyncClient(base_url=SUPPLIERS_URL) as client:
        yield {"client": client}


app = FastAPI(lifespan=lifespan)


async def ask(client: httpx.AsyncClient, supplier: str, tea: str) -> float:
    answer = await client.get(f"/suppliers/{supplier}/{tea}")
    return float(answer.raise_for_status().json()["price"])


@app.get("/prices/{tea}")
async def get_prices(tea: str, request: Request) -> dict[str, float | None]:
    jobs = {
        supplier: asyncio.create_task(ask(request.state.client, supplier, tea))
        for supplier in SUPPLIERS
    }
    done, late = await asyncio.wait(jobs.values(), timeout=TIMEOUT)
    for job in late:
        job.cancel()
    return {
        supplier: job.result() if job in done and not job.exception() else None
        for supplier, job in jobs.items()
    }


@app.get("/suppliers/{supplier}/{tea}")
async def sell(supplier: str, tea: str) -> dict[str, float]:
    """Stands in for the suppliers' own servers, to try this file alone."""
    await asyncio.sleep(0.4)
    return {"price": len(supplier) + len(tea) / 2}
