"""Section 3: who hears what in the room, in which order, and under which id."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close, CloseCode

import workbook
from workbook.server import Server

pytestmark = pytest.mark.anyio

RECEIPT = "✓ 消息已发送"
DEADLINE = 10  # seconds that nothing here comes near, unless it hangs

# One send after another to every member, a dictionary that any newcomer may overwrite.
NAIVE = """
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()
members = {}

async def tell(text, but=None):
    for name, member in members.items():
        if name != but:
            await member.send_text(text)

@app.websocket("/ws/{name}")
async def talk(member: WebSocket, name: str):
    await member.accept()
    members[name] = member
    await tell(f"用户 {name} 加入了聊天室")
    try:
        while True:
            await tell(f"{name}: {await member.receive_text()}", but=name)
            await member.send_text("✓ 消息已发送")
    except WebSocketDisconnect:
        members.pop(name, None)
        await tell(f"用户 {name} 离开了聊天室")
"""


@contextlib.contextmanager
def serve_naive(folder: Path) -> Iterator[Server]:
    path = folder / "naive.py"
    path.write_text(NAIVE, encoding="utf-8")
    with workbook.serve(path) as server:
        yield server


def joined(client_id: str) -> str:
    return f"用户 {client_id} 加入了聊天室"


def left(client_id: str) -> str:
    return f"用户 {client_id} 离开了聊天室"


@pytest.fixture(scope="module")
def shared_server() -> Iterator[Server]:
    with workbook.serve("03_websocket") as server:
        yield server
    assert "Traceback" not in server.log()


@pytest.fixture
async def server(shared_server: Server) -> Server:
    """The shared server, once the members of the test before have left."""
    async with asyncio.timeout(DEADLINE):
        while clients(shared_server):
            await asyncio.sleep(0.01)
    return shared_server


def clients(server: Server) -> list[str]:
    answer = httpx.get(f"{server.url}/clients", trust_env=False, verify=False)
    assert answer.status_code == 200
    ids: list[str] = answer.json()
    return ids


def address(server: Server, client_id: str) -> str:
    return f"ws{server.url.removeprefix('http')}/ws/{quote(client_id, safe='')}"


def dial(server: Server, client_id: str) -> connect:
    return connect(address(server, client_id), proxy=None, max_size=None, max_queue=None)


async def hear(member: ClientConnection) -> str:
    async with asyncio.timeout(DEADLINE):
        return await member.recv(decode=True)


async def hear_until(member: ClientConnection, last: str) -> list[str]:
    heard = [await hear(member)]
    while heard[-1] != last:
        heard.append(await hear(member))
    return heard


async def hear_out(member: ClientConnection) -> tuple[list[str], Close]:
    """What it hears until it is closed, and the close frame."""
    told = []
    try:
        while True:
            told.append(await hear(member))
    except ConnectionClosed as closed:
        return told, closed.rcvd or Close(CloseCode.ABNORMAL_CLOSURE, "no close frame")


@asynccontextmanager
async def members(server: Server, *ids: str) -> AsyncIterator[list[ClientConnection]]:
    """Join one after another; each has heard the last one's joining when this begins."""
    async with AsyncExitStack() as stack:
        all_of_them = []
        for client_id in ids:
            all_of_them.append(await stack.enter_async_context(dial(server, client_id)))
            for member in all_of_them:
                assert await hear(member) == joined(client_id)
        yield all_of_them


# ── What a member hears ──────────────────────────────────────────────────────────────────────


async def test_joining_is_told_to_everyone_the_newcomer_included(server: Server) -> None:
    """Contract: X joins → everyone, X included: 用户 X 加入了聊天室."""
    async with members(server, "ann") as [ann], dial(server, "鲍勃") as bob:
        assert await hear(ann) == "用户 鲍勃 加入了聊天室"
        assert await hear(bob) == "用户 鲍勃 加入了聊天室"


@pytest.mark.claim("3.1")
async def test_a_message_goes_to_the_others_and_a_receipt_to_its_sender(server: Server) -> None:
    """Contract: X sends T → everyone but X: X: T; X: ✓ 消息已发送."""
    async with members(server, "ann", "bob", "cyd") as [ann, bob, cyd]:
        for text in ("寄到了吗?", "", "two\nlines", "</script>😀"):
            await ann.send(text)
            assert await hear(ann) == "✓ 消息已发送"
            assert await hear(bob) == await hear(cyd) == f"ann: {text}"
        await bob.send("yes")  # the same connections, the other way
        assert await hear(bob) == RECEIPT
        assert await hear(ann) == await hear(cyd) == "bob: yes"


@pytest.mark.claim("3.2")
async def test_closing_is_told_to_those_left(server: Server) -> None:
    """Contract: X leaves by closing → everyone left: 用户 X 离开了聊天室."""
    async with members(server, "ann", "bob", "cyd") as [ann, bob, cyd]:
        await cyd.close()
        assert await hear(ann) == await hear(bob) == "用户 cyd 离开了聊天室"
        assert clients(server) == ["ann", "bob"]


@pytest.mark.claim("3.2")
async def test_a_killed_client_is_told_to_those_left(server: Server) -> None:
    """Contract: X leaves by vanishing → everyone left: 用户 X 离开了聊天室."""
    code = "import sys; from websockets.sync.client import connect\n"
    code += "with connect(sys.argv[1], proxy=None) as member: sys.stdin.read()"
    async with members(server, "ann") as [ann]:
        command = [sys.executable, "-c", code, address(server, "cyd")]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as client:
            assert await hear(ann) == joined("cyd")
            client.kill()
        assert await hear(ann) == left("cyd")


async def test_everyone_hears_the_same_in_the_same_order(server: Server) -> None:
    """Contract: the same messages in the same order, and joins and leaves told once."""
    ids = [f"member-{i}" for i in range(6)]
    async with members(server, "listener", *ids) as [listener, *talkers]:

        async def talk(talker: ClientConnection) -> None:
            for i in range(50):
                await talker.send(str(i))
                if i % 10 == 0:  # comings and goings in the middle of it
                    async with dial(server, f"guest-{ids[talkers.index(talker)]}-{i}"):
                        pass

        await asyncio.gather(*map(talk, talkers))
        await listener.send("end")
        order = (await hear_until(listener, RECEIPT))[:-1]
        said = [f"{client_id}: {i}" for client_id in ids for i in range(50)]
        guests = [f"guest-{client_id}-{i}" for client_id in ids for i in range(0, 50, 10)]
        told = [tell(guest) for guest in guests for tell in (joined, left)]
        while len(order) < len(said + told):
            order.append(await hear(listener))
        assert sorted(order) == sorted(said + told)  # each once, none missing
        for client_id, talker in zip(ids, talkers, strict=True):
            mine = [await hear(talker) for _ in range(len(order) + 1)]
            assert mine.count(RECEIPT) == 50
            others = [line for line in mine if line not in (RECEIPT, "listener: end")]
            assert others == [line for line in order if not line.startswith(f"{client_id}: ")]


async def test_clients_lists_the_ids_now_connected(server: Server) -> None:
    """Contract: GET /clients: the ids now connected."""
    assert clients(server) == []
    async with members(server, "ann", "a/b", "鲍勃 😀") as [ann, *_]:
        assert clients(server) == ["ann", "a/b", "鲍勃 😀"]
        await ann.close()
        assert clients(server) == ["a/b", "鲍勃 😀"]


# ── A taken id ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.claim("3.4")
async def test_a_taken_id_is_refused_and_the_first_notices_nothing(server: Server) -> None:
    """Contract: an id in use: 1008 and a reason for the newcomer; the first notices nothing."""
    async with members(server, "ann", "bob") as [ann, bob]:
        for _ in range(3):
            async with dial(server, "ann") as newcomer:
                told, close = await hear_out(newcomer)
                assert (told, close.code) == ([], 1008)
                assert "in use" in close.reason
        await bob.send("anyone?")
        assert await hear(ann) == "bob: anyone?"
        await ann.send("me")
        assert [await hear(bob), await hear(bob)] == [RECEIPT, "ann: me"]
        await ann.close()
        assert await hear(bob) == left("ann")
        async with dial(server, "ann") as again:  # the id is free again
            assert await hear(again) == await hear(bob) == joined("ann")


@pytest.mark.claim("3.4")
async def test_a_naive_room_loses_the_second_under_a_taken_id(tmp_path: Path) -> None:
    with serve_naive(tmp_path) as naive:
        async with members(naive, "bob", "ann") as [bob, first], dial(naive, "ann") as second:
            assert await hear(second) == joined("ann")
            await first.close()
            await hear_until(bob, left("ann"))
            await bob.send("anyone?")
            assert await hear(bob) == RECEIPT
            await second.send("me")
            assert await hear(second) == RECEIPT  # still connected, yet it never heard bob


# ── Start, stop, more than one ───────────────────────────────────────────────────────────────


async def test_a_stop_tells_every_member_and_is_clean() -> None:
    """Contract: no disconnect makes a traceback, the server's own going away included."""
    with workbook.serve("03_websocket") as server:
        async with members(server, "ann", "bob") as both:
            await asyncio.to_thread(server.stop)
            for member in both:
                _, close = await hear_out(member)
                assert close.code == 1012
    assert "Traceback" not in server.log()


@pytest.mark.claim("3.6")
async def test_with_two_workers_half_the_room_is_deaf() -> None:
    with workbook.serve("03_websocket", "--workers", "2") as server:
        async with AsyncExitStack() as stack, asyncio.timeout(3 * DEADLINE):
            # The workers begin to listen some time after uvicorn has named the address.
            while await asyncio.to_thread(socket_is_deaf, server):
                await asyncio.sleep(0.02)
            [ann] = await stack.enter_async_context(members(server, "ann"))
            near: list[ClientConnection] = []
            far: list[ClientConnection] = []
            while not (near and far):  # until both workers have got a member
                client_id = f"member-{len(near + far)}"
                member = await stack.enter_async_context(dial(server, client_id))
                assert await hear(member) == joined(client_id)
                await ann.send("who has just heard me?")
                told = await hear_until(ann, RECEIPT)
                (near if joined(client_id) in told else far).append(member)
                await asyncio.sleep(0.01)
            await ann.send("and now?")
            for member in near:
                await hear_until(member, "ann: and now?")
            for member in far:  # of ann it has heard nothing by the time its own receipt comes
                await member.send("not I")
                told = await hear_until(member, RECEIPT)
                assert not any(line.startswith("ann: ") for line in told)


def socket_is_deaf(server: Server) -> bool:
    try:
        clients(server)
    except httpx.ConnectError:
        return True
    return False
