"""One step fails, and what had been opened before it stays open.

At its start the app opens three services, each on top of those before: the database, the cache,
the queue. Try it with FAIL_OPEN=queue in the environment: the start fails, and the database and
the cache are never closed. Or with FAIL_CLOSE=queue, and stop it: the queue refuses to close, and
the other two are forgotten. FAIL_OPEN and FAIL_CLOSE name one service, or several: "queue,cache".

Goal: whatever was opened is closed, whatever fails.
- A service that was opened is closed once, in the reverse order: queue, cache, database.
- One that refuses to close does not keep the next from being closed, and its error is in the log.
- When one can't be opened, those opened before it are closed, and the start fails: the app does
  not run with half of its services.
- `GET /health` tells for each service whether it is open, as before. `Service` stays as it is.

Check it: workbook check clean_up
"""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI, Request

FAIL_OPEN = os.getenv("FAIL_OPEN", "").split(",")
FAIL_CLOSE = os.getenv("FAIL_CLOSE", "").split(",")


class Service:
    """Prints what happens to it, and fails when it is told to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_open = False

    async def open(self) -> None:
        if self.name in FAIL_OPEN:
            raise ConnectionError(f"the {self.name} does not open")
        self.is_open = True
        print(f"opened {self.name}", flush=True)

    async def close(self) -> None:
        print(f"closing {self.name}", flush=True)
        if self.name in FAIL_CLOSE:
            raise ConnectionError(f"the {self.name} does not close")
        self.is_open = False


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, list[Service]]]:
    services = [Service("database"), Service("cache"), Service("queue")]
    # The stack is left however the block ends, and calls each close, whatever another one raised.
    async with AsyncExitStack() as stack:
        for service in services:
            await service.open()
            stack.push_async_callback(service.close)
        yield {"services": services}


app = FastAPI(lifespan=lifespan)


@app.get("/health")
async def tell_health(request: Request) -> dict[str, bool]:
    return {service.name: service.is_open for service in request.state.services}
