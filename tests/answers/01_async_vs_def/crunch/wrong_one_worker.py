# Wrong: any process pool will do, however small. Fails: test_two_counts_keep_two_cores_busy. Hint: 2.
"""Primes for everybody."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, ProcessPoolExecutor]]:
    with ProcessPoolExecutor(1) as pool:
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
    loop = asyncio.get_running_loop()
    primes = await loop.run_in_executor(request.state.pool, count_primes, limit)
    return {"limit": limit, "primes": primes}


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
