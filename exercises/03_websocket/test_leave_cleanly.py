"""Checks of leave_cleanly: a small room, and the ways of leaving it."""

import asyncio

import psutil
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from workbook.chat import NoMessage, closed, dial, hear, hear_until, joined, left, members
from workbook.checking import expect
from workbook.language import _
from workbook.server import Server

pytestmark = pytest.mark.anyio


async def hear_some(member: ClientConnection, count: int) -> list[str]:
    heard: list[str] = []
    while len(heard) < count and not (heard and isinstance(heard[-1], NoMessage)):
        heard.append(await hear(member))
    return heard


async def expect_told(
    ann: ClientConnection, bob: ClientConnection, gone: list[str], *, did: str, hint: int
) -> None:
    """Expect that the two who stay hear of each leaving once, then each other."""
    with_talk = {"ann": ann, "bob": bob}
    for speaker in with_talk:
        try:
            await with_talk[speaker].send("still here")
        except ConnectionClosed:
            expect(
                False,
                did=_("{did}, then {speaker} spoke").format(did=did, speaker=speaker),
                expected=_("{speaker} is still connected").format(speaker=speaker),
                seen=_("{speaker}'s connection had been closed").format(speaker=speaker),
                hint=hint,
            )
        for name, member in with_talk.items():
            heard = await hear_until(member, f"{speaker}: still here")
            expected = [*sorted(map(left, gone)), f"{speaker}: still here"]
            # leavings are told in whichever order they came about
            twice = len(heard) > len(expected)
            expect(
                sorted(heard[:-1]) + heard[-1:] == expected,
                did=_("{did}, then {speaker} spoke").format(did=did, speaker=speaker),
                expected=_("{name} hears {text}").format(name=name, text=", ".join(expected)),
                seen=_("{name} heard {text}").format(name=name, text=", ".join(heard)),
                hint=3 if twice else hint,
            )
        gone = []


async def expect_free(
    server: Server, ann: ClientConnection, name: str, *, did: str, hint: int
) -> None:
    """Expect that somebody may join by this id, and is told."""
    async with dial(server, name) as again:
        for member, expected, seen in (
            (again, _("the newcomer hears {text}"), _("the newcomer heard {text}")),
            (ann, _("ann hears {text}"), _("ann heard {text}")),
        ):
            heard = await hear(member)
            expect(
                heard == joined(name),
                did=_("{did}, and {name} joined again").format(did=did, name=name),
                expected=expected.format(text=joined(name)),
                seen=seen.format(text=heard),
                hint=hint,
            )


async def test_leaving_is_told_once(answer: Server) -> None:
    """Who closes is told to have left, once, and the id is free for the next."""
    did = _("cyd closed its connection")
    async with members(answer, "ann", "bob", "cyd", hint=4) as [ann, bob, cyd]:
        await cyd.close()
        await expect_told(ann, bob, ["cyd"], did=did, hint=4)
        await expect_free(answer, ann, "cyd", did=did, hint=4)


async def test_id_in_use_is_refused(answer: Server) -> None:
    """Who comes with an id in use is closed with 1008, and nobody hears of it."""
    did = _("a second ann connected while ann was in the room")
    async with members(answer, "ann", "bob", hint=4) as [ann, bob]:
        try:
            async with dial(answer, "ann") as second:
                heard = await hear(second)
        except InvalidHandshake as refusal:
            expect(
                False,
                did=did,
                expected=_("the connection is accepted, then closed with code 1008"),
                seen=_("not accepted at all: {why}").format(why=refusal),
                hint=2,
            )
        expect(
            heard == closed(1008),
            did=did,
            expected=_("the second ann is closed with code 1008"),
            seen=_("the second ann got: {text}").format(text=heard),
            hint=1 if heard == joined("ann") else 2,
        )
        await bob.send("nice day")
        heard, own = await hear(bob), "bob: nice day"
        expect(
            heard == own,
            did=_("{did}, then {speaker} spoke").format(did=did, speaker="bob"),
            expected=_("bob has heard nothing of it: the next message is {text}").format(text=own),
            seen=_("bob heard {text}").format(text=heard),
            hint=3,
        )
        await hear(ann)


async def test_first_holder_keeps_the_id(answer: Server) -> None:
    """The first holder of an id hears and talks on after a second one was refused."""
    did = _("a second ann came while ann was in the room, and has gone again")
    async with members(answer, "ann", "bob", hint=4) as [ann, bob]:
        for _guest in range(2):  # and the id is in use still, when yet another comes
            try:
                async with dial(answer, "ann") as second:
                    await hear(second)
            except InvalidHandshake:
                pass  # that is another check's matter
        await expect_told(ann, bob, [], did=did, hint=3)


async def test_vanishing_is_told_to_who_stay(answer: Server) -> None:
    """When several vanish at once, those who stay hear of each one, and stay connected."""
    vanishing = ["cyd", "dan", "eve", "fay"]
    did = _("{names} vanished at the same moment").format(names=", ".join(vanishing))
    async with members(answer, "ann", *vanishing, "bob", hint=4) as [ann, *others, bob]:
        process = psutil.Process(answer.pid)
        process.suspend()  # so that the app finds them gone all at once
        try:
            for other in others:
                other.transport.abort()
            await asyncio.sleep(0.05)
        finally:
            process.resume()
        heard = await hear_some(ann, len(vanishing))
        expect(
            sorted(heard) == sorted(map(left, vanishing)),
            did=did,
            expected=_("ann hears of {count} leavings, one each").format(count=len(vanishing)),
            seen=_("ann heard {text}").format(text=", ".join(heard)),
            hint=3 if len(set(heard)) < len(heard) else 4,
        )
        heard = await hear_some(bob, len(vanishing))
        expect(
            sorted(heard) == sorted(map(left, vanishing)),
            did=did,
            expected=_("bob hears of {count} leavings, one each").format(count=len(vanishing)),
            seen=_("bob heard {text}").format(text=", ".join(heard)),
            hint=4,
        )
        await expect_told(ann, bob, [], did=did, hint=4)
        await expect_free(answer, ann, "dan", did=did, hint=4)


async def test_a_binary_frame_leaves_no_ghost(answer: Server) -> None:
    """Who sends bytes has left: told once, nobody thrown out, and the id is free again."""
    did = _("cyd sent a binary frame")
    async with members(answer, "ann", "cyd", "bob", hint=4) as [ann, cyd, bob]:
        await cyd.send(b"\x00\x01")
        await hear(cyd)
        await expect_told(ann, bob, ["cyd"], did=did, hint=4)
        await expect_free(answer, ann, "cyd", did=did, hint=4)
