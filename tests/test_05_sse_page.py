"""Section 5 in a browser: what an EventSource does with the events, and what the page shows."""

import http.client
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from test_03_websocket_page import english
from workbook import Server, serve

LISTEN = """
([url, closes]) => {
  window.got = [];
  window.source = new EventSource(url);
  source.onmessage = ({data}) => {
    got.push(data);
    if (closes && data == "[DONE]") source.close();
  };
}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("05_sse", env={"TOKEN_SECONDS": "0.01"}) as server:
        yield server
    assert "Traceback" not in server.log()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """The app's page, which must not complain while a test is at it."""
    page = browser.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(server.url)
    yield page
    page.close()
    assert complaints == []


@pytest.fixture
def bad_line(server: Server) -> Iterator["BadLine"]:
    line = BadLine(server)
    thread = threading.Thread(target=line.serve_forever, args=(0.01,))
    thread.start()
    yield line
    line.shutdown()
    thread.join()
    line.server_close()


class BadLine(ThreadingHTTPServer):
    """A connection to the app that breaks after two events, once, and shortens the retry."""

    def __init__(self, server: Server) -> None:
        super().__init__(("127.0.0.1", 0), Relay)
        self.upstream = httpx.URL(server.url).netloc.decode()
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked_for: list[str | None] = []  # each connection's Last-Event-ID
        self.statuses: list[int] = []


class Relay(BaseHTTPRequestHandler):
    server: BadLine

    def do_GET(self) -> None:
        source = http.client.HTTPConnection(self.server.upstream)
        source.request("GET", self.path, headers=dict(self.headers.items()))
        answer = source.getresponse()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.getheader("Content-Type", "text/plain"))
        self.end_headers()
        if self.path.startswith(("/events", "/chat")):
            self.server.asked_for.append(self.headers["Last-Event-ID"])
            self.server.statuses.append(answer.status)
            self.wfile.write(b"retry: 50\n\n" if answer.status == 200 else b"")
        events = 0
        while line := answer.readline():
            self.wfile.write(line)
            events += line == b"\n"
            if events == 2 and len(self.server.asked_for) == 1:
                break
        source.close()

    def log_message(self, format: str, *args: object) -> None:
        pass


def start(page: Page, topic: str, interval: str) -> None:
    page.get_by_label("Topic").fill(topic)
    page.get_by_label("Seconds apart").fill(interval)
    page.get_by_role("button", name="Start").click()


def expect_open_streams(page: Page, server: Server, count: int) -> None:
    deadline = time.monotonic() + 1
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        while (answer := client.get("/streams").json()) != {"open": count}:
            assert time.monotonic() < deadline, answer
            page.wait_for_timeout(10)


# ── What an EventSource does ─────────────────────────────────────────────────────────────────


@pytest.mark.claim("5.4")
@pytest.mark.parametrize("closes", [True, False])
def test_an_event_source_starts_over_unless_it_closes_at_done(
    browser: Browser, tmp_path: Path, closes: bool
) -> None:
    app = tmp_path / "no_ids.py"
    app.write_text(
        "from fastapi import FastAPI\n"
        "from fastapi.responses import HTMLResponse, StreamingResponse\n"
        "app = FastAPI()\n"
        "@app.get('/')\n"
        "async def page():\n"
        "    return HTMLResponse('<link rel=icon href=data:,>')\n"
        "@app.get('/events')\n"
        "async def events():\n"
        "    whole = 'retry: 50\\n\\n' 'data: one\\n\\n' 'data: two\\n\\n' 'data: [DONE]\\n\\n'\n"
        "    return StreamingResponse(iter([whole]), media_type='text/event-stream')\n"
    )
    with serve(app) as server:
        page = browser.new_page()
        page.goto(server.url)
        page.evaluate(LISTEN, ["/events", closes])
        if closes:
            page.wait_for_function("source.readyState == EventSource.CLOSED")
            page.wait_for_timeout(300)  # six times as long as it would take to come back
            assert server.log().count("GET /events") == 1
        else:
            page.wait_for_function("got.length >= 6")
            assert page.evaluate("got.slice(0, 6)") == ["one", "two", "[DONE]"] * 2
        page.close()


@pytest.mark.claim("5.6")
def test_an_event_source_comes_back_for_what_follows(browser: Browser, bad_line: BadLine) -> None:
    """Contract: with `Last-Event-ID` it gets what follows, not the start again."""
    page = browser.new_page()
    page.goto(bad_line.url)
    page.evaluate(LISTEN, ["/events/news?interval=0.05", True])
    page.wait_for_function("got.at(-1) == '[DONE]'")
    indexes = page.evaluate("got.slice(0, -1).map((data) => JSON.parse(data).index)")
    page.close()
    assert indexes == [0, 1, 2, 3, 4]
    assert bad_line.asked_for[:2] == [None, "1"]


@pytest.mark.claim("5.4")
@pytest.mark.parametrize("path", ["/events/news?interval=0", "/chat?prompt=hi"])
def test_an_event_source_that_has_everything_stays_away(
    browser: Browser, bad_line: BadLine, path: str
) -> None:
    """Contract: with `Last-Event-ID` it gets what follows, which is nothing."""
    page = browser.new_page()
    page.goto(bad_line.url)
    page.evaluate(LISTEN, [path, False])
    page.wait_for_function("source.readyState == EventSource.CLOSED")
    assert page.evaluate("got.filter((data) => data == '[DONE]').length") == 1
    page.close()
    assert bad_line.statuses == [200, 200, 204]


# ── The page ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.claim("5.1")
def test_the_page_shows_events_one_by_one_and_closes_at_done(page: Page, server: Server) -> None:
    start(page, "新闻 <b>", "0.1")
    items = page.get_by_label("Events").get_by_role("listitem")
    for i in range(5):
        expect(items.nth(i)).to_contain_text(
            f'"新闻 <b>", "index": {i}, "message": "第 {i + 1} 条消息"'
        )
    expect(page.get_by_role("status").first).to_contain_text("[DONE]: closed")
    moments = [float(text.split()[0]) for text in items.locator("time").all_inner_texts()]
    assert moments[0] < 0.5 * moments[4]
    assert moments == sorted(moments)
    expect(items).to_have_count(5)
    expect(page.get_by_role("button", name="Stop").first).to_be_disabled()


def test_stop_ends_the_generator_too(page: Page, server: Server) -> None:
    """Contract: a client that goes away stops its generator within a second."""
    start(page, "news", "10")
    expect(page.get_by_label("Events").get_by_role("listitem")).to_have_count(1)
    expect_open_streams(page, server, 1)
    page.get_by_role("button", name="Stop").first.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("Stopped")
    expect(page.get_by_role("button", name="Start")).to_be_focused()
    expect_open_streams(page, server, 0)


def test_start_again_replaces_the_stream(page: Page, server: Server) -> None:
    start(page, "first", "10")
    items = page.get_by_label("Events").get_by_role("listitem")
    expect(items).to_have_text([re.compile("first")])
    start(page, "second", "10")
    expect(items).to_have_text([re.compile("second")])
    expect_open_streams(page, server, 1)


@pytest.mark.claim("5.5")
def test_the_answer_types_itself(page: Page) -> None:
    page.get_by_label("Prompt").fill("<i>你好</i>")
    page.get_by_label("Prompt").press("Enter")
    answer = page.get_by_label("Answer")
    expect(answer).to_contain_text("你问的是“<i>你好</i>”")
    early = answer.inner_text()
    expect(page.get_by_role("status").last).to_contain_text("[DONE]: closed")
    whole = answer.inner_text()
    assert whole.startswith(early)
    assert len(whole) > len(early)
    assert answer.get_attribute("aria-busy") == "false"


@pytest.mark.claim("5.6")
def test_an_answer_goes_on_after_the_line_broke(browser: Browser, bad_line: BadLine) -> None:
    page = browser.new_page()
    page.goto(bad_line.url)
    page.get_by_label("Prompt").fill("你好")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("status").last).to_contain_text("[DONE]: closed")
    expect(page.get_by_label("Answer")).to_contain_text(re.compile("^你问的是“你好”.*送出一个。$"))
    page.close()


@pytest.mark.parametrize(("topic", "interval"), [("a/b", "1"), ("..", "1"), ("news", "11")])
def test_the_page_refuses_what_the_server_would(page: Page, topic: str, interval: str) -> None:
    start(page, topic, interval)
    assert page.locator("#events :invalid").count() == 1
    expect(page.get_by_role("status").first).to_have_text("Not connected.")


def test_the_page_fits_a_phone_and_stays_at_home(browser: Browser, server: Server) -> None:
    """Contract: our pages work with no network: no CDN, no external font."""
    page = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme="dark")
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto(server.url)
    start(page, "x" * 200, "0")
    expect(page.get_by_label("Events").get_by_role("listitem")).to_have_count(5)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.close()
    assert all(address.startswith((server.url, "data:")) for address in addresses)


def test_a_chinese_reader_meets_no_english(browser: Browser) -> None:
    """Save the words of the protocol, and of the events as they stand on the wire."""
    names = {"SSE", "EventSource", "DONE", "topic", "index", "message"}
    page = browser.new_page(locale="zh-CN")

    def see(status: str, form: int = 0) -> None:
        expect(page.get_by_role("status").nth(form)).to_have_text(status)
        assert english(page) <= names

    with serve("05_sse", env={"TOKEN_SECONDS": "0"}) as server:
        page.goto(server.url)
        expect(page).to_have_title("05 SSE：事件一个接一个")
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        expect(page.get_by_label("主题")).to_have_value("新闻")
        see("没有连接。")
        page.get_by_role("button", name="提问").click()
        see("收到 [DONE]，这边就关闭了。不关闭，浏览器还会再连上来。", form=1)
        expect(page.get_by_label("回答", exact=True)).to_contain_text("你问的是“SSE 是什么?”")
        interval, start = page.get_by_label("间隔（秒）"), page.get_by_role("button", name="开始")
        interval.fill("0")
        start.click()
        see("收到 [DONE]，这边就关闭了。不关闭，浏览器还会再连上来。")
        expect(page.get_by_label("事件", exact=True)).to_contain_text('"topic": "新闻"')
        interval.fill("10")
        start.click()
        see("已连接。事件一发出，这里就收到。")
        page.get_by_role("button", name="停止").first.click()
        see("由这边停止：服务器的生成器也跟着结束。")
        page.evaluate("document.forms.events.noValidate = true")
        interval.fill("11")
        start.click()
        see("服务器拒绝了，浏览器不再重试。原因写在服务器的日志里。")
        interval.fill("10")
        start.click()
        see("已连接。事件一发出，这里就收到。")
    see("连接断了，浏览器会自己重试……")
    page.close()
