"""The report's page, in Chromium: what it shows, to whom, and that nothing in it runs."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from graded_class import GRADED, SCRIPT
from workbook.grade_report import folder_names, write_report


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("graded")
    write_report(GRADED, out)
    return out


@pytest.fixture
def page(out: Path, browser: Browser) -> Iterator[Page]:
    """The page from disk. Whatever it asks for beside itself, or complains of, is an error."""
    address = (out / "report.html").as_uri()
    page = browser.new_page()
    page.set_default_timeout(20_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text))
    page.on("dialog", lambda dialog: errors.append(dialog.message))
    page.on(
        "request",
        lambda request: None if request.url == address else errors.append(request.url),
    )
    page.goto(address)
    yield page
    page.close()
    assert not errors


def test_what_students_wrote_is_text_and_nothing_else(page: Page) -> None:
    assert page.title() == "Grades"
    assert page.locator("script, img, iframe, object, form, base").count() == 0
    policy = page.locator("meta[http-equiv]").get_attribute("content")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    expect(page.get_by_text(SCRIPT, exact=False).first).to_be_attached()
    text = page.content()
    assert "49" not in page.locator("#matrix").inner_text()  # of a name that is a template
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


def test_the_page_is_for_everybody(page: Page) -> None:
    """Tables that a screen reader can tell, marks that are words, too, and enough contrast."""
    assert page.locator("th:not([scope])").count() == 0
    assert page.locator("table:not(:has(caption))").count() == 0
    assert page.evaluate(
        "[...document.querySelectorAll('[id]')].length"
        " === new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size"
    )
    assert page.evaluate(
        "[...document.querySelectorAll('a[href^=\"#\"]')]"
        ".every(a => document.getElementById(a.getAttribute('href').slice(1)))"
    )
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="王芳"))
    assert "1 of 4 checks passed" in row.first.inner_text()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert min(page.evaluate(CONTRASTS)) >= 4.5, scheme


CONTRASTS = """() => {
  const light = (colour) => colour.match(/\\d+/g).slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const page = getComputedStyle(document.documentElement).backgroundColor;
  return [...document.querySelectorAll(".mark, .legend span, .soft, a")].map((element) => {
    const style = getComputedStyle(element);
    const back = style.backgroundColor.startsWith("rgba(0") ? page : style.backgroundColor;
    const [dark, bright] = [light(style.color), light(back)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  });
}"""


def test_the_keyboard_leads_from_a_name_to_the_feedback(page: Page, out: Path) -> None:
    names: list[str] = []
    while "王芳" not in names:
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.innerText"))
        assert len(names) < 60
    assert names[-2] == "王伟"  # one stop for each student, not one for each exercise
    folders = folder_names([student.name for student in GRADED.students])
    number = folders.index("王芳") + 1
    feedback = page.locator(f"#s{number}")
    expect(feedback).to_be_hidden()
    page.keyboard.press("Enter")
    expect(feedback).to_be_visible()
    expect(feedback).to_be_in_viewport()
    page.keyboard.press("Tab")
    address = page.evaluate("document.activeElement.href")
    assert address == (out / "students" / "王芳" / "feedback.txt").as_uri()


def test_a_mark_leads_to_its_exercise(page: Page) -> None:
    page.get_by_title("gather: 0 of 4 checks passed").first.click()
    section = page.locator("section:target")
    expect(section).to_be_in_viewport()
    expect(section.get_by_role("heading")).to_contain_text("01_async_vs_def/gather")


def test_the_page_fits_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.evaluate("document.getElementById('matrix').scrollTo(400, 400)")
    page.evaluate("document.getElementById('matrix').scrollIntoView()")
    expect(page.get_by_role("columnheader", name="Student", exact=True).first).to_be_in_viewport()


def test_on_paper_all_is_open(page: Page) -> None:
    one = page.locator("#s30")
    expect(one).to_be_hidden()
    page.emulate_media(media="print")
    expect(one).to_be_visible()
    expect(page.get_by_role("navigation")).to_be_hidden()
    assert page.evaluate(
        "[...document.querySelectorAll('.student + .student')]"
        ".every((student) => getComputedStyle(student).breakBefore === 'page')"
    )
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_the_page_says_what_it_could_not_do(page: Page) -> None:
    page.get_by_role("link", name="who, and why").click()
    note = page.get_by_role("listitem").filter(has_text="not graded, or only in part")
    expect(note.first).to_contain_text("-2+3: not graded, or only in part: the zip is broken")
    page.get_by_role("link", name="which, and what to do").click()
    row = page.get_by_role("region", name="Limits").get_by_role("row").nth(1)
    expect(row).to_contain_text("✗ no")
    expect(row).to_contain_text("install bubblewrap")
