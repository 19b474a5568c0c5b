# Right: a class with a router of its own and handlers as methods
"""Post offices, each with a shelf of its own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import APIRouter, FastAPI, HTTPException


class Office:
    def __init__(self, name: str, places: int) -> None:
        self.name = name
        self.places = places
        self.parcels: list[str] = []
        self.router = APIRouter()
        self.router.post("/parcels", status_code=201)(self.leave_parcel)
        self.router.get("/parcels")(self.list_parcels)

    async def leave_parcel(self, receiver: str) -> dict[str, int]:
        if len(self.parcels) >= self.places:
            raise HTTPException(409, "The shelf is full: ask in another office.")
        self.parcels.append(receiver)
        return {"number": len(self.parcels)}

    async def list_parcels(self) -> dict[str, object]:
        return {"office": self.name, "shelf": dict(enumerate(self.parcels, 1))}

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        yield
        print(f"{self.name} closes, parcels left: {len(self.parcels)}", flush=True)


def create_app(name: str, places: int) -> FastAPI:
    office = Office(name, places)
    app = FastAPI(title=name, lifespan=office.lifespan)
    app.include_router(office.router)
    return app


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
