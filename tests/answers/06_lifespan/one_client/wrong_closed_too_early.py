# Wrong: the with ends before the yield. Fails: test_calls_share_a_connection. Hint: 2.
"""Where is my parcel? The office asks its carrier."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request, Response

CARRIER_URL = os.getenv("CARRIER_URL", "http://127.0.0.1:8001")
CARRIER_SECONDS = 5  # the longest that we wait for the carrier
REPORT_SECONDS = 0.4


async def write_report() -> None:
    await asyncio.sleep(REPORT_SECONDS)  # paperwork
    print("The day's report is written.", flush=True)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    async with httpx.AsyncClient(timeout=CARRIER_SECONDS) as client:
        state = {"client": client}
    yield state
    await write_report()


app = FastAPI(lifespan=lifespan)


@app.get("/parcels/{number}")
async def find_parcel(number: int, request: Request) -> Response:
    answer = await request.state.client.get(f"{CARRIER_URL}/parcels/{number}")
    return Response(answer.content, answer.status_code, media_type="application/json")
