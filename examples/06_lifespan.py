"""Who opens the pools before the first request, and who closes them, whatever fails?

Run it:    fastapi dev examples/06_lifespan.py
           uvicorn examples.01_async_vs_def:app --port 8001   (for /upstream to call)
Try it:    curl http://127.0.0.1:8000/users -H "Content-Type: application/json" \\
                -d '{"username": "lin", "email": "lin@example.com"}'
Watch for: three lines before the first request and two after the last; lin is still there after
           a restart. With DATABASE_URL=nonsense the start fails, and the client is closed anyway.
"""

import asyncio
import io
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Annotated, TypedDict

import httpx
from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, EmailStr, StringConstraints
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

DATABASE_URL = os.getenv("DATABASE_URL", "sqlite+aiosqlite:///workbook.db")
UPSTREAM_URL = os.getenv("UPSTREAM_URL", "http://127.0.0.1:8001/ping")
UPSTREAM_TIMEOUT = float(os.getenv("UPSTREAM_TIMEOUT", "30"))
MAX_CONNECTIONS = 100
MAX_ANSWER = 10 * 1024 * 1024  # bytes of an upstream answer held in memory
MAX_ID = 2**63 - 1  # what an INTEGER column holds

log = logging.getLogger("uvicorn.error")  # the one that uvicorn prints

if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(encoding="utf-8")  # in a file, Windows would have no Chinese


# ── Tables ───────────────────────────────────────────────────────────────────────────────────


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(unique=True)
    email: Mapped[str]


async def create_tables(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


# ── Start and stop ───────────────────────────────────────────────────────────────────────────


def say(line: str) -> None:
    # In one write, so that two workers don't mix their lines, and at once: what a pipe still
    # buffers is lost when a signal ends the process.
    print(f"{line}\n", end="", flush=True)


class State(TypedDict):
    client: httpx.AsyncClient
    turns: asyncio.Semaphore
    engine: AsyncEngine


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    async with AsyncExitStack() as stack:  # releases in reverse order, whichever step fails
        say("启动:初始化 HTTP 客户端连接池...")
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS)
        client = httpx.AsyncClient(timeout=UPSTREAM_TIMEOUT, limits=limits)
        stack.push_async_callback(client.aclose)
        stack.callback(say, "关闭:释放 HTTP 客户端...")

        say("启动:创建数据库表...")
        engine = create_async_engine(DATABASE_URL)
        stack.push_async_callback(engine.dispose)
        with suppress(DBAPIError):  # of two workers that find no table, one comes too late …
            await create_tables(engine)
        await create_tables(engine)  # … and now finds it made

        say("应用启动完成!")
        # What is yielded belongs to this run of this app; a module global would be everyone's.
        yield State(client=client, turns=asyncio.Semaphore(MAX_CONNECTIONS), engine=engine)
    say("应用已安全关闭")


app = FastAPI(title="06 lifespan", lifespan=lifespan)


async def open_session(request: Request) -> AsyncIterator[AsyncSession]:
    async with AsyncSession(request.state.engine, expire_on_commit=False) as session:
        yield session


Session = Annotated[AsyncSession, Depends(open_session)]


@app.exception_handler(RequestValidationError)
async def refuse(request: Request, error: RequestValidationError) -> JSONResponse:
    # FastAPI's own answer repeats the input, and NaN or half a surrogate pair can't be sent back.
    detail = [{key: e[key] for key in ("type", "loc", "msg")} for e in error.errors()]
    return JSONResponse({"detail": detail}, status_code=422)


@app.exception_handler(OperationalError)
@app.exception_handler(PoolTimeout)
async def database_failed(request: Request, error: Exception) -> JSONResponse:
    log.error("%r", error)  # locked, full, gone
    return JSONResponse({"detail": "The database is busy: try again."}, status_code=503)


@app.get("/", include_in_schema=False)
async def open_docs() -> RedirectResponse:
    return RedirectResponse("/docs")


# ── The database ─────────────────────────────────────────────────────────────────────────────


class NewUser(BaseModel):
    username: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
    email: EmailStr


class StoredUser(BaseModel):
    id: int
    username: str
    email: str


@app.post("/users", status_code=201, response_model=StoredUser)
async def add_user(new: NewUser, session: Session) -> User:
    user = User(**new.model_dump())
    session.add(user)
    try:
        await session.commit()  # no look before: someone could take the name in between
    except IntegrityError:
        raise HTTPException(409, f"{new.username} is taken: choose another username.") from None
    return user


@app.get("/users", response_model=list[StoredUser])
async def list_users(
    session: Session,
    after: Annotated[int, Query(ge=0, le=MAX_ID, description="the last id of the page before")] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
) -> list[User]:
    page = select(User).where(User.id > after).order_by(User.id).limit(limit)
    return list(await session.scalars(page))


@app.get("/users/{user_id}", response_model=StoredUser)
async def get_user(user_id: Annotated[int, Path(ge=0, le=MAX_ID)], session: Session) -> User:
    user = await session.get(User, user_id)
    if user is None:
        raise HTTPException(404, f"There is no user {user_id}: GET /users lists them.")
    return user


# ── The HTTP client ──────────────────────────────────────────────────────────────────────────


async def fetch(client: httpx.AsyncClient) -> Response:
    body = bytearray()
    async with client.stream("GET", UPSTREAM_URL) as answer:
        if not 200 <= answer.status_code <= 599:
            raise ValueError(f"status {answer.status_code}")
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > MAX_ANSWER:
                raise ValueError(f"more than {MAX_ANSWER} bytes")
    answer.headers.encoding = "latin-1"  # as Starlette writes them, so that no byte is refused
    headers = {key: value for key, value in answer.headers.items() if key == "content-type"}
    return Response(bytes(body), answer.status_code, headers)


@app.get("/upstream")
async def call_upstream(request: Request) -> Response:
    client: httpx.AsyncClient = request.state.client
    try:
        # Wait for a turn here, not in the client's own queue: who gives up in there can take a
        # connection along, until none is left (encode/httpcore #1093).
        async with asyncio.timeout(UPSTREAM_TIMEOUT) as patience, request.state.turns:
            # httpx starts its clock again with every byte; this one counts for the whole answer.
            patience.reschedule(asyncio.get_running_loop().time() + UPSTREAM_TIMEOUT)
            return await fetch(client)
    except (TimeoutError, httpx.TimeoutException):
        detail = f"No whole answer in {UPSTREAM_TIMEOUT} s: try again, or raise UPSTREAM_TIMEOUT."
        raise HTTPException(504, detail) from None
    except Exception as error:  # refused, cut off, not HTTP, no such host, not even a URL …
        detail = f"No usable answer ({error!r}): start the upstream, or set UPSTREAM_URL."
        raise HTTPException(502, detail) from None
