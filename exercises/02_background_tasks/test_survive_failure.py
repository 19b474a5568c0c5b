"""Checks of survive_failure: who gets the newsletter when one address fails."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping

import httpx
import pytest

from workbook.checking import expect
from workbook.server import Server

pytestmark = pytest.mark.anyio

PAUSE = 0.1
TRIES = 4
DEADLINE = 5
QUIET = 1.5  # seconds without a try: no pause is as long, so there comes none any more


@pytest.fixture
def environment() -> Mapping[str, str]:
    return {"PAUSE": str(PAUSE)}


async def post(client: httpx.AsyncClient, *names: str) -> str:
    """Send the newsletter to these people, and tell what was done."""
    emails = [f"{name}@example.com" for name in names]
    # A task that fails takes the connection with it: the next request gets one of its own.
    answer = await client.post("/newsletter", json=emails, headers={"Connection": "close"})
    did = f"POST /newsletter to {', '.join(names)}"
    expect(
        answer.is_success,
        did=did,
        expected="200, whatever becomes of the mails",
        seen=f"{answer.status_code} {answer.text[:200]}",
        hint=1,
    )
    return did


async def sent_to(client: httpx.AsyncClient) -> list[str]:
    """Who got a mail, by name, the first one first."""
    return [email.partition("@")[0] for email in (await client.get("/sent")).json()]


async def tries_of(client: httpx.AsyncClient, name: str) -> list[float]:
    """When a mail to somebody was tried."""
    tries = (await client.get("/tries")).json()
    return [at for email, at in tries if email == f"{name}@example.com"]


async def wait_for(client: httpx.AsyncClient, condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when it holds, or when it will not any more: there have been no tries for long."""
    began = changed = time.monotonic()
    tries = 0
    while not await condition():
        now = time.monotonic()
        before, tries = tries, len((await client.get("/tries")).json())
        changed = now if tries != before else changed
        if now > changed + QUIET or now > began + DEADLINE:
            return
        await asyncio.sleep(0.02)


async def all_tries_of(client: httpx.AsyncClient, name: str) -> list[float]:
    """When a mail that always fails was tried, after the last try and a moment for one more."""

    async def tried_enough() -> bool:
        return len(await tries_of(client, name)) >= TRIES

    await wait_for(client, tried_enough)
    await asyncio.sleep(PAUSE)
    return await tries_of(client, name)


async def test_the_others_get_their_mail(client: httpx.AsyncClient) -> None:
    """Whatever is wrong with one address, all others get their mail, once."""
    others = ["lin", "mei", "wang"]
    did = await post(client, "lin", "full", "mei", "odd", "wang")

    async def all_there() -> bool:
        return set(others) <= set(await sent_to(client))

    await wait_for(client, all_there)
    sent = await sent_to(client)
    expect(
        set(others) == set(sent),
        did=did,
        expected=f"sent to {', '.join(others)}",
        seen=f"when no more tries came: sent to {', '.join(sent) or 'nobody'}",
        hint=1,
    )
    await all_tries_of(client, "odd")
    sent = await sent_to(client)
    expect(
        len(sent) == len(others),
        did=did,
        expected="each of the others gets one mail",
        seen=f"sent to {', '.join(sent)}",
        hint=2,
    )


async def test_a_failing_mail_is_tried_three_times_more(client: httpx.AsyncClient) -> None:
    """A mail that always fails is tried four times, after pauses that grow."""
    for name in ("full1", "full2", "full3"):  # once would do: a machine may be busy for a moment
        did = f"{await post(client, name)}, whose mailbox is full"
        tries = await all_tries_of(client, name)
        expect(
            len(tries) == TRIES,
            did=did,
            expected=f"{TRIES} tries: one, and three more",
            seen="1 try" if len(tries) == 1 else f"{len(tries)} tries",
            hint=2,
        )
        pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
        first, second, third = pauses
        right = first > PAUSE / 2 and second > 1.2 * first and third > 1.2 * second
        if right:
            break
    expect(
        right,
        did=f"{did}; PAUSE={PAUSE}",
        expected=f"pauses that grow, the first about {PAUSE} s",
        seen=f"the pauses were {', '.join(f'{pause:.2f} s' for pause in pauses)}",
        hint=3,
    )


async def test_success_is_the_end_of_it(client: httpx.AsyncClient, answer: Server) -> None:
    """A mail that succeeds at the third try is sent once, and not given up on."""
    did = f"{await post(client, 'busy', 'lin')}; busy takes a mail at the third try"

    async def there() -> bool:
        return {"busy", "lin"} <= set(await sent_to(client))

    await wait_for(client, there)
    await asyncio.sleep(PAUSE * 5)  # would a fourth try come?
    sent = await sent_to(client)
    expect(
        "busy" in sent,
        did=did,
        expected="sent to busy",
        seen=f"tries: {len(await tries_of(client, 'busy'))}, sent to {', '.join(sent) or 'nobody'}",
        hint=2,
    )
    expect(
        sorted(sent) == ["busy", "lin"],
        did=did,
        expected="busy and lin get one mail each",
        seen=f"sent to {', '.join(sent)}",
        hint=2,
    )
    expect(
        "gave up on" not in answer.log(),
        did=f"{did}; read the log",
        expected="nobody is given up on, for both got their mail",
        seen="a line with `gave up on`",
        hint=5,
    )


async def test_the_failure_is_logged(client: httpx.AsyncClient, answer: Server) -> None:
    """After the last try the log tells who was given up on, and why."""
    did = f"{await post(client, 'full', 'odd')}; waited and read the log"
    reasons = {"full": "no room in the mailbox of full@", "odd": "no mail server for odd@"}

    async def logged() -> bool:
        return all(f"gave up on {name}@example.com" in answer.log() for name in reasons)

    await wait_for(client, logged)
    await asyncio.sleep(0.1)  # the reason may be a moment later
    log = answer.log()
    for name, reason in reasons.items():
        line = f"gave up on {name}@example.com"
        tries = len(await tries_of(client, name))
        expect(
            log.count(line) == 1,
            did=did,
            expected=f"one line with `{line}`",
            seen=f"such lines: {log.count(line)}, tries: {tries}",
            hint=5 if tries else 1,
        )
        expect(
            reason in log,
            did=did,
            expected=f"the reason too: `{reason}…`",
            seen=f"`{line}`, and nowhere why",
            hint=5,
        )


async def test_nobody_waits_for_the_next_try(client: httpx.AsyncClient) -> None:
    """Requests are answered while a mail waits for its next try."""
    for name in ("full1", "full2", "full3"):  # once would do: a machine may be busy for a moment
        did = f"{await post(client, name)}, whose mailbox is full"
        at_answer = len(await tries_of(client, name))
        slowest, asked = 0.0, 0

        async def tried_enough(name: str = name) -> bool:
            nonlocal slowest, asked
            asked += 1
            began = time.monotonic()
            tries = await tries_of(client, name)
            slowest = max(slowest, time.monotonic() - began)
            return len(tries) >= TRIES

        await wait_for(client, tried_enough)
        tries = await tries_of(client, name)
        pause = max((b - a for a, b in itertools.pairwise(tries)), default=PAUSE)
        quick = slowest < pause / 2 and asked >= 5  # or it was us who came late
        if at_answer < TRIES and quick:
            break
    expect(
        at_answer < TRIES,
        did=did,
        expected="an answer before the last try",
        seen=f"an answer after {at_answer} tries",
        hint=4,
    )
    expect(
        quick,
        did=f"{did}, and GET /tries again and again meanwhile",
        expected=f"quick answers, also during the longest pause of {pause:.2f} s",
        seen=f"{asked} answers, and one GET /tries took {slowest:.2f} s",
        hint=4,
    )
