"""Checks of `unblock`: who waits while a report is made."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from workbook.checking import expect

pytestmark = pytest.mark.anyio

REPORT_SECONDS = 0.4


async def get_report(client: httpx.AsyncClient, year: int) -> None:
    answer = await client.get(f"/reports/{year}")
    report = {"year": year, "pages": year % 100 // 2}
    expect(
        answer.status_code == 200 and answer.json() == report,
        did=f"GET /reports/{year}",
        expected=f"200 and the report, {report}",
        seen=f"{answer.status_code} and {answer.text[:200]}",
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
        expected=f"make_report, unchanged, takes {REPORT_SECONDS} s for it",
        seen=f"the answer came after {seconds:.2f} s",
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
    expect(
        not late,
        did="asked for one report, then for ten at once",
        expected="ten take about as long as one",
        seen=f"one took {one:.1f} s; {4 * one:.1f} s after asking for ten, {len(done)} had come"
        + (", though /ping was quick" if pings > 10 else ", and /ping had to wait, too"),
        hint=4 if pings > 10 else 2,
    )


async def test_ping_never_waits(client: httpx.AsyncClient) -> None:
    """`/ping` answers at once while reports are made."""
    for _ in range(2):  # a second chance on a busy machine
        started = time.perf_counter()
        reports = asyncio.gather(get_report(client, 2023), get_report(client, 2024))
        pings = await count_pings(client, reports)
        await reports
        seconds = time.perf_counter() - started
        if pings > 4:
            break
    expect(
        pings > 4,
        did="asked for two reports, and for /ping again and again until they came",
        expected="/ping answers many times meanwhile",
        seen=f"it answered {pings} times in {seconds:.1f} s",
        hint=1,
    )
