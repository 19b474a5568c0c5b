# Right: a plain def handler and threads, waited for together
"""Prices of all suppliers."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor, wait

import httpx
from fastapi import FastAPI

SUPPLIERS_URL = os.getenv("SUPPLIERS_URL", "http://127.0.0.1:8000")
TIMEOUT = float(os.getenv("TIMEOUT", "1"))
SUPPLIERS = ("anxi", "hangzhou", "wuyi")

pool = ThreadPoolExecutor(60)
client = httpx.Client(base_url=SUPPLIERS_URL, timeout=TIMEOUT)
app = FastAPI()


def ask(supplier: str, tea: str) -> float:
    answer = client.get(f"/suppliers/{supplier}/{tea}")
    return float(answer.raise_for_status().json()["price"])


@app.get("/prices/{tea}")
def get_prices(tea: str) -> dict[str, float | None]:
    jobs = {supplier: pool.submit(ask, supplier, tea) for supplier in SUPPLIERS}
    done, _ = wait(jobs.values(), timeout=TIMEOUT)
    return {
        supplier: job.result() if job in done and not job.exception() else None
        for supplier, job in jobs.items()
    }


@app.get("/suppliers/{supplier}/{tea}")
async def sell(supplier: str, tea: str) -> dict[str, float]:
    """Stands in for the suppliers' own servers, to try this file alone."""
    await asyncio.sleep(0.4)
    return {"price": len(supplier) + len(tea) / 2}
