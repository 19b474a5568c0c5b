"""Checks of `unblock`: who waits while a report is made."""

import asyncio
import time
from statistics import median_high  # a busy machine makes some of them late
from typing import Any

import httpx
import pytest

from workbook.checking import expect
from workbook.language import _

pytestmark = pytest.mark.anyio

REPORT_SECONDS = 0.4
QUICK = REPORT_SECONDS / 2  # a /ping that has not waited for a report


async def get_report(client: httpx.AsyncClient, year: int) -> None:
    answer = await client.get(f"/reports/{year}")
    report = {"year": year, "pages": year % 100 // 2}
    expect(
        answer.status_code == 200 and answer.json() == report,
        did=f"GET /reports/{year}",
        expected=_("200 and the report, {report}").format(report=report),
        seen=_("{status} and {text}").format(status=answer.status_code, text=answer.text[:200]),
        hint=3,
    )


async def time_pings(client: httpx.AsyncClient, work: "asyncio.Future[Any]") -> list[float]:
    """Until the work is done, ask for /ping again and again: the seconds that each took."""
    pings: list[float] = []
    while not work.done():
        await asyncio.sleep(0.03)  # also before the first, so that the work comes before it
        asked = time.perf_counter()
        ping = asyncio.ensure_future(client.get("/ping"))
        await asyncio.wait([ping, work], return_when=asyncio.FIRST_COMPLETED)
        pings.append(time.perf_counter() - asked)
        if ping.done():
            ping.result()
        ping.cancel()
    return pings


async def test_each_report_is_the_librarys(client: httpx.AsyncClient) -> None:
    """Each answer is the report that was asked for, made by the slow library."""
    started = time.perf_counter()
    await get_report(client, 2024)
    seconds = time.perf_counter() - started
    expect(
        seconds > 0.9 * REPORT_SECONDS,
        did="GET /reports/2024",
        expected=_("make_report, unchanged, takes {seconds} s for it").format(
            seconds=REPORT_SECONDS
        ),
        seen=_("the answer came after {seconds:.2f} s").format(seconds=seconds),
        hint=1,
    )


async def test_ten_reports_take_about_as_long_as_one(client: httpx.AsyncClient) -> None:
    """Ten reports at once take about as long as one."""
    started = time.perf_counter()
    await get_report(client, 2010)
    one = max(REPORT_SECONDS, time.perf_counter() - started)

    reports = [asyncio.ensure_future(get_report(client, 2011 + i)) for i in range(10)]
    waiting = asyncio.ensure_future(asyncio.wait(reports, timeout=4 * one))
    pings = await time_pings(client, waiting)
    done, late = await waiting
    for report in late:
        report.cancel()
    for report in done:
        report.result()
    if median_high(pings) < QUICK:
        seen = _(
            "one took {one:.1f} s; {four:.1f} s after asking for ten, {count} had come, "
            "though /ping was quick"
        )
    else:
        seen = _(
            "one took {one:.1f} s; {four:.1f} s after asking for ten, {count} had come, "
            "and /ping had to wait, too"
        )
    expect(
        not late,
        did=_("asked for one report, then for ten at once"),
        expected=_("ten take about as long as one"),
        seen=seen.format(one=one, four=4 * one, count=len(done)),
        hint=4 if median_high(pings) < QUICK else 2,
    )


async def test_ping_never_waits(client: httpx.AsyncClient) -> None:
    """`/ping` answers at once while reports are made."""
    for _chance in range(3):  # one clear round will do
        reports = asyncio.gather(get_report(client, 2023), get_report(client, 2024))
        pings = await time_pings(client, reports)
        await reports
        if not QUICK < median_high(pings) < 0.9 * REPORT_SECONDS:  # quick, or blocked for all of it
            break
    expect(
        median_high(pings) < QUICK,
        did=_("asked for two reports, and for /ping again and again until they came"),
        expected=_("most answers take less than {seconds} s").format(seconds=QUICK),
        seen=_("a typical one took {seconds:.2f} s").format(seconds=median_high(pings)),
        hint=1,
    )
