"""Checks of resume: a reader as a browser is one, that is cut off and comes back."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager

import httpx
import pytest

from workbook.checking import expect
from workbook.event_source import Event, EventSource
from workbook.language import _

pytestmark = pytest.mark.anyio

QUERY_SECONDS = 0.1
ARRIVES_SECONDS = 1.5  # the longest that a reader waits for what has been posted
SILENCE_SECONDS = 0.2  # no more comes, it seems


@pytest.fixture
def environment() -> Mapping[str, str]:
    return {"QUERY_SECONDS": str(QUERY_SECONDS)}


class Reader:
    """One stream, read in the background. `events` are those that have come."""

    def __init__(self, did: str) -> None:
        self.did = did
        self.events: list[Event] = []
        self.arrived = asyncio.Event()
        self.ended = ""

    @property
    def texts(self) -> list[str]:
        return [event.data for event in self.events]

    async def read(self, response: httpx.Response) -> None:
        source = EventSource()
        try:
            async for chunk in response.aiter_bytes():
                self.events += [e for e in source.feed(chunk) if e.type == "message"]
                self.arrived.set()
            self.ended = _(", then the stream ended")
        except httpx.TransportError:
            self.ended = _(", then the stream broke off")
        self.arrived.set()

    async def wait_for(self, number: int) -> None:
        """Wait until so many events have come, and whether more do."""
        try:
            async with asyncio.timeout(QUERY_SECONDS + ARRIVES_SECONDS):
                while len(self.events) < number and not self.ended:
                    self.arrived.clear()
                    await self.arrived.wait()
        except TimeoutError:
            pass

    async def expect_texts(self, wanted: list[str], *, hint: int | None = None) -> None:
        """Expect this news and no other; the hint is the one given, or that for the symptom."""
        await self.wait_for(len(wanted))
        await asyncio.sleep(SILENCE_SECONDS)
        expect(
            self.texts == wanted,
            did=self.did,
            expected=_("{news}, each once and in this order").format(news=told(wanted)),
            seen=told(self.texts) + self.ended,
            hint=hint or self.symptom(wanted),
        )

    def symptom(self, wanted: list[str]) -> int:
        twice = len(set(self.texts)) < len(self.texts)
        if self.texts[-len(wanted) :] == wanted and not twice and self.events[-1].last_id == "":
            return 1
        return 4 if twice else 2


def told(texts: list[str]) -> str:
    if len(texts) > 9:
        first, last = _(", ").join(texts[:4]), _(", ").join(texts[-4:])
        some = _("{first} … {last} ({count} events)")
        return some.format(first=first, last=last, count=len(texts))
    return _(", ").join(texts) or _("no news")


async def post(client: httpx.AsyncClient, *texts: str) -> None:
    for text in texts:
        response = await client.post("/news", data={"text": text})
        expect(
            response.status_code == 201,
            did=_("POST /news with text={text}").format(text=text),
            expected="201",
            seen=f"{response.status_code} {response.text[:100]}",
            hint=1,
        )


@asynccontextmanager
async def reading(
    client: httpx.AsyncClient, did: str, last_id: str | None = None
) -> AsyncIterator[Reader]:
    """Read the news in the background, as a browser that last saw the event `last_id`."""
    headers = []
    if last_id is not None:
        headers = [(b"Last-Event-ID", last_id.encode("latin-1"))]
        short = last_id if len(last_id) < 40 else last_id[:9] + "…"
        did = _("{did}, with Last-Event-ID: {last_id}").format(did=did, last_id=short)
    async with client.stream("GET", "/news", headers=headers) as response:
        kind = response.headers.get("content-type", _("none"))
        expect(
            response.status_code == 200 and kind.partition(";")[0] == "text/event-stream",
            did=did,
            expected=_("200 and the type text/event-stream: with others an EventSource gives up"),
            seen=_("{status} and the type {type}").format(status=response.status_code, type=kind),
            hint=3,
        )
        reader = Reader(did)
        task = asyncio.create_task(reader.read(response))
        try:
            yield reader
        finally:
            task.cancel()
            await asyncio.wait([task])


async def read_all(client: httpx.AsyncClient, wanted: list[str]) -> list[Event]:
    """All the news, as one who has never been here gets it, each event with an id."""
    async with reading(client, _("GET /news, for the first time")) as reader:
        await reader.wait_for(len(wanted))
    expect(
        reader.texts == wanted,
        did=reader.did,
        expected=told(wanted),
        seen=told(reader.texts) + reader.ended,
        hint=2,
    )
    ids = [event.last_id for event in reader.events]
    some = _("the ids {ids}, …").format(ids=_(", ").join(map(repr, ids[:5])))
    expect(
        all(ids) and len(set(ids)) == len(ids),
        did=reader.did,
        expected=_("each event has an `id`, and no two the same"),
        seen=some if any(ids) else _("no ids"),
        hint=2 if any(ids) else 1,
    )
    return reader.events


async def at_once(*parts: Coroutine[None, None, None]) -> None:
    """Await them together, and fail as the first of them does that fails, in their order."""
    for result in await asyncio.gather(*parts, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


NEWS = [f"news {number}" for number in range(1, 13)]  # more than 9: as texts, "10" < "9"


async def test_first_visit_gets_everything(client: httpx.AsyncClient) -> None:
    """Who comes for the first time gets all the news, each with an id, then what is posted."""
    await post(client, *NEWS)
    await read_all(client, NEWS)
    did = _("GET /news, for the first time; then news 13 and news 14 were posted")
    async with reading(client, did) as reader:
        await reader.wait_for(len(NEWS))
        await asyncio.sleep(QUERY_SECONDS)
        await post(client, "news 13", "news 14")
        await reader.expect_texts([*NEWS, "news 13", "news 14"])
    last_ids = [event.last_id for event in reader.events[-3:]]
    expect(
        len(set(last_ids)) == 3,
        did=reader.did,
        expected=_("each event has an `id` of its own, those that came later, too"),
        seen=_("a page that has read news 12, 13 and 14 knows the ids {ids}").format(
            ids=_(", ").join(last_ids)
        ),
        hint=1,
    )


async def test_who_comes_back_gets_the_rest(client: httpx.AsyncClient) -> None:
    """With the id of an event comes what followed it, and nothing else, then what is posted."""
    await post(client, *NEWS)
    ids = [event.last_id for event in await read_all(client, NEWS)]

    async def come_back(read: int) -> None:
        did = _("read {read} of the {count} news, was cut off, and came back: GET /news").format(
            read=read, count=len(NEWS)
        )
        async with reading(client, did, ids[read - 1]) as reader:
            await reader.wait_for(len(NEWS) - read)
        expect(
            reader.texts == NEWS[read:],
            did=reader.did,
            expected=told(NEWS[read:]),
            seen=told(reader.texts) + reader.ended,
            hint=1 if reader.texts[:1] == NEWS[:1] and read > 1 else 2,
        )

    await at_once(*map(come_back, (3, 9, 11, 1)))
    did = _("read all the news, was cut off, and came back; then more news was posted: GET /news")
    async with reading(client, did, ids[-1]) as reader:
        await asyncio.sleep(2 * QUERY_SECONDS)
        await post(client, "news 13", "news 14")
        await reader.expect_texts(["news 13", "news 14"])
    did = _("read news 13 when it was posted, was cut off, and came back: GET /news")
    async with reading(client, did, reader.events[0].last_id) as reader:
        await reader.expect_texts(["news 14"])


async def test_comes_back_again_and_again(client: httpx.AsyncClient) -> None:
    """One who is cut off after every third event, while another reads, has each of them once."""
    await post(client, *NEWS)
    read: list[str] = []
    last_id: str | None = None
    async with reading(client, _("GET /news, all along")) as other:
        for visit in range(1, 5):
            did = _(
                "was cut off after three events and came again, visit {visit}: GET /news"
            ).format(visit=visit)
            async with reading(client, did, last_id) as reader:
                await reader.wait_for(3)
                got = reader.events[:3]
            read += [event.data for event in got]
            last_id = (got[-1].last_id or None) if got else last_id
            expect(
                read == NEWS[: 3 * visit],
                did=reader.did,
                expected=_("by now {news}, each once").format(news=told(NEWS[: 3 * visit])),
                seen=_("by now {news}").format(news=told(read)),
                hint=2 if any(event.last_id for event in got) or (visit > 1 and last_id) else 1,
            )
        await other.expect_texts(NEWS)


async def test_nothing_is_lost_while_it_connects(client: httpx.AsyncClient) -> None:
    """What is posted while a reader connects comes once, whether it is new or comes back."""
    await post(client, *NEWS[:3])
    ids = [event.last_id for event in await read_all(client, NEWS[:3])]
    posted = list(NEWS[:3])
    did = _("opened the stream while news was posted without a pause: GET /news")
    async with reading(client, did) as new, reading(client, did, ids[1]) as back:
        for _time in range(12):
            posted.append(f"news {len(posted) + 1}")
            await post(client, posted[-1])
            await asyncio.sleep(QUERY_SECONDS / 6)

        async def expect_all_after(already: int, reader: Reader) -> None:
            begun = not reader.texts or reader.texts[0] == posted[already]
            await reader.expect_texts(posted[already:], hint=4 if begun else 2)

        await at_once(expect_all_after(0, new), expect_all_after(2, back))


async def test_an_unknown_id_gets_everything(client: httpx.AsyncClient) -> None:
    """An id that is none of ours is answered with all the news, and never with an error."""
    await post(client, *NEWS[:3])

    async def come_back(last_id: str) -> None:
        async with reading(client, "GET /news", last_id) as reader:
            await reader.wait_for(3)
        expect(
            reader.texts == NEWS[:3],
            did=reader.did,
            expected=_("everything: {news}").format(news=told(NEWS[:3])),
            seen=told(reader.texts) + reader.ended,
            hint=3,
        )

    await at_once(*map(come_back, ("abc", "-1", "999999", "1.5", "", "²", "9" * 5000)))
