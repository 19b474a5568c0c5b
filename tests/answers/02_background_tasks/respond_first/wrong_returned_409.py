# Wrong: tasks run only after a 200. Fails: test_a_refused_registration_sends_nothing. Hint: 4.
"""Mails after a registration."""

import asyncio
import os

from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import JSONResponse

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


@app.post("/register")
async def register(email: str, username: str, tasks: BackgroundTasks) -> JSONResponse:
    tasks.add_task(send_welcome, email)
    tasks.add_task(send_guide, email)
    if username in usernames:
        return JSONResponse({"detail": "用户名已被占用"}, status_code=409)
    usernames.add(username)
    return JSONResponse({"message": "注册成功!欢迎邮件将在后台发送"})


@app.get("/outbox")
async def list_outbox() -> list[dict[str, str]]:
    return outbox
