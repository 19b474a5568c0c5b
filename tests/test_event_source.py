"""The reader of event streams that the checks use, by the rules of the WHATWG."""

import pytest

from workbook.event_source import Event, EventSource

STREAM = (
    "\ufeff: a comment\n"
    "data: first\r\n\r\n"
    "event: note\rid: 7\rdata: 两行\rdata:  here\r\r"
    "data\n\n"  # an empty line of data is an event, too
    "event: lost\n\n"  # without data it is none
    "id: a\0b\nretry: 9\nunknown: x\ndata: last\n\n"
    "data: never dispatched"
).encode()
EVENTS = [
    Event("message", "first", ""),
    Event("note", "两行\n here", "7"),
    Event("message", "", "7"),
    Event("message", "last", "7"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 5, len(STREAM)])
def test_events_are_the_same_wherever_the_stream_is_cut(size: int) -> None:
    source = EventSource()
    pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    assert [event for piece in pieces for event in source.feed(piece)] == EVENTS
    assert source.comments == ["a comment"]
    assert source.ignored == ["unknown: x"]


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert EventSource().feed(b"data: \xff\n\n") == [Event("message", "\ufffd", "")]
