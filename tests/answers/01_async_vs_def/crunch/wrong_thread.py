# Wrong: a thread is enough for everything slow. Fails: test_two_counts_keep_two_cores_busy. Hint: 2.
"""Primes for everybody."""

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
def get_primes(limit: int) -> dict[str, int]:
    primes = count_primes(limit)
    return {"limit": limit, "primes": primes}


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
