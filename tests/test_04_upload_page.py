"""Section 4: the page, used in a browser."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from test_03_websocket_page import english, words
from test_04_upload_leftovers import SHORTCUTS, write_app
from workbook import Server, find_section, serve

Choose = Callable[[str, bytes], None]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app and its page, copied into an empty folder: they need nothing else."""
    folder = tmp_path_factory.mktemp("alone")
    app = find_section("04").app
    for source in (app, app.with_suffix(".html")):
        shutil.copy(source, folder)
    env = {"UPLOAD_DIR": str(folder / "uploads"), "MAX_LARGE_BYTES": str(64 * 1024**2)}
    with serve(folder / app.name, env=env) as server:
        yield server
    assert "Traceback" not in server.log()


@pytest.fixture
def page(server: Server, browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.set_default_timeout(20_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    # A refusal shows in the console, whatever the page does: that is the browser's doing.
    page.on(
        "console",
        lambda message: (
            errors.append(message.text)
            if message.type == "error" and "status of 4" not in message.text
            else None
        ),
    )
    page.on(
        "request",
        lambda request: None if request.url.startswith(server.url) else errors.append(request.url),
    )
    page.goto(server.url)
    yield page
    page.close()
    assert not errors


@pytest.fixture
def choose(page: Page, tmp_path: Path) -> Choose:
    def choose(name: str, data: bytes) -> None:
        (tmp_path / name).write_bytes(data)
        page.get_by_label("Choose files").set_input_files(tmp_path / name)

    return choose


def test_several_files_are_sent_and_listed(page: Page, tmp_path: Path) -> None:
    """Contract: `GET /` answers a page to try the section in a browser."""
    (tmp_path / "cat.png").write_bytes(PNG)
    (tmp_path / "年度报告.pdf").write_bytes(b"%PDF-1.7")
    page.get_by_label("Choose files").set_input_files(sorted(tmp_path.iterdir()))
    uploads = page.get_by_role("list", name="Uploads")
    expect(uploads.get_by_text("Stored as cat.png")).to_be_visible()
    expect(uploads.get_by_text("Stored as 年度报告.pdf")).to_be_visible()
    stored = page.get_by_role("list", name="Stored files")
    expect(stored.get_by_text("cat.png")).to_be_visible()
    expect(stored.get_by_text("8 bytes").first).to_be_visible()


def test_the_servers_sentences_are_shown(page: Page, choose: Choose) -> None:
    """Contract: error sentences are in `detail`; a browser that is still sending reads them."""
    choose("notes.txt", b"hello")
    choose("film.png", b"0" * 40_000_000)
    expect(page.get_by_text("不支持的文件类型:text/plain")).to_be_visible()
    expect(page.get_by_text("文件太大,最大 10MB")).to_be_visible()


def test_the_route_can_be_chosen(page: Page, choose: Choose) -> None:
    page.get_by_label("/upload/large").check()
    choose("notes.txt", b"hello")
    expect(page.get_by_text("Stored as notes.txt")).to_be_visible()


def test_a_drop_uploads(page: Page) -> None:
    page.evaluate(
        """() => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File(["%PDF-1"], "dropped.pdf", {type: "application/pdf"}));
            document.querySelector("#drop").dispatchEvent(
                new DragEvent("drop", {dataTransfer, bubbles: true, cancelable: true}));
        }"""
    )
    expect(page.get_by_text("Stored as dropped.pdf")).to_be_visible()


def test_a_cancelled_upload_shows_its_progress_and_leaves_nothing(
    page: Page, server: Server, choose: Choose
) -> None:
    """Contract: cut off: no partial file under its final name, no temporary file left."""
    slow = page.context.new_cdp_session(page)
    slow.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 1_000_000},
    )
    choose("half.pdf", b"%PDF-".ljust(9_000_000))
    bar = page.get_by_role("progressbar", name="half.pdf")
    page.wait_for_function("document.querySelector('progress').value > 0")
    assert 0 < float(bar.evaluate("bar => bar.value")) < 1
    page.get_by_role("button", name="Cancel half.pdf").click()
    expect(page.get_by_text("Cancelled.")).to_be_visible()
    names = [path.name for path in (server.app.parent / "uploads").iterdir()]
    assert not [name for name in names if name.startswith(("half", ".partial"))]


def test_a_name_is_shown_as_text(page: Page) -> None:
    name = "<img src=x onerror=document.title='owned'>.pdf"
    page.get_by_label("Choose files").set_input_files(
        {"name": name, "mimeType": "application/pdf", "buffer": b"%PDF-"}
    )
    expect(page.get_by_text(name, exact=False).first).to_be_visible()
    expect(page.get_by_text("Stored as _img src=x")).to_be_visible()
    assert page.locator("img").count() == 0
    assert "owned" not in page.title()


def test_a_server_that_is_gone_is_told(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page()
    with serve("04_upload", env={"UPLOAD_DIR": str(tmp_path)}) as server:
        page.goto(server.url)
    page.get_by_label("Choose files").set_input_files(__file__)
    expect(page.get_by_text("It could not be sent")).to_be_visible()
    page.close()


def test_a_chinese_reader_meets_no_english(browser: Browser, tmp_path: Path) -> None:
    """Save what has no Chinese: types and units, names of files, what the system says."""
    full = os.strerror(errno.ENOSPC)
    spared = words(f"/upload JPEG PNG PDF MiB MB image/jpeg text/plain png txt /large {full}")
    app = write_app(tmp_path, SHORTCUTS)
    shutil.copy(find_section("04").app.with_suffix(".html"), app.with_suffix(".html"))
    page = browser.new_page(locale="zh-CN")

    def send(name: str, data: bytes) -> None:
        (tmp_path / name).write_bytes(data)
        spared.update(words(name))
        page.get_by_label("选择文件，或者拖到这里").set_input_files(tmp_path / name)

    def see(sentence: str) -> None:
        expect(page.get_by_role("list", name="上传情况")).to_contain_text(sentence)
        assert english(page) <= spared

    with serve(app, env={"UPLOAD_DIR": str(tmp_path / "uploads")}) as server:
        page.goto(server.url)
        expect(page).to_have_title("04 上传：文件有大有小")
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        expect(page.get_by_text("还没有。")).to_be_visible()
        assert english(page) <= spared
        send("猫.png", PNG)
        see("已存为：猫.png")
        expect(page.get_by_role("list", name="已存的文件")).to_contain_text("8 字节")
        send("狗.jpeg", PNG)
        see("内容不是 image/jpeg：是什么类型，就按什么类型发。")
        send("笔记.txt", b"")
        see("不支持的文件类型:text/plain")
        send("电影.png", PNG.ljust(11_600_000))
        see("文件太大,最大 10MB")
        page.get_by_label("/upload/large：不限类型，分块接收").check()
        send("last straw", b"")
        see(f"服务器现在存不下，请稍后再试：{full}。")
        send("forbidden", b"")
        see("服务器用不了它的文件夹，请稍后再试。")
        slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 1e6}
        page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", slow)
        send("半个", bytes(9_000_000))
        expect(page.get_by_role("progressbar", name="半个 的发送进度")).to_be_visible()
        assert english(page) <= spared
        page.get_by_role("button", name="取消 半个").click()
        see("已取消。")
    send("猫.png", PNG)
    see("没能发出去：服务器在运行吗？文件读得了吗？")
    page.close()
