"""What a browser's EventSource makes of a stream's bytes, all but its coming back.

The rules are those of the WHATWG's HTML standard, "Interpreting an event stream".
"""

import codecs
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """What a page is told. `last_id` is this event's id, or the last one before it."""

    type: str
    data: str
    last_id: str


class EventSource:
    """One connection: feed it what arrives, cut anywhere."""

    def __init__(self) -> None:
        self.comments: list[str] = []  # a page hears neither of these
        self.ignored: list[str] = []  # lines that name no field of an event
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._after_cr = False
        self._line = self._type = self._data = self._last_id = ""

    def feed(self, received: bytes) -> list[Event]:
        """Take in some more bytes, and return the events that are complete with them."""
        text = self._decoder.decode(received)
        if self._after_cr and text:  # an end of line may come in two pieces
            self._after_cr = False
            text = text.removeprefix("\n")
        self._after_cr = self._after_cr or text.endswith("\r")
        first, *others = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        *lines, self._line = [self._line + first, *others]
        return [event for line in lines if (event := self._take(line))]

    def _take(self, line: str) -> Event | None:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "" if line:
                self.comments.append(value)
            case "":
                return self._dispatch()
            case "data":
                self._data += value + "\n"
            case "event":
                self._type = value
            case "id":
                self._last_id = self._last_id if "\0" in value else value
            case "retry":
                pass  # how long to wait before coming back
            case _:
                self.ignored.append(line)
        return None

    def _dispatch(self) -> Event | None:
        event = Event(self._type or "message", self._data.removesuffix("\n"), self._last_id)
        told = bool(self._data)  # without any `data` line the page hears nothing
        self._type = self._data = ""
        return event if told else None
