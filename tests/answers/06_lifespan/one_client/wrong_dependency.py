# Wrong: a dependency with yield makes it once. Fails: test_calls_share_a_connection. Hint: 1.
"""Where is my parcel? The office asks its carrier."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, Response

CARRIER_URL = os.getenv("CARRIER_URL", "http://127.0.0.1:8001")
CARRIER_SECONDS = 5  # the longest that we wait for the carrier
REPORT_SECONDS = 0.4


async def write_report() -> None:
    await asyncio.sleep(REPORT_SECONDS)  # paperwork
    print("The day's report is written.", flush=True)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await write_report()


app = FastAPI(lifespan=lifespan)


async def open_client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=CARRIER_SECONDS) as client:
        yield client


@app.get("/parcels/{number}")
async def find_parcel(
    number: int, client: Annotated[httpx.AsyncClient, Depends(open_client)]
) -> Response:
    answer = await client.get(f"{CARRIER_URL}/parcels/{number}")
    return Response(answer.content, answer.status_code, media_type="application/json")
