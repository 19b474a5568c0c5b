"""The zip that students get, and the proofs that it gives no answer away and works."""

import html
import io
import json
import os
import posixpath
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.cells import cell_len

from workbook.exercises import DOCSTRING, EXERCISES, Exercise
from workbook.installation import PROJECT
from workbook.language import _, language
from workbook.launch import FORK, PACKAGE
from workbook.progress import is_solved
from workbook.results import WORD
from workbook.sections import ROOT, SECTIONS

DATE = (2020, 2, 2, 0, 0, 0)  # no file's own, so that the same contents make the same zip
WORDS = 18  # in a row, two or three lines of code: shorter runs can be alike by chance
COMMAND_SECONDS = 120
COLUMNS = 96  # of a task in a starter; a Chinese character takes two
CHINESE = ROOT / "notebooks" / "zh"
LINK = re.compile(r"\]\((?!https?:|#)([^)\s#]+)")

Contents = Mapping[str, str]  # each file's text, by its path in the workbook, with slashes


class BundleError(Exception):
    """The bundle can't be given to students. The message says why, and what to do about it."""


def make_bundle(out: Path) -> list[str]:
    """Write the zip that students get, and return the names of what it holds.

    Raises BundleError when something is missing here, when an answer would be given away, or
    when a command does not work in the unzipped bundle; OSError when `out` can't be written.
    Then `out` is as it was.
    """
    if not all(e.solution.is_file() and len(answers(e)) > 1 for e in EXERCISES):
        without_answers = _(
            "Not all of solutions/ and tests/answers/ is here, so whether the bundle gives an "
            "answer away can't be told. Make it from the whole workbook."
        )
        raise BundleError(without_answers)
    contents = collect()
    prove_nothing_leaks(contents)
    prove_links_lead_somewhere(contents)
    part = out.with_name(f"{out.name}.part")
    try:
        part.write_bytes(pack(contents))
        prove_commands_work(part)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return sorted(contents)


# ── What is in it ────────────────────────────────────────────────────────────────────────────


def collect() -> dict[str, str]:
    """Read all that students get, in their language, and nothing that merely lies beside it.

    Raises BundleError for a file that is missing or isn't text.
    """
    contents = {}
    for path in find_files():
        try:
            text = path.read_text(encoding="utf-8")
            if path.suffix == ".ipynb":
                text = without_outputs(text)
        except (OSError, ValueError) as error:
            told = _("{file} can't be put into the bundle: {error}")
            raise BundleError(told.format(file=path, error=error)) from None
        if path.parent == ROOT or path.name == "README.md":
            text = for_students(text)
        # Here it would run for the workbook's own repository; there GitHub finds it.
        contents[name_of(path).replace(".github/class/", ".github/workflows/")] = text
    return in_chinese(contents) if language() == "zh" else contents


def in_chinese(contents: Contents) -> dict[str, str]:
    """With README and tasks for who reads Chinese. A command in CI can't know that, and is told."""
    readme = name_of(CHINESE / "README.md")
    folder = posixpath.dirname(readme)
    workflow = ".github/workflows/check.yml"
    chinese = {name: text for name, text in contents.items() if name != readme}
    chinese["README.md"] = LINK.sub(
        lambda link: f"]({posixpath.normpath(posixpath.join(folder, link[1]))}", contents[readme]
    )
    chinese[workflow] = re.sub(
        r"( +)COLUMNS: .*\n", r"\g<0>\1WORKBOOK_LANG: zh\n", contents[workflow]
    )
    for exercise in EXERCISES:
        starter = name_of(exercise.file)
        chinese[starter] = with_task(contents[starter], exercise.task)
    return chinese


def with_task(starter: str, task: str) -> str:
    """The starter, its docstring another one."""
    docstring = f'"""{wrap(task)}\n"""'.replace("\\", "\\\\")
    return DOCSTRING.sub(lambda _english: docstring, starter)


def wrap(text: str) -> str:
    """Break lines between Chinese characters, too, and indent what follows as the first line is."""
    lines = []
    for paragraph in text.splitlines():
        start = re.match(r" *(- )?", paragraph)
        assert start
        line = start[0]
        for word in WORD.findall(paragraph[start.end() :]):
            if line.strip(" -") and cell_len(line + word.rstrip()) > COLUMNS:
                lines.append(line.rstrip())
                line = " " * start.end()
            line += word
        lines.append(line.rstrip())
    return "\n".join(lines)


def find_files() -> Iterable[Path]:
    for name in ("LICENSE", "pyproject.toml", ".gitignore", "exercises/pytest.ini"):
        yield ROOT / name
    yield ROOT / ".github" / "class" / "check.yml"
    yield from ROOT.glob("README*.md")
    yield CHINESE / "README.md"
    for folder in (ROOT / "notebooks", CHINESE):
        for stem in ("00_start_here", *(section.stem for section in SECTIONS)):
            yield from folder.glob(f"{stem}.ipynb")
    for section in SECTIONS:
        yield section.app
        yield from section.app.parent.glob(f"{section.stem}.html")
    for exercise in EXERCISES:
        yield exercise.file
        yield exercise.checks
        yield from hints(exercise)
    for path in PACKAGE.rglob("*"):
        inner = path.relative_to(PACKAGE)
        if path.is_file() and not any(
            part.startswith((".", "__pycache__")) for part in inner.parts
        ):
            yield path


def hints(exercise: Exercise) -> list[Path]:
    """`NAME.md`, and those in other languages."""
    others = exercise.file.parent.glob(f"{exercise.name}.*.md")
    return [exercise.file.with_suffix(".md"), *others]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def for_students(text: str) -> str:
    """Leave out what only the whole workbook has, and uncover what only the bundle has.

    The one stands between two lines, `<!-- workbook only -->` and `<!-- /workbook only -->`; in
    a TOML file they begin with `#`. The other is one comment, from the line `<!-- bundle only` to
    the line `/bundle only -->`. Raises BundleError for a line without its partner.
    """
    text = re.sub(r"(?ms)^(<!--|#) workbook only\b.*?^(<!--|#) /workbook only\b.*?\n", "", text)
    text = re.sub(r"(?ms)^<!-- bundle only\n(.*?)^/bundle only -->\n", r"\1", text)
    if stray := re.search(r".*\b(workbook|bundle) only\b.*", text):
        told = _("The line {line!r} has no partner: see for_students in bundle.py.")
        raise BundleError(told.format(line=stray[0]))
    return text


def without_outputs(text: str) -> str:
    """A notebook as nobody has run it yet: who made the bundle may have."""
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if cell.get("outputs") or cell.get("execution_count"):
            cell |= {"outputs": [], "execution_count": None}
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def pack(contents: Contents) -> bytes:
    """Zip them below one folder. The same contents make the same bytes, on every system.

    For that, nothing is compressed: zlib does it differently from one version to another.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in sorted(contents.items()):
            entry = zipfile.ZipInfo(f"{PROJECT}/{name}", DATE)
            entry.create_system = 3  # Unix, for which the next line is
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, text.encode())
    return packed.getvalue()


# ── No answer is inside ──────────────────────────────────────────────────────────────────────


def prove_nothing_leaks(contents: Contents) -> None:
    """Look for starters that have been worked on, and for the text of any answer.

    Raises BundleError at the first.
    """
    for exercise in EXERCISES:
        starter = name_of(exercise.file)
        if is_solved(exercise) or "TODO" not in contents[starter]:
            told = _(
                "{starter} has been worked on. "
                "Put the starter back: students get exercises/ as it is here."
            )
            raise BundleError(told.format(starter=starter))
    secret = secrets(contents)
    for name, text in contents.items():
        if found := secret.keys() & code_runs(plain(name, text)):
            run = min(found)
            told = _("{file} gives {answer} away: … {run} …")
            raise BundleError(told.format(file=name, answer=name_of(secret[run]), run=run))


def secrets(contents: Contents) -> dict[str, Path]:
    """The runs that must be nowhere in the bundle, each with the answer that it is from.

    An answer shares a lot with its starter, something with its hints, and with the starters of
    its section, which begin where an earlier exercise ended. Raises BundleError for an answer
    that is all there.
    """
    secret: dict[str, Path] = {}
    for exercise in EXERCISES:
        beside = [e.file for e in EXERCISES if e.section == exercise.section]
        given = {name_of(path) for path in [*beside, *hints(exercise)]}
        shared = set().union(*(code_runs(contents[name]) for name in given))
        for answer in answers(exercise):
            own = runs(answer.read_text(encoding="utf-8")) - shared
            if not own:
                told = _(
                    "{starter}, or one beside it, holds all of {answer}. "
                    "Put the starter back: students get exercises/ as it is here."
                )
                starter, whole = name_of(exercise.file), name_of(answer)
                raise BundleError(told.format(starter=starter, answer=whole))
            secret |= dict.fromkeys(own, answer)
    return secret


def answers(exercise: Exercise) -> list[Path]:
    """Its solution, and the right and wrong answers that its checks are tested with."""
    folder = ROOT / "tests" / "answers" / exercise.section / exercise.name
    return [exercise.solution, *sorted(folder.glob("*.py"))]


def plain(name: str, text: str) -> str:
    """The text as it is read: a notebook's cells, a page's characters."""
    return "\n".join(strings(json.loads(text) if name.endswith(".ipynb") else html.unescape(text)))


def strings(node: object) -> Iterable[str]:
    match node:
        case str():
            yield node
        case [str(), *_]:  # one text, line by line
            yield "".join(map(str, node))
        case list():
            for inner in node:
                yield from strings(inner)
        case dict():
            for inner in node.values():
                yield from strings(inner)


def code_runs(text: str) -> set[str]:
    """Its runs without comments, and with them: an answer may hide in a comment."""
    return runs(text) | runs(text.replace("#", ""))


def runs(text: str) -> set[str]:
    """All runs of WORDS words in a row. Imports, which are everybody's, and comments don't count.

    Indentation, line breaks, quotes and brackets don't, either.
    """
    text = re.sub(r"(?m)^[ \t]*(from[ \t]+\S+[ \t]+)?import[ \t].*|#.*", "", text)
    words = re.findall(r"\w+", text)
    return {" ".join(words[i : i + WORDS]) for i in range(len(words) - WORDS + 1)}


# ── It works ─────────────────────────────────────────────────────────────────────────────────


def prove_links_lead_somewhere(contents: Contents) -> None:
    """Follow README's and the notebooks' links. Raises BundleError for one to nothing in here."""
    folders = {posixpath.dirname(name) for name in contents}
    for name, text in contents.items():
        if name.endswith(".ipynb") or posixpath.basename(name).startswith("README"):
            for link in LINK.findall(text):
                to = posixpath.normpath(posixpath.join(posixpath.dirname(name), link))
                if to not in contents and to not in folders:
                    told = _("{file} links to {link}, which students don't get.")
                    raise BundleError(told.format(file=name, link=link))


def prove_commands_work(bundle: Path) -> None:
    """Unzip it and go a student's way, from the first command to a solved exercise.

    Raises BundleError at the first step that goes wrong.
    """
    exercise = EXERCISES[0]
    count = len(exercise.titles)
    passed = _("{passed} of {count} checks")
    heading = exercise.hints[0].partition("\n")[0]
    hint = _("hint {number} of {count}: {heading}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        with zipfile.ZipFile(bundle) as archive:
            archive.extractall(folder)
        root = Path(folder).resolve() / PROJECT
        own_copy = "import workbook; print(workbook.ROOT)"
        expect(root, ["-c", own_copy], 0, str(root))
        expect(root, ["-m", "workbook"], 0, exercise.section)
        # A starter is not solved, and a command that crashes has exit code 1, too.
        some = passed.format(passed="", count=count).strip()
        expect(root, ["-m", "workbook", "check", exercise.name], 1, some)
        first = hint.format(number=1, count=len(exercise.hints), heading=heading)
        expect(root, ["-m", "workbook", "hint", exercise.name], 0, first)
        solution = exercise.solution.read_text(encoding="utf-8")
        (root / name_of(exercise.file)).write_text(solution, encoding="utf-8")
        all_passed = passed.format(passed=count, count=count)
        expect(root, ["-m", "workbook", "check", exercise.name], 0, all_passed)


def expect(root: Path, arguments: list[str], code: int, saying: str) -> None:
    """Run this Python there, with the package from there: not the one that is installed here."""
    env = {**os.environ, "PYTHONPATH": str(root / "notebooks"), "PYTHONIOENCODING": "utf-8"}
    env |= {"COLUMNS": "120", "WORKBOOK_LANG": language()}
    env.pop(FORK, None)
    command = " ".join(["python", *arguments])
    try:
        ended = subprocess.run(
            [sys.executable, *arguments],
            cwd=root,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=COMMAND_SECONDS,
        )
    except subprocess.TimeoutExpired:
        told = _("Unzipped, `{command}` takes over {seconds} s.")
        raise BundleError(told.format(command=command, seconds=COMMAND_SECONDS)) from None
    if ended.returncode != code or saying not in ended.stdout:
        told = _(
            "Unzipped, `{command}` should end with exit code {code} and say {saying!r}. "
            "It ended with {ended} and said:\n{said}"
        )
        raise BundleError(
            told.format(
                command=command,
                code=code,
                saying=saying,
                ended=ended.returncode,
                said=ended.stdout,
            )
        )
