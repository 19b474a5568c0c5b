"""A parcel that is left in one office lies on the shelf of every other.

`POST /offices?name=north&places=3` opens an office, an app of its own from `create_app`, and tells
its path. Open another one, leave a parcel in the first, and look at the second: there it is, both
say they have the same name, and the shelf of one is full because of the other.

Goal: what `create_app` makes shares nothing with what it made before, not even with an office of
the same name.
- `POST {path}/parcels?receiver=lin` answers 201 and `{"number": 1}`. Each office counts from 1. A
  shelf with all its places taken refuses with 409; the next office has places of its own.
- `GET {path}/parcels` tells `{"office": "north", "shelf": {"1": "lin"}}`, what is in this office.
- Each office has a lifespan. At the stop it prints its own line, "north closes, parcels left: 1".
- Everything below `create_app` stays as it is.

Check it: workbook check no_globals
"""

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
