# Right: a module's pool, that lifespan shuts down
"""Primes for everybody."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager

from fastapi import FastAPI

pool = ProcessPoolExecutor(3)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    pool.shutdown(cancel_futures=True)


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
async def get_primes(limit: int) -> dict[str, int]:
    primes = await asyncio.wrap_future(pool.submit(count_primes, limit))
    return {"limit": limit, "primes": primes}


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
