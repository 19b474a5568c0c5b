"""Checks of `gather`: three suppliers, played here, and how the app gets on with them."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, suppress

import httpx
import pytest

from workbook.checking import expect
from workbook.language import _

pytestmark = pytest.mark.anyio

PRICES: dict[str, float | None] = {"anxi": 12.5, "hangzhou": 11.0, "wuyi": 9.5}
TIMEOUT = 0.5
SLOW = 4 * TIMEOUT
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"


class Suppliers:
    """The suppliers' server. Who is named in `behaviour` behaves like that, the others well."""

    def __init__(self) -> None:
        self.behaviour: dict[str, str] = {}
        self.tea = ""  # that counts: who was asked for another one comes from an earlier chance
        self.asked: list[str] = []
        self.all_asked = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with AsyncExitStack() as stack:
            stack.callback(writer.close)
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            supplier = next((s for s in PRICES if f"/suppliers/{s}/" in head), "unknown")
            if f"/{self.tea} " in head:
                self.asked.append(supplier)
            if set(self.asked) == set(PRICES):
                self.all_asked.set()
            await self.answer(supplier, writer)
            await writer.drain()

    async def answer(self, supplier: str, writer: asyncio.StreamWriter) -> None:
        body = b'{"price": %.1f}' % (PRICES.get(supplier) or 0)
        match self.behaviour.get(supplier):
            case "waits until all are asked":
                with suppress(TimeoutError):  # or the answer would log that it was cut off
                    await asyncio.wait_for(self.all_asked.wait(), TIMEOUT)
            case "hangs":
                await asyncio.sleep(SLOW)
            case "dawdles":
                for i in range(20):  # spaces before JSON mean nothing
                    writer.write(OK if i == 0 else b" ")
                    await asyncio.sleep(SLOW / 20)
                writer.write(body)
                return
            case "closes":
                return
            case "fails":
                writer.write(OK.replace(b"200 OK", b"503 Service Unavailable") + b"{}")
                return
            case "sends a page":
                body = b"<h1>Back soon!</h1>"
            case "sends no price":
                body = b'{"sorry": "sold out"}'
            case "sends a list":
                body = b"[]"
            case "sends null":
                body = b'{"price": null}'
        writer.write(OK + body)


@pytest.fixture
async def suppliers() -> AsyncIterator[tuple[Suppliers, str]]:
    suppliers = Suppliers()
    conversations: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversations.add(asyncio.ensure_future(suppliers.serve(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    yield suppliers, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for conversation in conversations:
        conversation.cancel()
    await asyncio.gather(*conversations, return_exceptions=True)


@pytest.fixture
def environment(suppliers: tuple[Suppliers, str]) -> Mapping[str, str]:
    return {"SUPPLIERS_URL": suppliers[1], "TIMEOUT": str(TIMEOUT)}


async def check_null(
    client: httpx.AsyncClient,
    suppliers: Suppliers,
    supplier: str,
    behaviour: str,
    in_words: str,
    late: int,
) -> None:
    """Ask while one supplier behaves badly: its price is null, the others' are there in time."""
    did = _("GET /prices/longjing while {supplier} {behaves}, with TIMEOUT={seconds}").format(
        supplier=supplier, behaves=in_words, seconds=TIMEOUT
    )
    suppliers.behaviour = {supplier: behaviour}
    expected = {**PRICES, supplier: None}
    for _chance in range(2):  # on a busy machine even a good supplier may come too late
        try:
            answer = await client.get("/prices/longjing", timeout=0.8 * SLOW)
        except httpx.TimeoutException:
            expect(
                False,
                did=did,
                expected=_("an answer after {seconds} s, without waiting for {supplier}").format(
                    seconds=TIMEOUT, supplier=supplier
                ),
                seen=_("none had come after {seconds:.1f} s").format(seconds=0.8 * SLOW),
                hint=late,
            )
        if answer.status_code != 200:
            break
        if answer.json() == expected:
            return
    expect(
        False,
        did=did,
        expected=_("200, null for {supplier} and the others' prices: {prices}").format(
            supplier=supplier, prices=json.dumps(expected)
        ),
        seen=_("{status} and {text}").format(status=answer.status_code, text=answer.text[:200]),
        hint=3,
    )


async def test_the_suppliers_are_asked_together(
    client: httpx.AsyncClient, suppliers: tuple[Suppliers, str]
) -> None:
    """All suppliers are asked before the first has answered."""
    played, _url = suppliers
    played.behaviour = dict.fromkeys(PRICES, "waits until all are asked")
    for tea in ("longjing", "biluochun", "maofeng"):  # once is enough on a busy machine
        played.tea = tea
        played.asked.clear()
        played.all_asked.clear()
        asking = asyncio.ensure_future(client.get(f"/prices/{tea}"))
        await asyncio.wait([asking], timeout=TIMEOUT)
        asked = list(played.asked)
        if played.all_asked.is_set():
            break
        asking.cancel()
    expect(
        played.all_asked.is_set(),
        did=_("GET /prices/{tea}, each supplier answering only once all three were asked").format(
            tea=tea
        ),
        expected=_("all three are asked at once"),
        seen=_("after {seconds} s these had been asked: {suppliers}").format(
            seconds=TIMEOUT, suppliers=", ".join(asked) or _("none")
        ),
        hint=1,
    )
    answer = await asking
    expect(
        answer.status_code == 200 and answer.json() == PRICES,
        did=_("GET /prices/{tea}, with three suppliers that are well").format(tea=tea),
        expected=_("200 and their prices: {prices}").format(prices=json.dumps(PRICES)),
        seen=_("{status} and {text}").format(status=answer.status_code, text=answer.text[:200]),
        hint=5,
    )


async def test_a_supplier_that_hangs_is_null(
    client: httpx.AsyncClient, suppliers: tuple[Suppliers, str]
) -> None:
    """A supplier that hangs is null when `TIMEOUT` is over, and takes nobody with it."""
    await check_null(client, suppliers[0], "hangzhou", "hangs", _("hangs"), late=2)


async def test_a_supplier_that_dawdles_is_null(
    client: httpx.AsyncClient, suppliers: tuple[Suppliers, str]
) -> None:
    """A supplier that sends a byte now and then is null when `TIMEOUT` is over."""
    await check_null(client, suppliers[0], "wuyi", "dawdles", _("dawdles"), late=4)


async def test_a_supplier_that_fails_is_null(
    client: httpx.AsyncClient, suppliers: tuple[Suppliers, str]
) -> None:
    """A supplier that is down or talks nonsense is null, and the others' prices are there."""
    for supplier, behaviour, in_words in [
        ("anxi", "closes", _("closes the connection")),
        ("hangzhou", "fails", _("answers 503")),
        ("wuyi", "sends a page", _("sends a page that is no JSON")),
        ("anxi", "sends no price", _("sends JSON without a price")),
        ("hangzhou", "sends a list", _("sends a JSON list")),
        ("wuyi", "sends null", _("sends a price of null")),
    ]:
        await check_null(client, suppliers[0], supplier, behaviour, in_words, late=2)
