"""All that is said exists in Chinese, and is said in the language that the reader wants."""

import ast
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract
from rich.cells import cell_len

from workbook import ROOT, SECTIONS, pad
from workbook.bundle import COLUMNS, collect, prove_links_lead_somewhere, wrap
from workbook.checking import Advice
from workbook.exercises import EXERCISES, Exercise, find_exercises
from workbook.grade_report import write_report
from workbook.grades import Grade, GradedClass, Limit, Student
from workbook.language import catalogue, language
from workbook.launch import PACKAGE
from workbook.results import CLOSING
from workbook.runner import Outcome, run
from workbook.submissions import read_submissions

(UNBLOCK,) = find_exercises("unblock")
CHECKS = sorted(ROOT.glob("exercises/*/test_*.py"))
MODULES = sorted(PACKAGE.glob("*.py"))
MARKS = ("_", "tr")  # `tr` in notebooks, where `_` is the last output

# ── The catalogue ────────────────────────────────────────────────────────────────────────────


def marked() -> Iterator[tuple[str, str]]:
    """All messages that the code marks, each with where it stands."""
    texts = {path: path.read_text(encoding="utf-8") for path in (*MODULES, *CHECKS)}
    for notebook in sorted(ROOT.glob("notebooks/*.ipynb")):
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        texts[notebook] = "\n".join(code)
    keywords = dict.fromkeys(MARKS)
    for path, text in texts.items():
        for line, message, *_ in extract("python", io.BytesIO(text.encode()), keywords):
            yield f"{path.name}:{line}", str(message)
    template = PACKAGE / "report.html.jinja"
    for line, message, *_ in extract("jinja2", io.BytesIO(template.read_bytes()), keywords):
        yield f"{template.name}:{line}", str(message)


@pytest.fixture(scope="module")
def messages() -> dict[str, str]:
    """Each message that needs a translation, and where it stands."""
    found = {message: where for where, message in marked()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBOOK_LANG", "en")
        for exercise in EXERCISES:
            found |= dict.fromkeys(exercise.titles.values(), exercise.checks.name)
    return found | {section.question: "sections.py" for section in SECTIONS}


def complain(lines: list[str]) -> None:
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


def test_every_message_has_a_translation(messages: dict[str, str]) -> None:
    chinese = catalogue("zh")
    complain([f"{where}: {text!r}" for text, where in messages.items() if text not in chinese])


def test_every_translation_is_of_a_message(messages: dict[str, str]) -> None:
    header = ""
    complain([repr(text) for text in catalogue("zh") if text not in {header, *messages}])


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"\{(\w*)(?:![rsa])?(?::[^{}]*)?\}", text))


def test_a_translation_has_the_placeholders_of_its_message() -> None:
    complain(
        [
            f"{message!r} → {translation!r}"
            for message, translation in catalogue("zh").items()
            if placeholders(message) != placeholders(translation)
        ]
    )


def unmarked(node: ast.AST) -> Iterator[ast.Constant]:
    """The sentences in an expression that no mark is round."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS:
        return
    if isinstance(node, ast.Constant) and re.search(r"[A-Za-z]{2,} [a-z]{2,}", str(node.value)):
        yield node
    for inner in ast.iter_child_nodes(node):
        yield from unmarked(inner)


def spoken(tree: ast.AST) -> Iterator[ast.AST]:
    """The expressions in a module that somebody will read: advice, and what errors say."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in ("did", "expected", "seen"):
            yield node.value
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield from node.exc.args


@pytest.mark.parametrize("path", [*MODULES, *CHECKS], ids=lambda path: path.name)
def test_advice_and_errors_are_marked_for_translation(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [constant for expression in spoken(tree) for constant in unmarked(expression)]
    complain([f"{path.name}:{constant.lineno}: {constant.value!r}" for constant in found])


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.id)
def test_an_exercise_has_its_task_and_hints_in_both_languages(
    exercise: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBOOK_LANG", "en")
    starter = exercise.file.read_text(encoding="utf-8")
    assert exercise.task == ast.get_docstring(ast.parse(starter))
    hints = exercise.hints
    monkeypatch.setenv("WORKBOOK_LANG", "zh")
    assert is_chinese(exercise.task.splitlines()[0])
    assert exercise.task.endswith(f"workbook check {exercise.name}")
    assert len(exercise.hints) == len(hints)
    for english, chinese in zip(hints, exercise.hints, strict=True):
        assert english != chinese
        assert is_chinese(chinese)


def is_chinese(text: str) -> bool:
    return bool(re.search("[\u4e00-\u9fff]", text))


# ── Which language ───────────────────────────────────────────────────────────────────────────

CHINA, NOWHERE = "zh_CN.UTF-8", "C.UTF-8"


@pytest.mark.parametrize(
    ("variables", "folder", "wanted"),
    [
        ({"LANG": NOWHERE}, "", "en"),
        ({"LANG": "de_DE.UTF-8"}, "", "en"),
        ({"LANG": CHINA}, "", "zh"),
        ({"LANG": CHINA, "LC_MESSAGES": NOWHERE}, "", "en"),
        ({"LANG": NOWHERE, "LC_MESSAGES": CHINA}, "", "zh"),
        ({"LANG": NOWHERE, "LC_MESSAGES": NOWHERE, "LC_ALL": "zh_TW"}, "", "zh"),
        ({"LANG": NOWHERE}, "notebooks/zh", "zh"),
        ({"LANG": CHINA, "WORKBOOK_LANG": "en"}, "notebooks/zh", "en"),
        ({"LANG": NOWHERE, "LC_ALL": NOWHERE, "WORKBOOK_LANG": "zh"}, "", "zh"),
    ],
)
def test_the_language_is_the_reader_s(
    variables: dict[str, str],
    folder: str,
    wanted: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("WORKBOOK_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path / folder)
    assert language() == wanted


def workbook(*arguments: str, **env: str) -> str:
    own = {"PYTHONIOENCODING": "utf-8", "COLUMNS": "100", "LC_ALL": "", "WORKBOOK_LANG": ""}
    return subprocess.run(
        [sys.executable, "-m", "workbook", *arguments],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, **own, **env},
        check=True,
        timeout=60,
    ).stdout


def test_the_command_says_it_in_the_language_that_is_asked_for() -> None:
    assert is_chinese(workbook("hint", "unblock", "1", LANG=CHINA))
    listed = workbook("--lang", "zh")
    assert catalogue("zh")[SECTIONS[0].question] in listed
    assert not re.search("[a-z]+ [a-z]+ [a-z]+ [a-z]+", listed), "an English sentence"


def test_a_check_has_the_language_of_the_notebook_that_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs elsewhere, so where the notebook lies tells it nothing."""
    answer = tmp_path / "notebooks" / "zh" / "answer.py"
    answer.parent.mkdir(parents=True)
    answer.write_text("", encoding="utf-8")
    monkeypatch.setenv("WORKBOOK_LANG", "")
    monkeypatch.chdir(answer.parent)
    outcome = run(UNBLOCK, answer, next(iter(UNBLOCK.titles))).outcomes[0]
    assert outcome.advice.startswith(catalogue("zh")["did:"])
    assert catalogue("zh")["it accepts requests"] in outcome.advice


# ── How it looks ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("wanted", ["en", "zh"])
def test_columns_are_as_wide_as_they_look(wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBOOK_LANG", wanted)
    assert {cell_len(pad(text, 12)) for text in ("提示", "hint", "提示 1", "")} == {12}
    lines = str(Advice("✗", "✗", "✗")).splitlines()
    assert len({cell_len(line.partition("✗")[0]) for line in lines}) == 1
    assert all(" ✗" in line for line in lines)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.id)
def test_a_chinese_task_fits_its_lines(exercise: Exercise, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBOOK_LANG", "zh")
    lines = wrap(exercise.task).splitlines()
    for line in lines:
        assert cell_len(line) <= COLUMNS or re.fullmatch("`[^`]+`", line)  # a command stays whole
        assert not line.strip().startswith(tuple(CLOSING))
    whole = [re.sub(r"\s", "", text) for text in (exercise.task, "".join(lines))]
    assert whole[0] == whole[1]
    assert len(lines) < 1.5 * sum(cell_len(p) // COLUMNS + 1 for p in exercise.task.splitlines())


# ── What students and instructors get ────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def bundle() -> dict[str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBOOK_LANG", "zh")
        return collect()


def code(text: str) -> str:
    """What a starter does: all but its task."""
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    return ast.dump(ast.Module(tree.body[1:], []))


def test_in_a_chinese_bundle_starters_have_chinese_tasks_and_the_same_code(
    bundle: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBOOK_LANG", "zh")
    for exercise in EXERCISES:
        english = exercise.file.read_text(encoding="utf-8")
        chinese = bundle[exercise.file.relative_to(ROOT).as_posix()]
        assert code(chinese) == code(english)
        assert ast.get_docstring(ast.parse(chinese)) == wrap(exercise.task)


def test_a_chinese_bundle_is_for_who_reads_chinese(bundle: dict[str, str]) -> None:
    assert "notebooks/zh/README.md" not in bundle
    assert is_chinese(bundle["README.md"].splitlines()[0])
    assert "](notebooks/zh/00_start_here.ipynb)" in bundle["README.md"]
    assert "WORKBOOK_LANG: zh" in bundle[".github/workflows/check.yml"]
    for word in ("solutions", "[test]", "bundle", "教师"):
        assert word not in bundle["README.md"]
    prove_links_lead_somewhere(bundle)


def commands(readme: Path) -> list[str]:
    blocks = re.findall(r"(?s)```(?:sh|powershell)\n(.*?)```", readme.read_text(encoding="utf-8"))
    return [line.partition("  #")[0].rstrip() for line in "".join(blocks).splitlines()]


def test_both_readmes_have_the_same_commands() -> None:
    chinese = commands(ROOT / "notebooks" / "zh" / "README.md")
    chinese.remove("workbook task unblock")  # who reads English has it in the file
    assert chinese == commands(ROOT / "README.md")


def test_a_starter_with_a_chinese_task_is_untouched(bundle: dict[str, str], tmp_path: Path) -> None:
    """What was worked on counts, and not the starter, though that is newer."""
    folder = tmp_path / "class" / "王小明"
    folder.mkdir(parents=True)
    shutil.copy(UNBLOCK.solution, folder / "unblock.py")
    starter = folder / "unblock (1).py"
    starter.write_text(bundle[UNBLOCK.file.relative_to(ROOT).as_posix()], encoding="utf-8")
    os.utime(folder / "unblock.py", (1_700_000_000,) * 2)
    [read] = read_submissions(folder.parent, tmp_path / "into")
    assert read.answers[UNBLOCK.id].read_bytes() == UNBLOCK.solution.read_bytes()
    assert "unblock (1).py" in read.notes[0]


def test_a_chinese_report_has_no_english_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBOOK_LANG", "zh")
    failed = [
        Grade(
            exercise,
            tuple(
                Outcome(check, title, False, str(Advice("问", "答", f"无 {title}")), 1)
                for check, title in exercise.titles.items()
            ),
        )
        for exercise in EXERCISES
    ]
    missing = [Grade(exercise, (), missing=True) for exercise in EXERCISES]
    students = [
        Student("王伟", tuple(failed), ("有两份",)),
        Student("王芳", tuple(missing), ungraded="打不开"),
    ]
    write_report(GradedClass(students, [Limit("联网", False, "装沙箱")]), tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<html lang="zh-CN">' in page
    assert "无 " in page[page.index('id="misconceptions"') :][:3000], "what was seen, for example"
    shown = re.sub(r"(?s)<style>.*?</style>|<[^>]+>", " ", page)
    for text in (shown, *(p.read_text(encoding="utf-8") for p in tmp_path.rglob("*.txt"))):
        text = re.sub(r"`[^`]*`|async vs def", "", text)  # code; a section's name
        assert not re.findall("[A-Za-z]+ [a-z]+ [a-z]+", text)
