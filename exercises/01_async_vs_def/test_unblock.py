"""Checks of `unblock`: who waits while a report is made."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from workbook.checking import expect
from workbook.language import _

pytestmark = pytest.mark.anyio

REPORT_SECONDS = 0.4


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


async def count_pings(client: httpx.AsyncClient, work: "asyncio.Future[Any]") -> int:
    """How often /ping answers until the work is done."""
    pings = 0
    while not work.done():
        await client.get("/ping")
        pings += 1
        await asyncio.sleep(0.03)
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
    pings = await count_pings(client, waiting)
    done, late = await waiting
    for report in late:
        report.cancel()
    for report in done:
        report.result()
    if pings > 10:
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
        hint=4 if pings > 10 else 2,
    )


async def test_ping_never_waits(client: httpx.AsyncClient) -> None:
    """`/ping` answers at once while reports are made."""
    for _chance in range(2):  # a second chance on a busy machine
        started = time.perf_counter()
        reports = asyncio.gather(get_report(client, 2023), get_report(client, 2024))
        pings = await count_pings(client, reports)
        await reports
        seconds = time.perf_counter() - started
        if pings > 4:
            break
    expect(
        pings > 4,
        did=_("asked for two reports, and for /ping again and again until they came"),
        expected=_("/ping answers many times meanwhile"),
        seen=_("it answered {count} times in {seconds:.1f} s").format(count=pings, seconds=seconds),
        hint=1,
    )
