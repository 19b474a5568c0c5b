"""Checks of no_globals: several offices in one process, each with a shelf of its own."""

import asyncio
import re
from dataclasses import dataclass

import httpx
import pytest

from workbook.checking import expect
from workbook.language import _
from workbook.server import Server

pytestmark = pytest.mark.anyio


@dataclass
class Office:
    client: httpx.AsyncClient
    name: str
    path: str

    async def leave(self, receiver: str) -> httpx.Response:
        params = {"receiver": receiver}
        answer = await self.client.post(f"{self.path}/parcels", params=params)
        expect(
            answer.status_code in (201, 409),
            did=_("POST {path}, in the office {name}").format(
                path=f"{self.path}/parcels?receiver={receiver}", name=self.name
            ),
            expected=_("201, or 409 when its shelf is full"),
            seen=f"{answer.status_code} {answer.text[:200]}",
            hint=4,
        )
        return answer

    async def look(self) -> tuple[str, list[str]]:
        """The office's name as it says it itself, and whose parcels it has."""
        answer = await self.client.get(f"{self.path}/parcels")
        expect(
            answer.status_code == 200 and {"office", "shelf"} <= answer.json().keys(),
            did=_("GET {path}, in the office {name}").format(
                path=f"{self.path}/parcels", name=self.name
            ),
            expected=_('200 and a JSON object with "office" and "shelf"'),
            seen=f"{answer.status_code} {answer.text[:200]}",
            hint=4,
        )
        return answer.json()["office"], sorted(answer.json()["shelf"].values())


async def open_office(client: httpx.AsyncClient, name: str, places: int = 9) -> Office:
    answer = await client.post("/offices", params={"name": name, "places": places})
    expect(
        answer.status_code == 201,
        did=f"POST /offices?name={name}&places={places}",
        expected=_("201 and the new office's path"),
        seen=f"{answer.status_code} {answer.text[:200]}",
        hint=4,
    )
    return Office(client, name, answer.json()["path"])


async def test_parcels_stay_in_their_office(client: httpx.AsyncClient) -> None:
    """A parcel is in the office where it was left, and nowhere else."""
    north, south = await open_office(client, "north"), await open_office(client, "south")
    first = await north.leave("lin")
    (name, _shelf), (other, there) = await north.look(), await south.look()
    expect(
        there == [],
        did=_(
            "opened the offices north and south, left a parcel for lin in north, looked in south"
        ),
        expected=_("south has no parcel"),
        seen=_("south has one for {receivers}").format(receivers=_(" and ").join(there)),
        hint=1 if name == other else 2,  # only the shelf is shared: it was made once, unseen
    )
    second = await south.leave("wei")
    numbers = [answer.json().get("number") for answer in (first, second)]
    expect(
        numbers == [1, 1],
        did=_("left a parcel in north, and one in south"),
        expected=_("each one is number 1 in its office"),
        seen=_("{north} in north, {south} in south").format(north=numbers[0], south=numbers[1]),
        hint=1,
    )


async def test_settings_are_an_offices_own(client: httpx.AsyncClient) -> None:
    """Each office has its own name, and its own number of places."""
    north, south = await open_office(client, "north", 1), await open_office(client, "south", 2)
    names = [(await office.look())[0] for office in (north, south)]
    expect(
        names == ["north", "south"],
        did=_("opened the offices north and south, and asked both for their name"),
        expected="north, south",
        seen=", ".join(map(str, names)),
        hint=2,
    )
    codes = [(await north.leave("lin")).status_code for _parcel in range(2)]
    codes += [(await south.leave("wei")).status_code for _parcel in range(3)]
    told = _("{north} in north; {south} in south")
    expect(
        codes == [201, 409, 201, 201, 409],
        did=_("left 2 parcels in north, which has 1 place, then 3 in south, which has 2 places"),
        expected=told.format(north="201, 409", south="201, 201, 409"),
        seen=told.format(
            north=", ".join(map(str, codes[:2])), south=", ".join(map(str, codes[2:]))
        ),
        hint=2,
    )


async def test_a_new_office_changes_no_other(client: httpx.AsyncClient) -> None:
    """Opening one more office leaves what is in the others as it was."""
    north = await open_office(client, "north")
    await north.leave("lin")
    await open_office(client, "south", 0)
    name, parcels = await north.look()
    seen = _("{name}, with a parcel for {receivers}") if parcels else _("{name}, with no parcel")
    expect(
        (name, parcels) == ("north", ["lin"]),
        did=_("opened north, left a parcel for lin there, opened south, and looked in north"),
        expected=_("north, with the parcel for lin"),
        seen=seen.format(name=name, receivers=_(" and ").join(parcels)),
        hint=2,
    )


async def test_same_name_is_not_same_office(client: httpx.AsyncClient) -> None:
    """Two offices of one name are two offices."""
    first, second = await open_office(client, "north"), await open_office(client, "north")
    await first.leave("lin")
    _name, there = await second.look()
    _name, elsewhere = await (await open_office(client, "south")).look()
    expect(
        there == [],
        did=_("opened two offices that are both called north, left a parcel in the first"),
        expected=_("the second one has no parcel"),
        seen=_("the second one has one for {receivers}").format(receivers=_(" and ").join(there)),
        hint=1 if elsewhere else 3,
    )


async def test_lifespans_are_apart(client: httpx.AsyncClient, answer: Server) -> None:
    """At the stop each office tells what is left in itself."""
    north, south = await open_office(client, "north"), await open_office(client, "south")
    await north.leave("lin")
    for receiver in ("wei", "mei"):
        await south.leave(receiver)
    await asyncio.to_thread(answer.stop)
    lines = re.findall(r"^(\w+ closes, parcels left: \d+)$", answer.log(), re.M)
    names = {line.split()[0] for line in lines}
    right = ["north closes, parcels left: 1", "south closes, parcels left: 2"]
    expect(
        sorted(lines) == right,
        did=_("left 1 parcel in north and 2 in south, and stopped the app"),
        expected=", ".join(f'"{line}"' for line in right),
        seen=", ".join(f'"{line}"' for line in lines) or _("no such line"),
        hint=5 if names == {"north", "south"} else 1,
    )
