"""Checks of job_status: what can be known about a report, from its order to its end."""

import asyncio
import re
import time
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from workbook.checking import expect
from workbook.language import _

pytestmark = pytest.mark.anyio

COUNT_SECONDS = 0.1
LOOK = 0.06  # seconds from one question to the next: each count is seen at least once
FIVE = ["anxi", "hangzhou", "kunming", "suzhou", "wuyi"]
ENDS = ("done", "failed")
DEADLINE = 3


@pytest.fixture
def environment() -> Mapping[str, str]:
    return {"COUNT_SECONDS": str(COUNT_SECONDS)}


def result_of(cities: list[str]) -> dict[str, int]:
    return {city: len(city) * 100 for city in cities}


async def order(client: httpx.AsyncClient, cities: list[str]) -> httpx.URL:
    """Order a report and return its address."""
    # A task that fails takes the connection with it: the next request gets one of its own.
    answer = await client.post("/reports", json=cities, headers={"Connection": "close"})
    location = answer.headers.get("Location")
    expect(
        answer.status_code == 202 and location,
        did=_("POST /reports with {cities}").format(cities=", ".join(cities)),
        expected=_("202 and a Location header"),
        seen=_("{status}, Location: {location}, {body}").format(
            status=answer.status_code, location=location or _("none"), body=answer.text[:200]
        ),
        hint=2,
    )
    return answer.url.join(location)


async def ask(client: httpx.AsyncClient, address: httpx.URL) -> dict[str, Any]:
    """What GET tells about a report, which has one of the four statuses."""
    answer = await client.get(address)
    told = answer.json() if answer.status_code == 200 else None
    known = isinstance(told, dict) and told.get("status") in ("pending", "running", *ENDS)
    expect(
        known,
        did=_("POST /reports, then GET {path}, its Location").format(path=address.path),
        expected=_("200 and a `status`: pending, running, done or failed"),
        seen=f"{answer.status_code} {answer.text[:200]}",
        hint=1,
    )
    assert isinstance(told, dict)
    return told


async def follow(client: httpx.AsyncClient, address: httpx.URL) -> list[dict[str, Any]]:
    """All that GET tells about a report until it ends or too much time is over."""
    deadline = time.monotonic() + DEADLINE
    told = [await ask(client, address)]
    while told[-1]["status"] not in ENDS and time.monotonic() < deadline:
        await asyncio.sleep(LOOK)
        told.append(await ask(client, address))
    return told


def in_time(told: list[dict[str, Any]]) -> str:
    """What was told until the deadline."""
    return _("within {seconds} s: {told}").format(seconds=DEADLINE, told=in_words(told))


def in_words(told: list[dict[str, Any]]) -> str:
    """The statuses, each once, with the progress where there is some: "running 0.2, done"."""
    words = []
    for now in told:
        progress = now.get("progress", _("without progress"))
        progress = f"{progress:.2f}" if isinstance(progress, float) else progress
        words.append(f"running {progress}" if now["status"] == "running" else now["status"])
    return _(", then ").join(dict.fromkeys(words))


async def test_the_order_is_answered_at_once(client: httpx.AsyncClient) -> None:
    """POST answers 202 with a Location, before the report is done."""
    for _round in range(3):  # once would do: a machine may be busy for a moment
        began = time.monotonic()
        address = await order(client, FIVE)
        seconds = time.monotonic() - began
        told = await ask(client, address)
        if told["status"] not in ENDS:
            break
        await follow(client, address)
    expect(
        told["status"] not in ENDS,
        did=_("POST /reports with five cities, then GET its Location"),
        expected=_("pending or running: the answer is there before the report"),
        seen=_("POST took {seconds:.2f} s, and the report was {status}").format(
            seconds=seconds, status=told["status"]
        ),
        hint=2,
    )


async def test_progress_can_be_watched(client: httpx.AsyncClient) -> None:
    """A running report tells its progress, which grows, and then the result."""
    told = await follow(client, await order(client, FIVE))
    did = _("POST /reports with five cities, then GET its Location again and again")
    progress = [now.get("progress") for now in told if now["status"] == "running"]
    shares = [p for p in progress if isinstance(p, int | float) and 0 <= p <= 1]
    expect(
        shares == progress and len(set(shares)) >= 3 and shares == sorted(shares),
        did=did,
        expected=_("running, with a progress that grows from 0 to 1"),
        seen=in_words(told),
        hint=3 if len(told) > 2 else 2,  # one or two answers: the questions had to wait
    )
    expect(
        told[-1]["status"] == "done",
        did=did,
        expected=_("done in the end"),
        seen=in_time(told),
        hint=1,
    )
    expect(
        told[-1].get("result") == result_of(FIVE),
        did=did,
        expected=_("done, with the result {result}").format(result=result_of(FIVE)),
        seen=f"{told[-1]}",
        hint=1,
    )


async def test_one_report_is_made_at_a_time(client: httpx.AsyncClient) -> None:
    """Reports wait as pending for those before them, and each has its own result."""
    for _round in range(3):  # one clear round will do: a busy machine may look away for too long
        if await watch_three(client):
            return
    expect(
        False,
        did=_("POST /reports three times, then GET all three Locations again and again"),
        expected=_("one is running, those before it are done, those after it pending"),
        seen=_("none was pending while another was running"),
        hint=3,
    )


async def watch_three(client: httpx.AsyncClient) -> bool:
    """Order three, which have to be made one after the other; whether one was seen to wait."""
    orders = [FIVE[:3], FIVE[3:], FIVE[2:4]]
    addresses = [await order(client, cities) for cities in orders]
    did = _("POST /reports three times, then GET all three Locations again and again")
    expect(
        len(set(addresses)) == 3,
        did=did,
        expected=_("three addresses"),
        seen=f"{', '.join(address.path for address in addresses)}",
        hint=1,
    )
    at_once = ""
    waited = False
    deadline = time.monotonic() + DEADLINE
    last: list[str] = []
    while set(last) != {"done"} and time.monotonic() < deadline:
        # From the last to the first: when the later one has begun, those before it have ended.
        told = [await ask(client, address) for address in reversed(addresses)][::-1]
        last = [now["status"] for now in told]
        begun = max((i for i in range(3) if last[i] != "pending"), default=0)
        if any(status not in ENDS for status in last[:begun]):
            at_once = at_once or ", ".join(last)
        waited = waited or ("running" in last[:2] and last[2] == "pending")
        await asyncio.sleep(COUNT_SECONDS)
    expect(
        set(last) == {"done"},
        did=did,
        expected=_("all done in the end"),
        seen=_("after {seconds} s: {told}").format(seconds=DEADLINE, told=", ".join(last)),
        hint=1,
    )
    results = [now.get("result") for now in told]
    expect(
        results == [result_of(cities) for cities in orders],
        did=did,
        expected=_("each has the result for its own cities: {results}").format(
            results=[*map(result_of, orders)]
        ),
        seen=f"{results}",
        hint=1,
    )
    expect(
        not at_once,
        did=did,
        expected=_("one is running, those before it are done, those after it pending"),
        seen=_("at one moment: {told}").format(told=at_once),
        hint=3,
    )
    return waited


async def test_a_failure_is_told(client: httpx.AsyncClient) -> None:
    """A report that fails tells why, and the one after it is made."""
    failing = await order(client, ["anxi", "atlantis", "wuyi"])
    following = await order(client, ["wuyi"])
    told = await follow(client, failing)
    did = _(
        "POST /reports with anxi, atlantis (which has no warehouse) and wuyi, then GET its Location"
    )
    expect(
        told[-1]["status"] == "failed",
        did=did,
        expected=_("failed in the end"),
        seen=in_time(told),
        hint=4,
    )
    error = "there is no warehouse in atlantis"
    expect(
        error in str(told[-1].get("error")),
        did=did,
        expected=_("an `error` with what count_parcels said: {error}").format(error=error),
        seen=f"{told[-1]}",
        hint=4,
    )
    told = await follow(client, following)
    expect(
        told[-1]["status"] == "done",
        did=_(
            "POST /reports for a report that fails and for one more, then GET that one's Location"
        ),
        expected=_("done in the end"),
        seen=in_time(told),
        hint=4,
    )
    again = await ask(client, failing)
    expect(
        again["status"] == "failed",
        did=_("{did} once more, when the next report was done").format(did=did),
        expected=_("still failed"),
        seen=again["status"],
        hint=1,
    )


# For each character that an id may have, the next of its kind: a hex digit stays a hex digit.
NEXT = str.maketrans(
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_",
    "1234567890bcdefahijklmnopqrstuvwxyzgBCDEFAHIJKLMNOPQRSTUVWXYZGa",
)


def another(key: str) -> str:
    """An id of the same make and length that was never given; a short number gets longer."""
    if key.isdecimal():
        return str(int(key) + 10**6).zfill(len(key))
    return key.translate(NEXT)


async def test_an_unknown_report_is_not_found(client: httpx.AsyncClient) -> None:
    """GET of a report that never was answers 404."""
    address = await order(client, ["wuyi"])
    given = address.raw_path.decode()
    unknown = re.sub(r"\w+(?=\W*$)", lambda match: another(match[0]), given)
    answer = await client.get(unknown)
    expect(
        answer.status_code == 404,
        did=_("POST /reports, which gave {given}, then GET {unknown}").format(
            given=given, unknown=unknown
        ),
        expected="404",
        seen=f"{answer.status_code} {answer.text[:200]}",
        hint=5,
    )
