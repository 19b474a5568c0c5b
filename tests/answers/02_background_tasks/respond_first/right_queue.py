# Right: one worker, started in lifespan, sends what is in a queue
"""Mails after a registration."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException

MAIL_SECONDS = float(os.getenv("MAIL_SECONDS", "0.4"))

mails: asyncio.Queue[tuple[Callable[[str], Awaitable[None]], str]] = asyncio.Queue()


async def work() -> None:
    while True:
        send, email = await mails.get()
        await send(email)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    worker = asyncio.create_task(work())
    yield
    worker.cancel()


app = FastAPI(lifespan=lifespan)
usernames: set[str] = set()
outbox: list[dict[str, str]] = []


async def send_welcome(email: str) -> None:
    """Pretend to talk to a mail server."""
    await asyncio.sleep(MAIL_SECONDS)
    outbox.append({"email": email, "mail": "welcome"})


async def send_guide(email: str) -> None:
    await asyncio.sleep(MAIL_SECONDS / 4)
    outbox.append({"email": email, "mail": "guide"})


def add_user(username: str) -> None:
    if username in usernames:
        raise HTTPException(409, "用户名已被占用")
    usernames.add(username)


@app.post("/register")
async def register(email: str, username: str) -> dict[str, str]:
    add_user(username)
    await mails.put((send_welcome, email))
    await mails.put((send_guide, email))
    return {"message": "注册成功!欢迎邮件将在后台发送"}


@app.get("/outbox")
async def list_outbox() -> list[dict[str, str]]:
    return outbox
