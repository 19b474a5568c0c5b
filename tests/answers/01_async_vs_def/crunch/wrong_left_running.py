# Wrong: a pool ends by itself with the app. Fails: test_processes_end_with_the_app. Hint: 3.
"""Primes for everybody."""

import asyncio
from concurrent.futures import ProcessPoolExecutor

from fastapi import FastAPI

app = FastAPI()
pool = ProcessPoolExecutor(2)


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
    loop = asyncio.get_running_loop()
    primes = await loop.run_in_executor(pool, count_primes, limit)
    return {"limit": limit, "primes": primes}


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
