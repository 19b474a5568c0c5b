# Right: a task at the response itself
"""Mails after a registration."""

import asyncio
import os

from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse
from starlette.background import BackgroundTask

MAIL_SECONDS = float(os.getenv("MAIL_SECONDS", "0.4"))

app = FastAPI()
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


async def send_both(email: str) -> None:
    await send_welcome(email)
    await send_guide(email)


@app.post("/register")
def register(email: str, username: str) -> JSONResponse:
    add_user(username)
    return JSONResponse(
        {"message": "注册成功!欢迎邮件将在后台发送", "username": username},
        background=BackgroundTask(send_both, email),
    )


@app.get("/outbox")
async def list_outbox() -> list[dict[str, str]]:
    return outbox
