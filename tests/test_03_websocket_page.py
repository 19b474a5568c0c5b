"""Section 3: the page, in a real browser. And what all pages do to be in the reader's language."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import workbook
from workbook.server import Server

MARKUP = "<script>document.title = 'hacked'</script><img src=x onerror=\"document.title='hacked'\">"
PAGES = sorted((workbook.ROOT / "examples").glob("*.html"))
# All that a page says, shown or not: to the eye, in a field, or to a screen reader.
TEXTS = """
() => [...document.querySelectorAll(":not(script, style)")].flatMap((each) => [
  ...[...each.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map(({data}) => data),
  each.ariaLabel, each.placeholder, each.title, each.type === "radio" ? "" : each.value,
]).filter((text) => typeof text === "string").map((text) => text.trim())
"""
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


# ── In Chinese ───────────────────────────────────────────────────────────────────────────────


def words(text: str) -> set[str]:
    return set(re.findall("[A-Za-z]{2,}", text))


def english(page: Page) -> set[str]:
    return words("\n".join(page.evaluate(TEXTS)))


def test_a_chinese_reader_meets_no_english(browser: Browser) -> None:
    def see(page: Page, status: str) -> None:
        expect(page.get_by_role("status")).to_have_text(status)
        assert english(page) == {"WebSocket"}  # in the title

    def enter(page: Page, name: str) -> None:
        page.get_by_label("你的名字").fill(name)
        page.get_by_role("button", name="加入").click()

    with browser.new_context(locale="zh-CN") as context:
        ann, bob = context.new_page(), context.new_page()
        with workbook.serve("03_websocket", env={"MAX_MESSAGE": "60"}) as server:
            for page in (ann, bob):
                page.goto(server.url)
                expect(page).to_have_title("03 WebSocket：聊天室")
                expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
                see(page, "你还没有加入聊天室。")
            enter(ann, "安")
            see(ann, "你在聊天室里，名字是“安”。")
            enter(bob, "安")
            see(bob, "这个名字已经有人用了：换一个再加入。")
            enter(bob, "\u200b")
            see(bob, "这个名字是空白的：起个名字再加入。")
            enter(bob, "鲍\x01勃")
            see(bob, "这个名字里有控制字符或换行：去掉再加入。")
            bob.get_by_label("你的名字").evaluate("field => field.maxLength = 99")
            enter(bob, "鲍" * 65)
            see(bob, "这个名字太长：缩到 64 个字符以内再加入。")
            enter(bob, "鲍勃")
            see(bob, "你在聊天室里，名字是“鲍勃”。")
            bob.get_by_label("消息", exact=True).fill("Join")  # what people say is left alone
            bob.get_by_role("button", name="发送").click()
            ann.get_by_label("消息", exact=True).fill("长" * 21)
            expect(ann.get_by_role("log", name="聊天记录")).to_contain_text("鲍勃: Join")
            expect(bob.get_by_role("log", name="聊天记录")).to_contain_text("Join✓ 消息已发送")
            expect(bob.get_by_role("list", name="在场的人")).to_have_text("安鲍勃")
            ann.get_by_role("button", name="发送").click()
            expect(ann.get_by_role("status")).to_have_text("一条消息最多 60 字节：一次少发一些。")
            bob.get_by_role("button", name="离开").click()
            expect(bob.get_by_role("status")).to_have_text("你已经离开。")
            enter(ann, "安")
            see(ann, "你在聊天室里，名字是“安”。")
        see(ann, "连接断了，正在重试……")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_sentence_of_a_page_has_its_chinese(browser: Browser, path: Path) -> None:
    """What stands in it, what its script says, and what its app answers it with."""
    page = browser.new_page()
    page.goto(path.as_uri())
    zh: dict[str, str] = page.evaluate("zh")
    stand = {text for text in page.evaluate(TEXTS) if words(text)} - {"[DONE]", "SSE 是什么?"}
    page.close()
    script = path.read_text(encoding="utf-8").partition('<script type="module">')[2]
    strings = re.findall(r'"([^"\n]*)"', script)
    said = set(re.findall(r'\bsay\("(.+?)"', script))
    assert {each for each in strings if re.search(r"\b[A-Z][a-z]+\b", each)} <= said
    app = path.with_suffix(".py").read_text(encoding="utf-8")
    answers = re.findall(r'(?<!")"([A-Z][^"]+\.)"(?!")', app)
    told = {
        re.sub(r"{.+?}", "{}", answer)
        for answer in answers
        if not answer.startswith(("Send ", "The upload was"))  # for others: the page does send
    }
    assert set(zh) == stand | said | told
    for sentence, chinese in zh.items():
        assert sentence.count("{}") == chinese.count("{}")
        assert re.search("[\u4e00-\u9fff]", chinese)
        assert not re.search(r"(?<![/A-Za-z])[A-Z]?[a-z]+\b", chinese)  # names: MiB, /upload


@pytest.mark.parametrize(
    ("languages", "lang"),
    [
        (["zh-CN", "en"], "zh-CN"),
        (["zh-Hant-TW"], "zh-CN"),
        (["fr-FR", "zh", "en-US"], "zh-CN"),
        (["en-GB", "zh-CN"], "en"),
        (["fr-FR"], "en"),
        ([], "en"),
    ],
)
def test_the_language_is_the_one_that_the_reader_prefers(
    browser: Browser, languages: list[str], lang: str
) -> None:
    page = browser.new_page()
    page.add_init_script(f"Object.defineProperty(navigator, 'languages', {{value: {languages}}})")
    page.goto(PAGES[0].as_uri())
    expect(page.locator("html")).to_have_attribute("lang", lang)
    expect(page.locator("h1")).to_have_text("聊天室" if lang == "zh-CN" else "A chat room")
    page.close()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_nothing_is_shown_before_the_language_is_known(browser: Browser, path: Path) -> None:
    with browser.new_context(java_script_enabled=False) as context:  # so it never is
        page = context.new_page()
        page.goto(path.as_uri())
        assert page.locator("h1").is_hidden()


def test_all_pages_find_the_language_in_the_same_way() -> None:
    """Word for word, for each stands alone: who has read one has read all."""
    pages = [path.read_text(encoding="utf-8") for path in PAGES]
    assert len({re.findall(r"  };\n\n(.*?)</script>", page, re.DOTALL)[0] for page in pages}) == 1
