"""Checks of frame: the stream is read as a browser's EventSource does, byte by byte."""

import json
import time
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest

from workbook.checking import Start, expect
from workbook.event_source import Event, EventSource
from workbook.language import _

pytestmark = pytest.mark.anyio

PIECE_SECONDS = 0.002
PATIENCE = 3.0  # for a whole text


@pytest.fixture
def environment() -> Mapping[str, str]:
    return {"PIECE_SECONDS": str(PIECE_SECONDS)}


def shown(text: str) -> str:
    """A text on one line, with what can't be seen as escapes."""
    quoted = json.dumps(text, ensure_ascii=False)
    quoted = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in quoted)
    return quoted if len(quoted) < 160 else f"{quoted[:110]} … {quoted[-40:]}"


async def listen(client: httpx.AsyncClient, text: str) -> AsyncIterator[Event]:
    """The events of one recital, up to its `end`, told by what the page would notice."""
    did = _("GET /recite, the text: {text}").format(text=shown(text))
    source, received = EventSource(), b""
    started = time.monotonic()
    try:
        async with client.stream("GET", "/recite", params={"text": text}) as response:
            kind = response.headers.get("content-type", _("none"))
            expect(
                response.status_code == 200 and kind.partition(";")[0] == "text/event-stream",
                did=did,
                expected=_("200 and the type text/event-stream: an EventSource takes nothing else"),
                seen=_("{status} and the type {type}").format(
                    status=response.status_code, type=kind
                ),
                hint=1,
            )
            async for chunk in response.aiter_bytes():
                received += chunk
                for event in source.feed(chunk):
                    yield event
                    if event.type == "end":
                        return
                if time.monotonic() - started > PATIENCE + len(text.encode()) * PIECE_SECONDS:
                    break
        seen, hint = _("none: the stream is over, or goes on without it"), 1
    except httpx.RemoteProtocolError:
        seen = _("the stream broke off, after the bytes {received!r}")
        seen, hint = seen.format(received=received[-40:]), 3
    expect(
        False,
        did=did,
        expected=_("events, and after them one of the type `end`"),
        seen=seen,
        hint=hint,
    )


def hint_for(text: str, wanted: str, got: str) -> int:
    """Which hint fits what became of a text."""
    if "\ufffd" in got:
        return 3
    if any(got.count(added) > text.count(added) for added in ('"', "\\n", "\\u")):
        return 2
    if text.endswith("\r") and got + "\n" == wanted:  # held back, for a piece that never came
        return 4
    if "".join(got.split()) == "".join(text.split()):  # but for spaces and line ends
        doubled = "\r\n" in text and got.count("\n") > text.count("\n")
        return 4 if doubled or got.count(" ") < text.count(" ") else 2
    if [c for c in got if c.isascii()] == [c for c in text if c.isascii()]:
        return 3
    return 2 if "\r" in text else 1


async def expect_arrives(client: httpx.AsyncClient, text: str) -> None:
    """Expect that the events' data, put together, is the text, with \\n for its line ends.

    A text of up to 40 characters is never broken at a space of its own in the advice.
    """
    data = [event.data async for event in listen(client, text) if event.type == "message"]
    wanted = text.replace("\r\n", "\n").replace("\r", "\n")
    got = "".join(data)
    seen = _("{text}, in 1 event") if len(data) == 1 else _("{text}, in {count} events")
    expect(
        got == wanted,
        did=_("GET /recite, the text: {text}").format(text=shown(text)),
        expected=_("all data, put together: {text}").format(text=shown(wanted)),
        seen=seen.format(text=shown(got), count=len(data)),
        hint=hint_for(text, wanted, got),
    )


async def test_lines_arrive(client: httpx.AsyncClient) -> None:
    """Line breaks and blank lines arrive, and what looks like the format's own lines, too."""
    await expect_arrives(client, "one\ntwo\n\nfour\n")
    await expect_arrives(client, "\n\n\n\n\n\n\n\nand then a word")
    await expect_arrives(client, "\n\nevent: end\ndata: over\n\n!")
    await expect_arrives(client, "\n\nid: 4\nretry: 9\n: no comment")
    await expect_arrives(client, "data: \ndata\nend\n\nevent: end\ndata:\n\n!")


async def test_carriage_returns_arrive(client: httpx.AsyncClient) -> None:
    """\\r and \\r\\n arrive as one \\n each, wherever the pieces are cut."""
    await expect_arrives(client, "one\rtwo\r\rfour, event: end")
    await expect_arrives(client, "\r\revent: end\rdata: \r\rfive")
    for before in range(1, 8):  # in one of these, a cut goes between \r and \n
        await expect_arrives(client, "abcdefg"[:before] + "\r\nhi")
    await expect_arrives(client, "the end\r")


async def test_characters_arrive(client: httpx.AsyncClient) -> None:
    """Every character arrives: Chinese, emoji, and those that only look like line ends."""
    await expect_arrives(client, "床前明月光,疑是地上霜。举头望明月,低头思故乡。")
    await expect_arrives(client, "a🙂b👩‍👩‍👧c")
    odd = "one\u2028two\u2029three\x85four\x0bfive\x0csix\x1cseven\ufeffeight"
    await expect_arrives(client, odd)


async def test_spaces_and_quotes_arrive(client: httpx.AsyncClient) -> None:
    """Spaces, tabs, quotes and backslashes arrive, at the edges of a piece and of a line, too."""
    await expect_arrives(client, "  a  b  \n c \n ")
    await expect_arrives(client, "\tone\n\t\ttwo\t")
    await expect_arrives(client, 'He said "\\n", not "\n".')
    await expect_arrives(client, "a b c d e f g h i j")  # a piece is " e f g "


async def test_text_comes_while_the_model_speaks(start: Start) -> None:
    """The text arrives as it is spoken, not all of it at once."""
    pause, pieces = 0.04, 15
    server = start(PIECE_SECONDS=str(pause))
    text = "seven.." * pieces
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=5) as client:
        asked = time.monotonic()
        moments = [
            time.monotonic() - asked
            async for event in listen(client, text)
            if event.type == "message" and event.data
        ]
    did = _(
        "GET /recite, a text of {pieces} pieces that the model needs {seconds:.1f} s for"
    ).format(pieces=pieces, seconds=pause * pieces)
    expected = _("text in events that come one after another, all the time that the model speaks")
    expect(moments, did=did, expected=expected, seen=_("no text at all"), hint=1)
    expect(
        moments[-1] - moments[0] > pause * pieces / 2,
        did=did,
        expected=expected,
        seen=_("the first text after {first:.2f} s and the last after {last:.2f} s").format(
            first=moments[0], last=moments[-1]
        ),
        hint=3,
    )
