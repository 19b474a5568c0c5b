# Right: the errors of all closes are collected and raised at the end
"""Three services, opened at the start and closed at the stop."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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
    opened: list[Service] = []
    errors: list[Exception] = []
    try:
        for service in services:
            await service.open()
            opened.insert(0, service)
        yield {"services": services}
    except Exception as error:
        errors.append(error)
    for service in opened:
        try:
            await service.close()
        except Exception as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup("not everything went well", errors)


app = FastAPI(lifespan=lifespan)


@app.get("/health")
async def tell_health(request: Request) -> dict[str, bool]:
    return {service.name: service.is_open for service in request.state.services}
