"""Checks of respond_first: what comes first, the answer or the mail."""

import asyncio
import time
from collections.abc import Mapping

import httpx
import pytest

from workbook.checking import expect
from workbook.language import _

pytestmark = pytest.mark.anyio

MAIL_SECONDS = 0.4
MESSAGE = "注册成功!欢迎邮件将在后台发送"
DEADLINE = 3


@pytest.fixture
def environment() -> Mapping[str, str]:
    return {"MAIL_SECONDS": str(MAIL_SECONDS)}


async def register(client: httpx.AsyncClient, username: str, email: str = "") -> httpx.Response:
    query = {"email": email or f"{username}@example.com", "username": username}
    # A task that fails takes the connection with it: the next request gets one of its own.
    return await client.post("/register", params=query, headers={"Connection": "close"})


async def registered(client: httpx.AsyncClient, username: str) -> float:
    """Register someone new, which has to succeed, and tell how many seconds it took."""
    began = time.monotonic()
    answer = await register(client, username)
    seconds = time.monotonic() - began
    expect(
        answer.status_code == 200 and MESSAGE in answer.text,
        did=_("POST /register as {username}, a name that is free").format(username=username),
        expected=_("200 and the message {message}").format(message=MESSAGE),
        seen=f"{answer.status_code} {answer.text[:200]}",
        hint=5,
    )
    return seconds


async def sent_to(client: httpx.AsyncClient, *usernames: str) -> list[str]:
    """Which mails have been sent to these people, the oldest first."""
    mails = (await client.get("/outbox")).json()
    return [m["mail"] for m in mails if m["email"].partition("@")[0] in usernames]


async def wait_for_mails(
    client: httpx.AsyncClient, username: str, seconds: float = DEADLINE
) -> list[str]:
    """The mails to somebody, when both are sent or these seconds are over."""
    deadline = time.monotonic() + seconds
    sent = await sent_to(client, username)
    while len(sent) < 2 and time.monotonic() < deadline:
        await asyncio.sleep(MAIL_SECONDS / 8)
        sent = await sent_to(client, username)
    return sent


async def test_the_answer_comes_before_the_mail(client: httpx.AsyncClient) -> None:
    """The answer is there before the first mail is sent."""
    for username in ("lin", "mei", "wang"):  # once would do: a machine may be busy for a moment
        seconds = await registered(client, username)
        sent = await sent_to(client, username)
        if not sent:
            break
    waited = seconds > MAIL_SECONDS / 2
    seen = _("the answer took {seconds:.2f} s, and sent were: {mails}")
    if not waited:
        seen = _("a quick answer, but GET /outbox had to wait for: {mails}")
    expect(
        not sent,
        did=_("POST /register, and at its answer GET /outbox; a mail takes {seconds} s").format(
            seconds=MAIL_SECONDS
        ),
        expected=_("nothing is sent yet"),
        seen=seen.format(seconds=seconds, mails=", ".join(sent)),
        hint=1 if waited else 3,
    )


async def test_both_mails_follow_in_order(client: httpx.AsyncClient) -> None:
    """After the answer the welcome mail is sent, then the guide, each once."""
    await registered(client, "lin")
    sent = await wait_for_mails(client, "lin")
    did = _("POST /register, then GET /outbox again and again")
    expect(
        set(sent) == {"welcome", "guide"},
        did=did,
        expected=_("a welcome mail and a guide are sent"),
        seen=_("within {seconds} s there came: {mails}").format(
            seconds=DEADLINE, mails=", ".join(sent) or _("nothing")
        ),
        hint=2,
    )
    await asyncio.sleep(MAIL_SECONDS / 2)  # would another one come?
    sent = await sent_to(client, "lin")
    expect(
        sent == ["welcome", "guide"],
        did=did,
        expected=_("first the welcome mail, then the guide"),
        seen=_("in this order: {mails}").format(mails=", ".join(sent)),
        hint=3,
    )


async def test_nobody_waits_for_the_mails_of_others(client: httpx.AsyncClient) -> None:
    """Five who register together all have their answers before a mail is sent."""
    for group in ("lin", "mei", "wang"):
        names = [f"{group}{number}" for number in range(5)]
        seconds = await asyncio.gather(*(registered(client, name) for name in names))
        sent = await sent_to(client, *names)
        if not sent:
            break
    expect(
        not sent,
        did=_(
            "POST /register for five people at once, and when all have their answers GET /outbox"
        ),
        expected=_("nothing is sent yet"),
        seen=_(
            "the answers took {least:.2f} to {most:.2f} s, and {count} mails were sent by then"
        ).format(least=min(seconds), most=max(seconds), count=len(sent)),
        hint=1 if min(seconds) > MAIL_SECONDS / 2 else 3,
    )


async def test_a_refused_registration_sends_nothing(client: httpx.AsyncClient) -> None:
    """Who asks for a name that is taken gets 409 and no mail."""
    await registered(client, "lin")
    answer = await register(client, "lin", email="late@example.com")
    did = _("POST /register as lin twice, the second time from late@example.com")
    expect(
        answer.status_code == 409,
        did=did,
        expected=_("409 for the second"),
        seen=f"{answer.status_code} {answer.text[:200]}",
        hint=4,
    )
    await registered(client, "mei")
    await wait_for_mails(client, "mei", 2)  # what was started before hers has come by now
    sent = await sent_to(client, "late")
    expect(
        not sent,
        did=did,
        expected=_("409, and no mail to late@example.com"),
        seen=_("409, and sent to late@example.com: {mails}").format(mails=", ".join(sent)),
        hint=4,
    )
