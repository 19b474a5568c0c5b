# Wrong: add_task takes a call, not a function. Fails: test_both_mails_follow_in_order. Hint: 2.
"""Mails after a registration."""

import asyncio
import os

from fastapi import BackgroundTasks, FastAPI, HTTPException

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


@app.post("/register")
async def register(email: str, username: str, tasks: BackgroundTasks) -> dict[str, str]:
    add_user(username)
    tasks.add_task(send_welcome(email))
    tasks.add_task(send_guide(email))
    return {"message": "注册成功!欢迎邮件将在后台发送"}


@app.get("/outbox")
async def list_outbox() -> list[dict[str, str]]:
    return outbox
