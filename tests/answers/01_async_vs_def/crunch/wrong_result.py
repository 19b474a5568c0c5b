# Wrong: the work is elsewhere, so waiting for it costs nothing. Fails: test_ping_stays_quick. Hint: 1.
"""Primes for everybody."""

import multiprocessing
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, ProcessPoolExecutor]]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield {"pool": pool}


app = FastAPI(lifespan=lifespan)


def count_primes(limit: int) -> int:
    """Count the primes below the limit."""
    found = 0
    for number in range(2, limit):
        divisor = 2
        while divisor * divisor <= number and number % divisor:
            divisor += 1
        found += divisor * divisor > number
    return found


@app.get("/primes/{limit}")
async def get_primes(limit: int, request: Request) -> dict[str, int]:
    primes = request.state.pool.submit(count_primes, limit).result()
    return {"limit": limit, "primes": primes}


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
