"""Section 3: the page, in a real browser."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

import workbook
from workbook.server import Server

MARKUP = "<script>document.title = 'hacked'</script><img src=x onerror=\"document.title='hacked'\">"
OpenPage = Callable[[], Page]
expect.set_options(timeout=15_000)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with workbook.serve("03_websocket") as server:
        yield server
    assert "Traceback" not in server.log()


@pytest.fixture
def open_page(browser: Browser, server: Server) -> Iterator[OpenPage]:
    """Open the page as another visitor each time; in the end nothing may have gone wrong there."""
    contexts = []
    wrong: list[str] = []

    def open_page() -> Page:
        context = browser.new_context()
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(error.message))
        addresses: list[str] = []
        page.on("request", lambda request: addresses.append(request.url))
        page.on("websocket", lambda socket: addresses.append(f"http{socket.url[2:]}"))
        page.goto(server.url)
        context.on("close", lambda _: wrong.extend(a for a in addresses if not is_ours(a)))
        return page

    def is_ours(address: str) -> bool:
        return address.startswith((f"{server.url}/", "data:"))

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def join(page: Page, name: str) -> None:
    page.get_by_label("Your name").fill(name)
    page.get_by_role("button", name="Join").click()


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send").click()


def expect_lines(page: Page, expected: list[str]) -> None:
    expect(page.get_by_role("log").get_by_role("listitem")).to_have_text(expected)


def expect_here(page: Page, ids: list[str]) -> None:
    here = page.get_by_role("list", name="Who is here").get_by_role("listitem")
    expect(here).to_have_text(ids)


@pytest.mark.claim("3.1")
@pytest.mark.claim("3.2")
def test_two_visitors_talk_and_see_who_is_here(open_page: OpenPage) -> None:
    ann, bob = open_page(), open_page()
    join(ann, "ann")
    expect(ann.get_by_role("status")).to_have_text("You are here as ann.")
    join(bob, "鲍勃/b")
    expect_here(ann, ["ann", "鲍勃/b"])
    expect_here(bob, ["ann", "鲍勃/b"])
    say(ann, "到了吗?")
    expect_lines(bob, ["用户 鲍勃/b 加入了聊天室", "ann: 到了吗?"])
    say(bob, "到了。")
    expect_lines(
        ann,
        [
            "用户 ann 加入了聊天室",
            "用户 鲍勃/b 加入了聊天室",
            "到了吗?✓ 消息已发送",
            "鲍勃/b: 到了。",
        ],
    )
    bob.get_by_role("button", name="Leave").click()
    expect(bob.get_by_role("status")).to_have_text("You have left.")
    expect(ann.get_by_role("log").get_by_role("listitem").last).to_have_text(
        "用户 鲍勃/b 离开了聊天室"
    )
    expect_here(ann, ["ann"])


def test_what_others_type_is_text(open_page: OpenPage) -> None:
    ann, eve = open_page(), open_page()
    join(ann, "ann")
    expect_here(ann, ["ann"])
    name = "<img src=x onerror=\"document.title='hacked'\">"
    join(eve, name)
    expect_here(ann, ["ann", name])
    say(eve, MARKUP)
    expect(ann.get_by_role("log").get_by_role("listitem").last).to_have_text(f"{name}: {MARKUP}")
    expect(eve.get_by_role("log").get_by_role("listitem").last).to_contain_text(MARKUP)
    assert "hacked" not in ann.title() + eve.title()


@pytest.mark.claim("3.4")
def test_a_taken_name_is_explained_and_another_one_works(open_page: OpenPage) -> None:
    """Contract: an id in use: the newcomer is closed with 1008 and a reason."""
    ann, newcomer = open_page(), open_page()
    join(ann, "ann")
    expect_here(ann, ["ann"])
    join(newcomer, "ann")
    expect(newcomer.get_by_role("status")).to_contain_text("in use")
    expect(newcomer.get_by_label("Your name")).to_be_focused()
    join(newcomer, "bob")
    expect(newcomer.get_by_role("status")).to_have_text("You are here as bob.")
    expect_here(ann, ["ann", "bob"])


@pytest.mark.parametrize("name", [".", "..", "  "])
def test_a_name_that_no_address_can_hold_is_refused(open_page: OpenPage, name: str) -> None:
    page = open_page()
    join(page, name)
    assert page.evaluate("document.querySelector('#name').validity.valid") is False
    expect(page.get_by_role("status")).to_have_text("You are not in the room yet.")


def test_a_message_too_long_is_explained(open_page: OpenPage) -> None:
    """Contract: text over MAX_MESSAGE closes with 1009, and what a client does wrong is told."""
    page = open_page()
    join(page, "ann")
    say(page, "x" * 65_537)
    expect(page.get_by_role("status")).to_contain_text("65536 bytes")
    join(page, "ann")
    expect(page.get_by_role("status")).to_have_text("You are here as ann.")


def test_the_keyboard_is_enough(open_page: OpenPage) -> None:
    page = open_page()
    expect(page.get_by_role("textbox")).to_be_focused()
    page.keyboard.type("ann")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.type("hello")
    page.keyboard.press("Enter")
    expect_lines(page, ["用户 ann 加入了聊天室", "hello✓ 消息已发送"])
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("You have left.")


def test_it_fits_a_phone_in_the_dark(open_page: OpenPage) -> None:
    page = open_page()
    page.set_viewport_size({"width": 320, "height": 600})
    page.emulate_media(color_scheme="dark")
    join(page, "x" * 64)
    expect_here(page, ["x" * 64])
    say(page, "y" * 300)
    expect(page.get_by_role("log")).to_contain_text("✓")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    accent = page.get_by_role("button", name="Send").evaluate(
        "e => getComputedStyle(e).backgroundColor"
    )
    assert accent == "rgb(95, 208, 189)"


def test_it_comes_back_when_the_server_does(browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.clock.install()
        with workbook.serve("03_websocket") as first:
            page.goto(first.url)
            join(page, "ann")
            say(page, "before")
            expect_lines(page, ["用户 ann 加入了聊天室", "before✓ 消息已发送"])
        expect(page.get_by_role("status")).to_contain_text("Trying again")
        expect(page.get_by_role("button", name="Send")).to_be_disabled()
        port = int(first.url.rpartition(":")[2])
        with workbook.serve("03_websocket", port=port):
            expect(page.get_by_role("status")).to_have_text("You are here as ann.")
            say(page, "after")
            expect_lines(
                page,
                [
                    "用户 ann 加入了聊天室",
                    "before✓ 消息已发送",
                    "用户 ann 加入了聊天室",
                    "after✓ 消息已发送",
                ],
            )
            expect_here(page, ["ann"])
        expect(page.get_by_role("status")).to_contain_text("Trying again")
        page.get_by_role("button", name="Leave").click()  # and it can be told to stop trying
        expect(page.get_by_role("status")).to_have_text("You have left.")
        expect(page.get_by_role("button", name="Join")).to_be_enabled()
        tries: list[object] = []
        page.on("websocket", lambda socket: tries.append(socket))
        page.clock.fast_forward(60_000)
        page.evaluate("0")
        assert tries == []
