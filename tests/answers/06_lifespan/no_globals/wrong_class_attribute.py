# Wrong: the class body makes one per object. Fails: test_parcels_stay_in_their_office. Hint: 2.
"""Post offices, each with a shelf of its own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import APIRouter, FastAPI, HTTPException, Request


class Office:
    shelf: dict[int, str] = {}  # noqa: RUF012

    def __init__(self, name: str, places: int) -> None:
        self.name = name
        self.places = places


router = APIRouter()


@router.post("/parcels", status_code=201)
async def leave_parcel(receiver: str, request: Request) -> dict[str, int]:
    office = request.app.state.office
    if len(office.shelf) >= office.places:
        raise HTTPException(409, "The shelf is full: ask in another office.")
    number = len(office.shelf) + 1
    office.shelf[number] = receiver
    return {"number": number}


@router.get("/parcels")
async def list_parcels(request: Request) -> dict[str, object]:
    office = request.app.state.office
    return {"office": office.name, "shelf": office.shelf}


@asynccontextmanager
async def office_lifespan(office: FastAPI) -> AsyncIterator[None]:
    yield
    print(
        f"{office.state.office.name} closes, parcels left: {len(office.state.office.shelf)}",
        flush=True,
    )


def create_app(name: str, places: int) -> FastAPI:
    office = FastAPI(title=name, lifespan=office_lifespan)
    office.state.office = Office(name, places)
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
