# Wrong: the handler has to wait for the tries. Fails: test_nobody_waits_for_the_next_try. Hint: 4.
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


async def deliver_carefully(email: str) -> None:
    for number in range(4):
        try:
            await deliver(email)
            return
        except Exception:
            if number == 3:
                log.exception("gave up on %s", email)
            else:
                await asyncio.sleep(PAUSE * 2**number)


@app.post("/newsletter")
async def send_newsletter(emails: list[str], tasks: BackgroundTasks) -> dict[str, int]:
    for email in emails:
        await deliver_carefully(email)
    return {"mails": len(emails)}


@app.get("/sent")
async def list_sent() -> list[str]:
    return sent


@app.get("/tries")
async def list_tries() -> list[tuple[str, float]]:
    return tries
