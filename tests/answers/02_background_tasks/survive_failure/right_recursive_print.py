# Right: asyncio tasks and a function that schedules its own next try
"""A newsletter."""

import asyncio
import os
import time

from fastapi import FastAPI

PAUSE = float(os.getenv("PAUSE", "0.1"))

app = FastAPI()
sent: list[str] = []
tries: list[tuple[str, float]] = []  # the address, and when


async def deliver(email: str) -> None:
    """Pretend to talk to a mail server. There are mailboxes that it has trouble with."""
    tries.append((email, time.monotonic()))
    await asyncio.sleep(0.01)
    so_far = sum(tried == email for tried, _ in tries)
    if email.startswith("full"):
        raise ConnectionError(f"no room in the mailbox of {email}")
    if email.startswith("odd"):
        raise ValueError(f"no mail server for {email}")
    if email.startswith("busy") and so_far < 3:
        raise TimeoutError(f"no answer from the mail server of {email}")
    sent.append(email)


running: set[asyncio.Task[None]] = set()


async def attempt(email: str, number: int = 1) -> None:
    try:
        await deliver(email)
    except Exception as error:
        if number > 3:
            print(f"gave up on {email} ({error!r})", flush=True)
            return
        await asyncio.sleep(PAUSE * 1.5 ** (number - 1))
        await attempt(email, number + 1)


@app.post("/newsletter", status_code=202)
async def send_newsletter(emails: list[str]) -> dict[str, int]:
    for email in emails:
        task = asyncio.create_task(attempt(email))
        running.add(task)
        task.add_done_callback(running.discard)
    return {"mails": len(emails)}


@app.get("/sent")
async def list_sent() -> list[str]:
    return sent


@app.get("/tries")
async def list_tries() -> list[tuple[str, float]]:
    return tries
