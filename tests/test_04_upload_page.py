"""Section 4: the page, used in a browser."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

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
