"""What README, the section table and the tree promise each other."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from workbook import ROOT, SECTIONS

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_first_code_block_of_readme_is_two_commands() -> None:
    block = re.search(r"```sh\n(.*?)```", README, re.DOTALL)
    assert block
    open_it, test_it = block[1].splitlines()
    assert open_it.endswith("workbook lab")
    assert "pytest" in test_it


def test_readme_has_every_section_with_its_question() -> None:
    for section in SECTIONS:
        assert f"| {section.question} |" in README


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "notebooks").glob("*.ipynb"))]
)
def test_no_link_is_dead(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)\s]+)\)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if not (page.parent / link.partition("#")[0]).exists()]


def test_the_top_level_holds_what_it_should() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    top = {name.partition("/")[0] for name in listed.stdout.splitlines()}
    folders = {"notebooks", "examples", "exercises", "solutions", "tests"}
    assert {name for name in top if not name.startswith(".")} <= folders | {
        "pyproject.toml",
        "README.md",
        "LICENSE",
    }


CLAIMS = {
    f"{section}.{claim}"
    for section, claims in enumerate([7, 6, 6, 6, 8, 7], start=1)
    for claim in range(1, claims + 1)
}


def test_every_claim_of_the_chapter_is_pinned_by_a_test() -> None:
    tests = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("test_*.py")]
    marks = re.findall(r"mark\.claim\(([^)]*)\)", "\n".join(tests))
    assert set(re.findall(r"\d\.\d", " ".join(marks))) == CLAIMS


def test_every_claim_of_the_chapter_is_seen_in_a_notebook() -> None:
    """The cell whose assertion is the claim carries its id as a tag."""
    seen = {
        tag.removeprefix("claim-")
        for path in (ROOT / "notebooks").glob("*.ipynb")
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        for tag in cell["metadata"].get("tags", [])
        if "assert" in "".join(cell["source"])
    }
    assert seen == CLAIMS
