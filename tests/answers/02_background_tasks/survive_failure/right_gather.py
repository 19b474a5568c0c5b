# Right: all addresses together in one task, gather collects what they raise
"""A newsletter."""

import asyncio
import logging
import os
import time

from fastapi import BackgroundTasks, FastAPI

PAUSE = float(os.getenv("PAUSE", "0.1"))

log = logging.getLogger("uvicorn.error")  # the one that uvicorn prints
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


async def deliver_with_retries(email: str) -> None:
    for pause in (PAUSE, PAUSE * 2, PAUSE * 4):
        try:
            return await deliver(email)
        except Exception as error:
            log.warning("%s: %s, next try in %s s", email, error, pause)
            await asyncio.sleep(pause)
    await deliver(email)


async def deliver_all(emails: list[str]) -> None:
    mails = (deliver_with_retries(email) for email in emails)
    for email, error in zip(emails, await asyncio.gather(*mails, return_exceptions=True)):
        if error:
            log.error("gave up on %s: %s", email, error)


@app.post("/newsletter")
async def send_newsletter(emails: list[str], tasks: BackgroundTasks) -> dict[str, int]:
    tasks.add_task(deliver_all, emails)
    return {"mails": len(emails)}


@app.get("/sent")
async def list_sent() -> list[str]:
    return sent


@app.get("/tries")
async def list_tries() -> list[tuple[str, float]]:
    return tries
