# Wrong: a counter is no state. Fails: test_parcels_stay_in_their_office. Hint: 1.
"""Post offices, each with a shelf of its own."""

import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import APIRouter, FastAPI, HTTPException, Request

numbers = itertools.count(1)

router = APIRouter()


@router.post("/parcels", status_code=201)
async def leave_parcel(receiver: str, request: Request) -> dict[str, int]:
    office = request.app.state
    if len(office.shelf) >= office.places:
        raise HTTPException(409, "The shelf is full: ask in another office.")
    number = next(numbers)
    office.shelf[number] = receiver
    return {"number": number}


@router.get("/parcels")
async def list_parcels(request: Request) -> dict[str, object]:
    office = request.app.state
    return {"office": office.name, "shelf": office.shelf}


@asynccontextmanager
async def office_lifespan(office: FastAPI) -> AsyncIterator[None]:
    yield
    print(f"{office.state.name} closes, parcels left: {len(office.state.shelf)}", flush=True)


def create_app(name: str, places: int) -> FastAPI:
    office = FastAPI(title=name, lifespan=office_lifespan)
    office.state.name, office.state.places, office.state.shelf = name, places, {}
    office.include_router(router)
    return office


# ── The post: it mounts the offices, and runs their lifespans in its own ─────────────────────


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as app.state.open_offices:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/offices", status_code=201)
async def open_office(name: str, places: int) -> dict[str, str]:
    office = create_app(name, places)
    # A mounted app's lifespan is nobody's business but ours: the server only runs the post's.
    await app.state.open_offices.enter_async_context(office.router.lifespan_context(office))
    path = f"/office{len(app.routes)}"
    app.mount(path, office)
    return {"path": path}
