"""Checks of rooms: who hears what, in which room, and under which names."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidHandshake

from workbook.chat import closed, dial, hear, hear_until, joined, left
from workbook.checking import expect
from workbook.language import _
from workbook.server import Server

pytestmark = pytest.mark.anyio

HISTORY = 20


def told(heard: list[str]) -> str:
    """What somebody heard, as it is shown: not more than the eye can take in."""
    more = _("… {count} more …").format(count=len(heard) - 5)
    shown = heard if len(heard) <= 6 else [*heard[:3], more, *heard[-2:]]
    return ", ".join(shown) or _("nothing")


@asynccontextmanager
async def members(server: Server, *places: str) -> AsyncIterator[list[ClientConnection]]:
    """Join one after another, "tea/ann" as ann in tea; each has heard its own joining."""
    async with AsyncExitStack() as stack:
        inside: list[ClientConnection] = []
        for place in places:
            room, _slash, name = place.partition("/")
            member = await stack.enter_async_context(dial(server, room, name))
            heard = await hear_until(member, joined(name))
            expect(
                heard[-1] == joined(name),
                did=_("{name} joined {room}; already inside: {places}").format(
                    name=name, room=room, places=", ".join(places[: len(inside)])
                ),
                expected=_("{name} hears {text}").format(name=name, text=joined(name)),
                seen=_("{name} heard {text}").format(name=name, text=told(heard)),
                hint=4 if not inside else 1,
            )
            inside.append(member)
        yield inside


async def expect_heard(
    member: ClientConnection, who: str, expected: list[str], *, did: str, hint: int
) -> None:
    """Expect that this is what the member hears next, to the last of it."""
    heard = await hear_until(member, expected[-1])
    expect(
        heard == expected,
        did=did,
        expected=_("{name} hears {text}").format(name=who, text=told(expected)),
        seen=_("{name} heard {text}").format(name=who, text=told(heard)),
        hint=hint,
    )


async def test_rooms_are_apart(answer: Server) -> None:
    """What is said, and who comes and goes, is heard in its own room only."""
    places = ("tea/ann", "coffee/bob", "tea/cyd")
    async with members(answer, *places) as [ann, bob, cyd]:
        did = _("ann and cyd joined tea, bob joined coffee, and each of them spoke")
        await ann.send("longjing?")
        await expect_heard(ann, "ann", [joined("cyd"), "ann: longjing?"], did=did, hint=1)
        await expect_heard(cyd, "cyd", ["ann: longjing?"], did=did, hint=1)
        await bob.send("espresso!")
        await expect_heard(bob, "bob", ["bob: espresso!"], did=did, hint=1)
        await cyd.send("wuyi")
        await expect_heard(ann, "ann", ["cyd: wuyi"], did=did, hint=1)
        did = _("cyd left tea, then ann spoke in tea and bob in coffee")
        await cyd.close()
        await expect_heard(ann, "ann", [left("cyd")], did=did, hint=1)
        await ann.send("bye")
        await expect_heard(ann, "ann", ["ann: bye"], did=did, hint=1)
        await bob.send("hello?")
        await expect_heard(bob, "bob", ["bob: hello?"], did=did, hint=1)


async def test_an_id_belongs_to_its_room(answer: Server) -> None:
    """The same id in two rooms is two people, and one's leaving leaves the other alone."""
    async with members(answer, "tea/ann", "coffee/ann", "tea/bob") as [ann, other_ann, bob]:
        who = _("ann in tea")
        did = _("ann and bob joined tea, another ann joined coffee")
        await bob.send("ann?")
        await expect_heard(ann, who, [joined("bob"), "bob: ann?"], did=did, hint=1)
        did = _("ann and bob joined tea, another ann joined coffee, and the one in coffee left")
        await other_ann.close()
        async with members(answer, "coffee/dan"):  # now the app has noticed
            await bob.send("ann?")
            await expect_heard(ann, who, ["bob: ann?"], did=did, hint=1)
            try:
                async with dial(answer, "tea", "ann") as second:
                    heard = await hear(second)
                    while heard.startswith("bob: "):  # what was said before
                        heard = await hear(second)
            except InvalidHandshake as error:
                heard = str(error)
            expect(
                heard == closed(1008),
                did=_("{did}; then a second ann came to tea").format(did=did),
                expected=_("the second one in tea is closed with code 1008"),
                seen=_("it got {text}").format(text=heard),
                hint=1,
            )


async def test_a_newcomer_hears_the_last_20(answer: Server) -> None:
    """A newcomer hears its room's last 20 messages, oldest first, then its own joining."""
    places = ("tea/ann", "coffee/bob")
    async with members(answer, *places) as [ann, bob]:
        for i in range(3):
            await bob.send(f"cup {i}")
            await hear_until(bob, f"bob: cup {i}")
        for i in range(HISTORY + 5):
            await ann.send(f"leaf {i}")
            await hear_until(ann, f"ann: leaf {i}")
        for room, said, name in [
            ("tea", [f"ann: leaf {i}" for i in range(5, HISTORY + 5)], "cyd"),
            ("coffee", [f"bob: cup {i}" for i in range(3)], "dan"),
            ("tea", [f"ann: leaf {i}" for i in range(5, HISTORY + 5)], "eve"),
        ]:
            async with dial(answer, room, name) as newcomer:
                heard = await hear_until(newcomer, joined(name))
                expected = [*said, joined(name)]
                early = joined(name) in heard and said[0] not in heard
                expect(
                    heard == expected,
                    did=_(
                        "bob said 3 things in coffee, ann {count} in tea, some came and went, "
                        "then {name} joined {room}"
                    ).format(count=HISTORY + 5, name=name, room=room),
                    expected=_("{name} hears {text}").format(name=name, text=told(expected)),
                    seen=_("{name} heard {text}").format(name=name, text=told(heard)),
                    hint=3 if early and len(heard) == 1 else 2,
                )


async def test_only_the_newcomer_hears_them(answer: Server) -> None:
    """Who is in the room already hears of the newcomer, and none of the old messages again."""
    async with members(answer, "tea/ann") as [ann]:
        for i in range(3):
            await ann.send(f"leaf {i}")
            await hear_until(ann, f"ann: leaf {i}")
        async with dial(answer, "tea", "bob") as bob:
            await hear_until(bob, joined("bob"))
            await bob.send("thanks")
            did = _("ann said 3 things in tea, then bob joined and spoke")
            await expect_heard(ann, "ann", [joined("bob"), "bob: thanks"], did=did, hint=3)
            await expect_heard(bob, "bob", ["bob: thanks"], did=did, hint=3)


async def test_bad_names_are_refused(answer: Server) -> None:
    """A name that is none is refused with 1008, and a good one is let in."""
    for room in ("tea", "a", "room-101", "-", "x" * 20):
        async with dial(answer, room, "ann") as ann:
            heard = await hear(ann)
        expect(
            heard == joined("ann"),
            did=_("ann joined the room {room}").format(room=room),
            expected=_("ann hears {text}").format(text=joined("ann")),
            seen=_("ann got {text}").format(text=heard),
            hint=4,
        )
    for room in ("Tea", "tea room", "tea_room", "tea!", "tea\n", "茶", "٣", "..", "x" * 21):
        did = _("ann tried to join the room {room!r}").format(room=room)
        try:
            async with dial(answer, room, "ann") as ann:
                heard = await hear(ann)
        except InvalidHandshake as refusal:
            expect(
                False,
                did=did,
                expected=_("the connection is accepted, then closed with code 1008"),
                seen=_("not accepted at all: {why}").format(why=refusal),
                hint=4,
            )
        expect(
            heard == closed(1008),
            did=did,
            expected=_("the connection is closed with code 1008"),
            seen=_("ann got {text}").format(text=heard),
            hint=4,
        )
