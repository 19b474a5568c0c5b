# Wrong: giving way now and then makes it asynchronous. Fails: test_two_counts_keep_two_cores_busy. Hint: 2.
"""Primes for everybody."""

import asyncio

from fastapi import FastAPI

app = FastAPI()


async def count_primes(limit: int) -> int:
    """Count the primes below the limit."""
    found = 0
    for number in range(2, limit):
        divisor = 2
        if number % 200 == 0:
            await asyncio.sleep(0)
        while divisor * divisor <= number and number % divisor:
            divisor += 1
        found += divisor * divisor > number
    return found


@app.get("/primes/{limit}")
async def get_primes(limit: int) -> dict[str, int]:
    primes = await count_primes(limit)
    return {"limit": limit, "primes": primes}


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
