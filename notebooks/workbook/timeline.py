"""Send requests at the same moment, and draw when each began and ended."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from workbook.language import _
from workbook.plots import choose_font

PING_PAUSE = 0.02  # seconds between two heartbeats


@dataclass(frozen=True)
class Span:
    """From when to when something went on, in seconds since its burst began."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True)
class Burst:
    """Requests sent at once, and the `/ping` heartbeats sent one after another meanwhile."""

    name: str
    requests: list[Span]
    pings: list[Span]

    @property
    def seconds(self) -> float:
        """When the last request was answered."""
        return max(span.end for span in self.requests)

    @property
    def slowest_ping(self) -> float:
        return max(span.seconds for span in self.pings)

    def waves(self) -> list[int]:
        """How many were answered before the longest pause between two answers, and after it."""
        ends = sorted(span.end for span in self.requests)
        pauses = [after - before for before, after in itertools.pairwise(ends)]
        before = pauses.index(max(pauses)) + 1
        return [before, len(ends) - before]


async def burst(url: str, path: str, count: int = 10) -> Burst:
    """Send `count` requests for `path` to the server at `url` at once, and `/ping` it meanwhile.

    Raises httpx.HTTPStatusError when an answer is not a success.
    """
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=url, limits=limits, timeout=60, trust_env=False, verify=False
    ) as client:
        await client.get("/ping")  # open the heartbeat's connection before the clock runs
        began = time.perf_counter()

        async def timed(path: str) -> Span:
            start = time.perf_counter() - began
            (await client.get(path)).raise_for_status()
            return Span(start, time.perf_counter() - began)

        requests = [asyncio.create_task(timed(path)) for _ in range(count)]
        pings: list[Span] = []
        while not all(task.done() for task in requests):
            await asyncio.sleep(PING_PAUSE)
            pings.append(await timed("/ping"))
        return Burst(path, [await task for task in requests], pings)


def draw(*bursts: Burst) -> None:
    """Draw the bursts one above the other on one time axis: a bar from start to end for each."""
    choose_font()
    heights = [len(each.requests) ** 0.6 + 1.5 for each in bursts]
    figure, axes = plt.subplots(
        len(bursts),
        figsize=(8, 0.35 * sum(heights)),
        height_ratios=heights,
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, each in zip(axes[:, 0], bursts, strict=True):
        last = len(each.requests)
        requests = sorted(each.requests, key=lambda span: span.end)
        _bars(axis, range(last), requests, color="0.65", height=0.8 if last <= 40 else 1)
        _bars(
            axis,
            [last * 1.05 + 0.5] * len(each.pings),
            each.pings,
            color="black",
            height=last * 0.02 + 1,
        )
        count = _("{count} requests").format(count=last)
        axis.set_yticks([last / 2 - 0.5, last * 1.05 + 0.5], [count, "/ping"])
        axis.set_ylim(last * 1.08 + 1, -1)
        axis.tick_params(axis="y", length=0)
        axis.spines[["top", "right", "left"]].set_visible(False)
        title = _("{name}: done in {seconds:.2f} s, slowest /ping {ping:.2f} s")
        axis.set_title(
            title.format(name=each.name, seconds=each.seconds, ping=each.slowest_ping), loc="left"
        )
    axes[-1, 0].set_xlim(left=0)
    axes[-1, 0].set_xlabel(_("seconds since all were sent"))
    plt.show()
    plt.close(figure)


def _bars(
    axis: Axes, rows: Sequence[float], spans: Sequence[Span], *, color: str, height: float
) -> None:
    starts = [span.start for span in spans]
    axis.barh(rows, [span.seconds for span in spans], left=starts, height=height, color=color)
