"""The zip that students get: complete, without an answer, and working where it is unzipped."""

import html
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from workbook import ROOT, SECTIONS
from workbook.bundle import (
    DATE,
    BundleError,
    answers,
    code_runs,
    collect,
    for_students,
    make_bundle,
    pack,
    plain,
    prove_commands_work,
    prove_links_lead_somewhere,
    prove_nothing_leaks,
    secrets,
)
from workbook.exercises import EXERCISES, find_exercises
from workbook.launch import FORK

(UNBLOCK,) = find_exercises("unblock")
(QUICK,) = find_exercises("no_globals")  # its checks wait for little
STARTER = UNBLOCK.file.relative_to(ROOT).as_posix()
SOLUTION = UNBLOCK.solution.read_text(encoding="utf-8")
CLI = "notebooks/workbook/cli.py"
NOTEBOOK = "notebooks/03_websocket.ipynb"


@pytest.fixture(scope="module")
def contents() -> dict[str, str]:
    return collect()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    out = tmp_path_factory.mktemp("made") / "class.zip"
    return out, make_bundle(out)


@pytest.fixture
def unzipped(made: tuple[Path, list[str]], tmp_path: Path) -> Path:
    with zipfile.ZipFile(made[0]) as archive:
        archive.extractall(tmp_path)
    return tmp_path / "fastapi-async-workbook"


def run(folder: Path, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run it there, as a student does, with the workbook from there."""
    own = {
        "PYTHONPATH": str(folder / "notebooks"),
        "PYTHONIOENCODING": "utf-8",
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]),
        "COLUMNS": "120",
    }
    return subprocess.run(
        command,
        cwd=folder,
        env={name: os.environ[name] for name in os.environ if name != FORK} | own | env,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )


# ── What is in it ────────────────────────────────────────────────────────────────────────────


def test_it_holds_what_students_need_and_no_more(made: tuple[Path, list[str]]) -> None:
    with zipfile.ZipFile(made[0]) as archive:
        names = [name.removeprefix("fastapi-async-workbook/") for name in archive.namelist()]
    assert names == made[1]
    needed = [UNBLOCK.file.parents[1] / "pytest.ini"]
    for exercise in EXERCISES:
        needed += [exercise.file, exercise.checks, exercise.file.with_suffix(".md")]
    for section in SECTIONS:
        needed += [section.app, section.notebook]
    needed += (ROOT / "notebooks" / "workbook").glob("*.py")
    assert not {path.relative_to(ROOT).as_posix() for path in needed} - set(names)
    tops = {"README.md", "LICENSE", "pyproject.toml", ".gitignore", ".github"}
    assert {name.partition("/")[0] for name in names} == tops | {
        "notebooks",
        "examples",
        "exercises",
    }
    assert [name for name in names if name.startswith(".github")] == [".github/workflows/check.yml"]


def test_every_name_is_one_that_windows_can_unzip(made: tuple[Path, list[str]]) -> None:
    with zipfile.ZipFile(made[0]) as archive:
        names = archive.namelist()
    assert len({name.lower() for name in names}) == len(names)
    for name in names:
        assert len(name) < 120  # of the 260 of a whole path
        assert re.fullmatch(r"[\w./-]+", name, re.ASCII)
        assert not re.search(r"(?i)\.(/|$)|(^|/)(con|prn|aux|nul|com\d|lpt\d)(\.|/|$)", name)


def test_the_same_contents_make_the_same_bytes(made: tuple[Path, list[str]]) -> None:
    assert made[0].read_bytes() == pack(dict(reversed(collect().items())))
    with zipfile.ZipFile(made[0]) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {DATE}


def test_readme_is_for_students(contents: dict[str, str]) -> None:
    readme = contents["README.md"]
    for word in ("solutions", "tests", "[test]", "instructor", "bundle"):
        assert word not in readme.lower()
    whole = (ROOT / "README.md").read_text(encoding="utf-8")
    for shell in ("sh", "powershell"):  # the first line of each: it opens the first notebook
        first, given = (re.search(rf"```{shell}\n(.+)\n", text) for text in (whole, readme))
        assert first
        assert given
        assert first[1] == given[1]


def test_what_only_one_of_the_two_has_is_between_marks() -> None:
    text = (
        "a\n<!-- workbook only -->\nb\n<!-- /workbook only -->\nc\n"
        "<!-- bundle only\nd\n/bundle only -->\n"
        "# workbook only: why\ne\n# /workbook only\nf\n"
    )
    assert for_students(text) == "a\nc\nd\nf\n"
    for line in ("<!-- workbook only -->", "# /workbook only", "/bundle only -->"):
        with pytest.raises(BundleError, match="has no partner"):
            for_students(text + line + "\n")


# ── No answer is inside ──────────────────────────────────────────────────────────────────────


def with_cell(notebook: str, code: str) -> str:
    """The notebook, with the code in a cell of its own, in a function: indented."""
    parsed = json.loads(notebook)
    lines = ["def hidden():\n", *("    " + line for line in code.splitlines(keepends=True))]
    parsed["cells"].append({"cell_type": "code", "metadata": {}, "outputs": [], "source": lines})
    return json.dumps(parsed)


def test_every_answer_would_be_found_in_a_notebooks_cell(contents: dict[str, str]) -> None:
    secret = secrets(contents).keys()
    empty = json.dumps({"cells": []})
    for exercise in EXERCISES:
        for answer in answers(exercise):
            cell = with_cell(empty, answer.read_text(encoding="utf-8"))
            assert secret & code_runs(plain("x.ipynb", cell)), answer


HIDING_PLACES: dict[str, Callable[[dict[str, str]], dict[str, str]]] = {
    "a notebook's cell": lambda held: {NOTEBOOK: with_cell(held[NOTEBOOK], SOLUTION)},
    "another name": lambda held: {"notebooks/workbook/reports.py": SOLUTION},
    "another starter's comments": lambda held: {
        "exercises/05_sse/frame.py": held["exercises/05_sse/frame.py"]
        + "".join(f"# {line}\n" for line in SOLUTION.splitlines())
    },
    "one function in README": lambda held: {
        "README.md": held["README.md"] + SOLUTION[SOLUTION.index("@app.get") :]
    },
    "a page": lambda held: {"examples/05_sse.html": f"<pre>{html.escape(SOLUTION)}</pre>"},
}


@pytest.mark.parametrize("place", HIDING_PLACES)
def test_a_hidden_solution_is_found(contents: dict[str, str], place: str) -> None:
    with pytest.raises(BundleError, match=r"gives solutions/01_async_vs_def/unblock.py away"):
        prove_nothing_leaks(contents | HIDING_PLACES[place](contents))


def test_a_starter_that_has_been_solved_is_refused(contents: dict[str, str]) -> None:
    with pytest.raises(BundleError, match="has been worked on"):
        prove_nothing_leaks(contents | {STARTER: SOLUTION})
    with pytest.raises(BundleError, match=r"holds all of solutions/01_async_vs_def/unblock.py"):
        prove_nothing_leaks(contents | {STARTER: SOLUTION + "\n# TODO\n"})


def test_a_link_to_what_students_do_not_get_is_refused(contents: dict[str, str]) -> None:
    fine = "[app](examples/05_sse.py#L9) [all](examples) [site](https://example.org) [up](#top)"
    prove_links_lead_somewhere(contents | {"README.md": fine})
    notebook = contents[NOTEBOOK].replace("](../examples/", "](../solutions/", 1)
    with pytest.raises(BundleError, match=r"03_websocket.ipynb links to ../solutions/"):
        prove_links_lead_somewhere(contents | {NOTEBOOK: notebook})


CLUTTER = [
    "app.db",
    "uploads/cat.png",
    "examples/mine.py",
    "exercises/01_async_vs_def/unblock copy.py",
    "notebooks/Untitled.ipynb",
    "notebooks/.ipynb_checkpoints/01_async_vs_def-checkpoint.ipynb",
    "notebooks/workbook/__pycache__/cli.cpython-311.pyc",
    "notebooks/workbook/.DS_Store",
]
MAKE = """
from pathlib import Path
from workbook.bundle import BundleError, collect, make_bundle, pack, prove_nothing_leaks
"""


def test_a_tree_that_has_been_used_gives_the_same_bundle_or_none(
    tmp_path: Path, contents: dict[str, str]
) -> None:
    """Without git, and with what students and instructors leave behind."""
    tree = tmp_path / "workbook"
    shutil.copytree(
        ROOT,
        tree,
        ignore=lambda folder, names: {n for n in names if n[0] == "." and n != ".github"},
    )
    shutil.copy(ROOT / ".gitignore", tree)
    python = (sys.executable, "-c")

    # Solved, with the TODO left: but it has passed its checks.
    starter = tree / QUICK.file.relative_to(ROOT)
    kept = starter.read_bytes()
    starter.write_bytes(QUICK.solution.read_bytes() + b"\n# TODO\n")
    assert run(tree, sys.executable, "-m", "workbook", "check", QUICK.name).returncode == 0
    refused = run(tree, *python, MAKE + "prove_nothing_leaks(collect())")
    assert "no_globals.py has been worked on" in refused.stderr
    starter.write_bytes(kept)

    # Clutter, and a notebook that has been run.
    assert (tree / ".workbook").is_dir()
    for name in CLUTTER:
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_bytes(b"\xff")
    notebook = tree / NOTEBOOK
    has_run = json.loads(notebook.read_text(encoding="utf-8"))
    code = next(cell for cell in has_run["cells"] if cell["cell_type"] == "code")
    code |= {"execution_count": 7, "outputs": [{"output_type": "stream", "text": ["mine"]}]}
    notebook.write_text(json.dumps(has_run), encoding="utf-8")
    packed = run(tree, *python, MAKE + "Path('now.zip').write_bytes(pack(collect()))")
    assert packed.returncode == 0, packed.stderr
    assert (tree / "now.zip").read_bytes() == pack(contents)

    # What is refused leaves an earlier zip as it was, and nothing else.
    (tree / CLI).write_text("raise SystemExit('broken')", encoding="utf-8")
    refused = run(tree, *python, MAKE + "make_bundle(Path('now.zip'))")
    assert "`python -m workbook` should end with exit code 0" in refused.stderr
    assert (tree / "now.zip").read_bytes() == pack(contents)
    assert not list(tree.glob("*.part"))


# ── It works ─────────────────────────────────────────────────────────────────────────────────

CHECKS = UNBLOCK.checks.relative_to(ROOT).as_posix()
PASSING = "".join(f"def test_{letter}() -> None:\n    assert True\n\n\n" for letter in "abc")
BROKEN: dict[str, tuple[dict[str, str], str]] = {
    "the package is another one": ({"notebooks/workbook/__init__.py": "ROOT = 'away'"}, "away"),
    "a starter passes": ({CHECKS: PASSING}, "exit code 1 and say 'of 3 checks'"),
    "a command crashes": ({CLI: "raise SystemExit(1)"}, "It ended with 1"),
    "a solution fails": (
        {CHECKS: PASSING.replace("True", "False")},
        "exit code 0 and say '3 of 3 checks'",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_bundle_that_does_not_work_is_refused(
    contents: dict[str, str], tmp_path: Path, fault: str
) -> None:
    changes, sentence = BROKEN[fault]
    bundle = tmp_path / "class.zip"
    bundle.write_bytes(pack(contents | changes))
    with pytest.raises(BundleError, match=re.escape(sentence)):
        prove_commands_work(bundle)


def test_from_the_first_command_to_a_solved_exercise(unzipped: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    env = {"HOME": str(home), "USERPROFILE": str(home)}
    workbook = (sys.executable, "-m", "workbook")

    assert "· no_globals" in run(unzipped, *workbook, **env).stdout
    assert run(unzipped, *workbook, "hint", "no_globals", **env).returncode == 0
    starter = unzipped / QUICK.file.relative_to(ROOT)
    # Without the plugins that happen to be installed here, which take longer than all the rest.
    pytest = (sys.executable, "-m", "pytest", "-p", "anyio", str(QUICK.checks.relative_to(ROOT)))
    by_pytest = run(unzipped, *pytest, "-x", **env, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert by_pytest.returncode == 1
    assert "expected: " in by_pytest.stdout
    shutil.copy(QUICK.solution, starter)
    solved = run(unzipped, *workbook, "check", "no_globals", **env)
    assert solved.returncode == 0, solved.stdout
    assert "✓ no_globals" in run(unzipped, *workbook, **env).stdout
    assert not list(home.iterdir())


def test_students_cannot_make_one(unzipped: Path) -> None:
    refused = run(unzipped, sys.executable, "-c", MAKE + "make_bundle(Path('class.zip'))")
    assert "Make it from the whole workbook" in refused.stderr
    assert not (unzipped / "class.zip").exists()


@pytest.mark.skipif(os.name != "posix", reason="the workflow is for Ubuntu")
def test_the_workflow_fails_as_the_check_does_and_writes_the_summary(
    unzipped: Path, tmp_path: Path
) -> None:
    text = (unzipped / ".github" / "workflows" / "check.yml").read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow[True] == ["push", "pull_request"]  # YAML's `on`
    step = workflow["jobs"]["check"]["steps"][-1]
    summary = tmp_path / "summary.md"
    script = step["run"].replace("workbook check", "workbook check no_globals")
    shell = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)  # GitHub's `bash`
    assert step["shell"] == "bash"
    failed = run(unzipped, *shell, **step["env"], GITHUB_STEP_SUMMARY=str(summary))
    assert failed.returncode == 1
    assert "✗ 06_lifespan/no_globals" in failed.stdout
    assert "✗ 06_lifespan/no_globals" in summary.read_text(encoding="utf-8")
