"""One address that the mail server refuses, and everybody after it gets no newsletter.

POST /newsletter with ["lin@example.com", "full@example.com", "mei@example.com"] answers at once,
but only lin gets the newsletter: the mailbox "full" is full, and mei's mail is never tried.

Goal: whatever is wrong with one address, the others get their mail.
- Everybody whose mail can be delivered gets it, once, whatever `deliver` raises for another one.
- A mail that fails is tried again, three times at most: four tries in all. The first pause is about
  PAUSE seconds, and each one at least 1.5 times as long as the one before.
- When a try succeeds, that is the end of it: "busy" takes a mail at the third try.
- When the last try has failed, the log has one line with `gave up on full@example.com`, and in it
  or in its traceback the reason, which is what `deliver` said. Who got the mail is not given up on.
- The answer comes at once, and all requests are answered while a mail waits for its next try.
- `GET /sent` and `GET /tries` tell what happened, as before, and `deliver` stays as it is.

Check it: workbook check survive_failure
"""

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


@app.post("/newsletter")
async def send_newsletter(emails: list[str], tasks: BackgroundTasks) -> dict[str, int]:
    for email in emails:
        # TODO: what one of these tasks raises is the end of those after it.
        tasks.add_task(deliver, email)
    return {"mails": len(emails)}


@app.get("/sent")
async def list_sent() -> list[str]:
    return sent


@app.get("/tries")
async def list_tries() -> list[tuple[str, float]]:
    return tries
