# Wrong: a new app clears the shelf. Fails: test_a_new_office_changes_no_other. Hint: 2.
"""Post offices, each with a shelf of its own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import APIRouter, FastAPI, HTTPException

# TODO: one name, one number and one shelf for the whole process, however many offices there are.
office_name = ""
shelf_places = 0
shelf: dict[int, str] = {}

router = APIRouter()


@router.post("/parcels", status_code=201)
async def leave_parcel(receiver: str) -> dict[str, int]:
    if len(shelf) >= shelf_places:
        raise HTTPException(409, "The shelf is full: ask in another office.")
    number = len(shelf) + 1
    shelf[number] = receiver
    return {"number": number}


@router.get("/parcels")
async def list_parcels() -> dict[str, object]:
    return {"office": office_name, "shelf": shelf}


@asynccontextmanager
async def office_lifespan(office: FastAPI) -> AsyncIterator[None]:
    yield
    print(f"{office_name} closes, parcels left: {len(shelf)}", flush=True)


def create_app(name: str, places: int) -> FastAPI:
    global office_name, shelf_places
    office_name, shelf_places = name, places
    shelf.clear()
    office = FastAPI(title=name, lifespan=office_lifespan)
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
