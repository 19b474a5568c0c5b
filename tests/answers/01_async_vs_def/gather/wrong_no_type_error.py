# Wrong: nonsense means no JSON or no price; a list or a null raises TypeError. Fails: test_a_supplier_that_fails_is_null. Hint: 3.
import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request

SUPPLIERS_URL = os.getenv("SUPPLIERS_URL", "http://127.0.0.1:8000")
TIMEOUT = float(os.getenv("TIMEOUT", "1"))
SUPPLIERS = ("anxi", "hangzhou", "wuyi")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    async with httpx.AsyncClient(base_url=SUPPLIERS_URL) as client:
        yield {"client": client}


app = FastAPI(lifespan=lifespan)


async def ask(client: httpx.AsyncClient, supplier: str, tea: str) -> float | None:
    try:
        # httpx's own timeout starts anew with every byte, this one ends the whole conversation
        async with asyncio.timeout(TIMEOUT):
            answer = await client.get(f"/suppliers/{supplier}/{tea}")
            return float(answer.raise_for_status().json()["price"])
    except (httpx.HTTPError, TimeoutError, LookupError, ValueError):
        return None


@app.get("/prices/{tea}")
async def get_prices(tea: str, request: Request) -> dict[str, float | None]:
    prices = await asyncio.gather(*(ask(request.state.client, s, tea) for s in SUPPLIERS))
    return dict(zip(SUPPLIERS, prices, strict=True))


@app.get("/suppliers/{supplier}/{tea}")
async def sell(supplier: str, tea: str) -> dict[str, float]:
    """Stands in for the suppliers' own servers, to try this file alone."""
    await asyncio.sleep(0.4)
    return {"price": len(supplier) + len(tea) / 2}
