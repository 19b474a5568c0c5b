# Right: an AsyncExitStack, a warm-up call at the start, and a typed dependency
"""Where is my parcel? The office asks its carrier."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, Request, Response

CARRIER_URL = os.getenv("CARRIER_URL", "http://127.0.0.1:8001")
CARRIER_SECONDS = 5  # the longest that we wait for the carrier
REPORT_SECONDS = 0.4


async def write_report() -> None:
    await asyncio.sleep(REPORT_SECONDS)  # paperwork
    print("The day's report is written.", flush=True)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        stack.push_async_callback(write_report)
        app.state.client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=CARRIER_URL, timeout=CARRIER_SECONDS)
        )
        with suppress(httpx.HTTPError):
            await app.state.client.get("/parcels/0")
        yield


app = FastAPI(lifespan=lifespan)


def pooled(request: Request) -> httpx.AsyncClient:
    client: httpx.AsyncClient = request.app.state.client
    return client


@app.get("/parcels/{number}")
async def find_parcel(
    number: int, client: Annotated[httpx.AsyncClient, Depends(pooled)]
) -> Response:
    answer = await client.get(f"/parcels/{number}")
    return Response(answer.content, answer.status_code, media_type="application/json")
