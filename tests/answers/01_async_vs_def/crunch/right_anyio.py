# Right: anyio's worker processes, that read their work from a pipe and end with it
"""Primes for everybody."""

from anyio import to_process
from fastapi import FastAPI

app = FastAPI()


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
    primes = await to_process.run_sync(count_primes, limit)
    return {"limit": limit, "primes": primes}


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
