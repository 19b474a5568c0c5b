# Wrong: errors at the stop are suppressed. Fails: test_failing_release_is_told. Hint: 4.
"""Three services, opened at the start and closed at the stop."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

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


async def close_quietly(service: Service) -> None:
    with suppress(Exception):
        await service.close()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, list[Service]]]:
    services = [Service("database"), Service("cache"), Service("queue")]
    async with AsyncExitStack() as stack:
        for service in services:
            await service.open()
            stack.push_async_callback(close_quietly, service)
        yield {"services": services}


app = FastAPI(lifespan=lifespan)


@app.get("/health")
async def tell_health(request: Request) -> dict[str, bool]:
    return {service.name: service.is_open for service in request.state.services}
