"""Who writes the welcome mail, if the answer is already there?

Run it:    fastapi dev examples/02_background_tasks.py
Try it:    curl -X POST "http://127.0.0.1:8000/register?email=lin@example.com&username=lin"
           curl http://127.0.0.1:8000/outbox   (empty at once, two seconds later not)
Watch for: the answer comes first, then the mail, then the audit line. As user "fail" the mail
           breaks and the audit line still comes. Stop the server meanwhile: it waits for the mail.
"""

import asyncio
import io
import itertools
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Annotated

from fastapi import BackgroundTasks, FastAPI, Query
from fastapi.responses import RedirectResponse
from pydantic import AfterValidator, BaseModel, EmailStr, Field
from starlette.background import BackgroundTask

EMAIL_SECONDS = float(os.getenv("EMAIL_SECONDS", "2"))

log = logging.getLogger("uvicorn.error")  # the one that uvicorn prints
app = FastAPI(title="02 background tasks")

if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(encoding="utf-8")  # in a file, Windows would have no Chinese


class Done(BaseModel):
    at: float = Field(default_factory=time.time)  # seconds since 1970
    thread: str = Field(default_factory=lambda: threading.current_thread().name)


class Mail(Done):
    email: str
    username: str


class AuditEntry(Done):
    user_id: int
    action: str


user_ids = itertools.count(1)
outbox = deque[Mail](maxlen=10_000)  # the newest: a server that runs for months must not fill up
audit = deque[AuditEntry](maxlen=10_000)


def one_printable_line(name: str) -> str:
    if not name.strip() or not name.isprintable():
        # A line break would let a name forge an [AUDIT] line of its own.
        raise ValueError("give one line of printable text")
    return name


Username = Annotated[str, Query(min_length=1, max_length=64), AfterValidator(one_printable_line)]


# ── The tasks ────────────────────────────────────────────────────────────────────────────────


def say(line: str) -> None:
    # In one write, so that threads don't mix their lines, and at once: what a pipe still
    # buffers is lost when a signal ends the process.
    print(f"{line}\n", end="", flush=True)


async def send_welcome_email(email: str, username: str) -> None:
    """Pretend to talk to a mail server. It has a user that it doesn't like."""
    await asyncio.sleep(EMAIL_SECONDS)
    if username == "fail":
        raise ConnectionError("the mail server refused the mail")
    say(f"欢迎邮件已发送到 {email},用户名:{username}")
    outbox.append(Mail(email=email, username=username))


def write_audit_log(action: str, user_id: int) -> None:
    """A plain function is as good a task: it runs in the thread pool."""
    say(f"[AUDIT] user={user_id} action={action}")
    audit.append(AuditEntry(user_id=user_id, action=action))


async def carefully(task: Callable[..., object], *args: object) -> None:
    """Run a task so that its failure is told and the tasks after it still run.

    By itself an exception ends the whole list: no task after it starts.
    """
    try:
        await BackgroundTask(task, *args)()
    except Exception:
        log.exception("%s%r failed", task.__name__, args)
    except asyncio.CancelledError:
        # The server was told to stop, and its patience is at an end (--timeout-graceful-shutdown,
        # or Ctrl-C twice). This line is all that is left of the mail. kill -9 leaves none.
        log.error("%s%r and the tasks after it were cut off by shutdown", task.__name__, args)
        raise


# ── The handlers ─────────────────────────────────────────────────────────────────────────────


@app.get("/", include_in_schema=False)
def open_docs() -> RedirectResponse:
    return RedirectResponse("/docs")


@app.post("/register")
def register(email: EmailStr, username: Username, tasks: BackgroundTasks) -> dict[str, str]:
    # They run after the answer, one after another, in this order.
    tasks.add_task(carefully, send_welcome_email, email, username)
    tasks.add_task(carefully, write_audit_log, "register", next(user_ids))
    return {"message": "注册成功!欢迎邮件将在后台发送"}


@app.get("/outbox")
def list_outbox() -> list[Mail]:
    return list(outbox)


@app.get("/audit")
def list_audit() -> list[AuditEntry]:
    return list(audit)
