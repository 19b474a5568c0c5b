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

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, ProcessPoolExecutor]]:
    # A fork would copy the event loop's locks in whatever state they are, so spawn. The `with`
    # ends the processes with the app: a signal's end would leave them waiting for ever.
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
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
