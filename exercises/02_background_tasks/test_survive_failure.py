"""Checks of survive_failure: who gets the newsletter when one address fails."""

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Mapping

import httpx
import pytest

from workbook.checking import expect
from workbook.language import _
from workbook.server import Server

pytestmark = pytest.mark.anyio

PAUSE = 0.1
TRIES = 4
DEADLINE = 5
QUIET = 1.5  # seconds without a try: no pause is as long, so there comes none any more
LOOK = 0.1  # seconds from one look at the tries to the next; the app notes when each one was


@pytest.fixture
def environment() -> Mapping[str, str]:
    return {"PAUSE": str(PAUSE)}


async def post(client: httpx.AsyncClient, *names: str) -> str:
    """Send the newsletter to these people, and tell what was done."""
    emails = [f"{name}@example.com" for name in names]
    # A task that fails takes the connection with it: the next request gets one of its own.
    answer = await client.post("/newsletter", json=emails, headers={"Connection": "close"})
    did = _("POST /newsletter to {names}").format(names=", ".join(names))
    expect(
        answer.is_success,
        did=did,
        expected=_("200, whatever becomes of the mails"),
        seen=f"{answer.status_code} {answer.text[:200]}",
        hint=1,
    )
    return did


async def sent_to(client: httpx.AsyncClient) -> list[str]:
    """Who got a mail, by name, the first one first."""
    return [email.partition("@")[0] for email in (await client.get("/sent")).json()]


async def tries_so_far(client: httpx.AsyncClient) -> dict[str, list[float]]:
    """When the mails to each were tried, by name."""
    tries = defaultdict(list)
    for email, at in (await client.get("/tries")).json():
        tries[email.partition("@")[0]].append(at)
    return tries


async def tries_until(client: httpx.AsyncClient, **enough: int) -> dict[str, list[float]]:
    """All tries, once each of these had so many, and a moment more; or when none came for long."""
    began = changed = time.monotonic()
    tries: dict[str, list[float]] = {}
    while True:
        now = time.monotonic()
        before, tries = tries, await tries_so_far(client)
        changed = now if tries != before else changed
        if all(len(tries.get(name, [])) >= count for name, count in enough.items()):
            break
        if now > changed + QUIET or now > began + DEADLINE:
            return tries
        await asyncio.sleep(LOOK)
    await asyncio.sleep(PAUSE)
    return await tries_so_far(client)


async def test_the_others_get_their_mail(client: httpx.AsyncClient) -> None:
    """Whatever is wrong with one address, all others get their mail, once."""
    others = ["lin", "mei", "wang"]
    did = await post(client, "lin", "full", "mei", "odd", "wang")
    await tries_until(client, full=TRIES, odd=TRIES, lin=1, mei=1, wang=1)
    sent = await sent_to(client)
    expect(
        set(others) == set(sent),
        did=did,
        expected=_("sent to {names}").format(names=", ".join(others)),
        seen=_("when no more tries came: sent to {names}").format(
            names=", ".join(sent) or _("nobody")
        ),
        hint=1,
    )
    expect(
        len(sent) == len(others),
        did=did,
        expected=_("each of the others gets one mail"),
        seen=_("sent to {names}").format(names=", ".join(sent)),
        hint=2,
    )


async def test_a_failing_mail_is_tried_three_times_more(client: httpx.AsyncClient) -> None:
    """A mail that always fails is tried four times, after pauses that grow."""
    for name in ("full1", "full2", "full3"):  # once would do: a machine may be busy for a moment
        did = _("{did}, whose mailbox is full").format(did=await post(client, name))
        tries = (await tries_until(client, **{name: TRIES}))[name]
        expect(
            len(tries) == TRIES,
            did=did,
            expected=_("{count} tries: one, and three more").format(count=TRIES),
            seen=_("1 try") if len(tries) == 1 else _("{count} tries").format(count=len(tries)),
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
        expected=_("pauses that grow, the first about {seconds} s").format(seconds=PAUSE),
        seen=_("the pauses were {pauses}").format(
            pauses=", ".join(f"{pause:.2f} s" for pause in pauses)
        ),
        hint=3,
    )


async def test_success_is_the_end_of_it(client: httpx.AsyncClient, answer: Server) -> None:
    """A mail that succeeds at the third try is sent once, and not given up on."""
    posted = await post(client, "busy", "lin")
    did = _("{did}; busy takes a mail at the third try").format(did=posted)
    await tries_until(client, busy=3, lin=1)
    await asyncio.sleep(PAUSE * 4)  # would a fourth try come?
    sent = await sent_to(client)
    tries = len((await tries_so_far(client))["busy"])
    expect(
        "busy" in sent,
        did=did,
        expected=_("sent to {names}").format(names="busy"),
        seen=_("tries: {tries}, sent to {names}").format(
            tries=tries, names=", ".join(sent) or _("nobody")
        ),
        hint=2,
    )
    expect(
        sorted(sent) == ["busy", "lin"],
        did=did,
        expected=_("busy and lin get one mail each"),
        seen=_("sent to {names}").format(names=", ".join(sent)),
        hint=2,
    )
    expect(
        "gave up on" not in answer.log(),
        did=_("{did}; read the log").format(did=did),
        expected=_("nobody is given up on, for both got their mail"),
        seen=_("a line with `gave up on`"),
        hint=5,
    )


async def test_the_failure_is_logged(client: httpx.AsyncClient, answer: Server) -> None:
    """After the last try the log tells who was given up on, and why."""
    posted = await post(client, "odd")
    did = _("{did}, which has no mail server; waited and read the log").format(did=posted)
    line, reason = "gave up on odd@example.com", "no mail server for odd@"
    await tries_until(client, odd=TRIES)
    for _look in range(round(QUIET / LOOK)):
        if line in answer.log() and reason in answer.log():
            break
        await asyncio.sleep(LOOK)
    tries = len((await tries_so_far(client))["odd"])
    log = answer.log()
    expect(
        log.count(line) == 1,
        did=did,
        expected=_("one line with `{line}`").format(line=line),
        seen=_("such lines: {count}, tries: {tries}").format(count=log.count(line), tries=tries),
        hint=5,
    )
    expect(
        tries <= TRIES,
        did=did,
        expected=_("`{line}` after {count} tries").format(line=line, count=TRIES),
        seen=_("{count} tries").format(count=tries),
        hint=2,
    )
    expect(
        reason in log,
        did=did,
        expected=_("the reason too: `{reason}…`").format(reason=reason),
        seen=_("`{line}`, and nowhere why").format(line=line),
        hint=5,
    )


async def test_nobody_waits_for_the_next_try(client: httpx.AsyncClient) -> None:
    """Requests are answered while a mail waits for its next try."""
    for name in ("full1", "full2", "full3"):  # once would do: a machine may be busy for a moment
        did = _("{did}, whose mailbox is full").format(did=await post(client, name))
        tries = at_answer = (await tries_so_far(client))[name]
        slowest, asked, changed = 0.0, 0, time.monotonic()
        while len(tries) < TRIES and time.monotonic() < changed + QUIET:
            await asyncio.sleep(LOOK / 2)
            began = time.monotonic()
            before, tries = tries, (await tries_so_far(client))[name]
            slowest, asked = max(slowest, time.monotonic() - began), asked + 1
            changed = began if len(tries) > len(before) else changed
        pause = max((b - a for a, b in itertools.pairwise(tries)), default=PAUSE)
        quick = slowest < pause / 2 and asked >= 5  # or it was us who came late
        if len(at_answer) < TRIES and quick:
            break
    expect(
        len(at_answer) < TRIES,
        did=did,
        expected=_("an answer before the last try"),
        seen=_("an answer after {count} tries").format(count=len(at_answer)),
        hint=4,
    )
    expect(
        quick,
        did=_("{did}, and GET /tries again and again meanwhile").format(did=did),
        expected=_("quick answers, also during the longest pause of {seconds:.2f} s").format(
            seconds=pause
        ),
        seen=_("{count} answers, and one GET /tries took {seconds:.2f} s").format(
            count=asked, seconds=slowest
        ),
        hint=4,
    )
