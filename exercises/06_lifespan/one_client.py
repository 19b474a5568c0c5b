"""Every question to the carrier opens a connection of its own.

An office asks its carrier where a parcel is. Each request makes a client, and with it a pool that
serves one call and is thrown away. You will observe: 20 requests, 20 connections; the more is
asked, the longer each one takes.

Goal: one client, and with it one pool, for as long as the app runs.
- `GET /parcels/{number}` goes on answering what the carrier does, from `CARRIER_URL`.
- Requests one after another use the same connection. Requests at the same time are asked at the
  same time, 10 at least, and the connections they needed are used again by the next ones.
- At the stop the pool's connections are closed first. Only then `write_report` runs, as it is:
  the carrier should not have to wait for our paperwork.

Check it: workbook check one_client
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Response

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


@app.get("/parcels/{number}")
async def find_parcel(number: int) -> Response:
    # TODO: a new pool for each request, and nobody ever uses its connection again.
    async with httpx.AsyncClient(timeout=CARRIER_SECONDS) as client:
        answer = await client.get(f"{CARRIER_URL}/parcels/{number}")
    return Response(answer.content, answer.status_code, media_type="application/json")
