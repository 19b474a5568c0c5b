"""While one customer's figures are computed, nobody else is served.

Ask for `/primes/400000` and meanwhile for `/ping`: it waits until the primes are counted. In a
thread they let `/ping` through, but two customers at once wait twice as long as one, though
the computer has more than one core: all of a process's threads share one lock, the GIL.

Goal: `/ping` stays quick while primes are counted; two counts at once keep two cores busy; and
when the app is stopped (Ctrl-C, or SIGTERM) every process that it has started is gone a moment
later. The routes and answers stay: `GET /primes/100` gives `{"limit": 100, "primes": 25}`.
`count_primes` is as good as it gets in plain Python: run it elsewhere, leave it as it is.

Check it: workbook check crunch
"""

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
    primes = count_primes(limit)  # TODO: nobody else is served meanwhile
    return {"limit": limit, "primes": primes}


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}
