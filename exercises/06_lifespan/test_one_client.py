"""Checks of one_client: a carrier counts who connects, and when they hang up."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from workbook.checking import expect
from workbook.language import _
from workbook.server import Server

pytestmark = pytest.mark.anyio

REPORT_SECONDS = 0.4  # what the answer does after it has closed its pool
BURST = 10
PATIENCE = 1.0  # how long the carrier waits for a burst to be complete


class Connection(BaseHTTPRequestHandler):
    server: "Carrier"
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet

    def setup(self) -> None:
        super().setup()
        with self.server.lock:
            self.server.opened += 1
            self.server.all_closed.clear()

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.asking += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.asking)
            if self.server.asking >= self.server.burst:
                self.server.complete.set()
        self.server.complete.wait(PATIENCE)
        self.server.complete.set()  # out of patience: nobody else has to wait
        with self.server.lock:
            self.server.asking -= 1
        body = json.dumps({"parcel": self.path.rpartition("/")[2]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def finish(self) -> None:
        with self.server.lock:
            self.server.closed.append(time.monotonic())
            if len(self.server.closed) == self.server.opened:
                self.server.all_closed.set()
        super().finish()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Carrier(ThreadingHTTPServer):
    """Where the parcels are known. In threads of its own: it answers while an app starts, too."""

    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.lock = threading.Lock()
        self.complete = threading.Event()
        self.opened = self.asking = self.most_at_once = 0
        self.burst = 1  # so many are answered together
        self.closed: list[float] = []  # when
        self.all_closed = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # somebody hung up


@pytest.fixture
def carrier() -> Iterator[Carrier]:
    with Carrier() as carrier:
        thread = threading.Thread(target=carrier.serve_forever, args=(0.02,))
        thread.start()
        yield carrier
        carrier.shutdown()
        thread.join()


@pytest.fixture
def environment(carrier: Carrier) -> Mapping[str, str]:
    return {"CARRIER_URL": f"http://127.0.0.1:{carrier.server_port}"}


async def ask(client: httpx.AsyncClient, number: int) -> None:
    answer = await client.get(f"/parcels/{number}")
    expect(
        answer.status_code == 200 and f"{number}" in answer.text,
        did=_("GET /parcels/{number}, and the carrier knows every parcel").format(number=number),
        expected=_("200 and the carrier's answer, however many asked before"),
        seen=f"{answer.status_code} {answer.text[:80]}",
        hint=2,
    )


async def test_calls_share_a_connection(client: httpx.AsyncClient, carrier: Carrier) -> None:
    """Ten requests one after another need no more than three connections to the carrier."""
    before = carrier.opened
    for number in range(10):
        await ask(client, number)
    expect(
        carrier.opened - before <= 3,
        did=_("asked for 10 parcels, one after another"),
        expected=_("1 connection to the carrier serves them all, 3 at most"),
        seen=_("{count} connections").format(count=carrier.opened - before),
        hint=1,
    )


async def test_bursts_share_connections(client: httpx.AsyncClient, carrier: Carrier) -> None:
    """Ten requests at once reach the carrier together, and ten more come over the same ten."""
    carrier.burst = BURST
    opened = []
    for _burst in range(2):
        carrier.complete.clear()
        before = carrier.opened
        await asyncio.gather(*(ask(client, number) for number in range(BURST)))
        opened.append(carrier.opened - before)
    first, new = opened
    thrown_away = first + new == 2 * BURST and await asyncio.to_thread(carrier.all_closed.wait, 0.5)
    expect(
        carrier.most_at_once > BURST // 2 or thrown_away,
        did=_("asked for {count} parcels at once, of a carrier that takes its time").format(
            count=BURST
        ),
        expected=_("the carrier is asked for all of them at the same time"),
        seen=_("at most {most} of the {count} at a time: the others queued").format(
            most=carrier.most_at_once, count=BURST
        ),
        hint=3,
    )
    expect(
        new <= BURST // 2,
        did=_("asked for {count} parcels at once, and when all had come, for {count} more").format(
            count=BURST
        ),
        expected=_("the second burst finds the connections of the first still open"),
        seen=_("{first} connections for the first burst, {new} new ones for the second").format(
            first=first, new=new
        ),
        hint=1 if thrown_away else 3,
    )


async def test_pool_closes_before_report(
    client: httpx.AsyncClient, answer: Server, carrier: Carrier
) -> None:
    """At the stop the connections are closed, and the report is written after that."""
    await ask(client, 1)
    await asyncio.sleep(0.1)  # a connection that is not kept is closed by now
    expect(
        carrier.opened > len(carrier.closed),
        did=_("asked for a parcel, and waited a moment"),
        expected=_("the connection to the carrier stays open, for the next request"),
        seen=_("it is closed already"),
        hint=1,
    )
    await asyncio.to_thread(answer.stop)
    ended = time.monotonic()
    await asyncio.to_thread(carrier.all_closed.wait, 2)
    early = ended - max(carrier.closed)
    expect(
        "report is written" in answer.log(),
        did=_("stopped the app"),
        expected=_("it writes the day's report, as before"),
        seen=_("it ended without a report"),
        hint=4,
    )
    expect(
        early > REPORT_SECONDS / 2,
        did=_("stopped the app, whose report takes the last {seconds} s").format(
            seconds=REPORT_SECONDS
        ),
        expected=_("its connections are closed about {seconds} s before the process ends").format(
            seconds=REPORT_SECONDS
        ),
        seen=_("they were open until {seconds:.2f} s before the end").format(seconds=max(early, 0)),
        hint=4,
    )
