"""Read what students handed in: folders, zips, and what learning platforms make of them.

As their sources have it, Moodle exports a folder "Name_ID_assignsubmission_file" for each student
or puts that before each file's name; Canvas writes "name_LATE_USER_UPLOAD_file.py"; Gradescope
folders "submission_ID" and a list of names; GitHub Classroom clones a repository a student.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path, PurePosixPath

from workbook.archives import ARCHIVE, Found, Node, Reading, Unreadable, on_disk, sentence, shown
from workbook.exercises import EXERCISES, Exercise
from workbook.language import _
from workbook.sections import SECTIONS

MAX_ANSWER = 1_000_000  # bytes
MAX_COPIES = 8  # of one answer that are looked at, the newest first
MAX_NOTES = 30
SAME_TIME = timedelta(seconds=10)  # a clone, or an unzipping, stamps a student's files in less

MOODLE = re.compile(r"(?P<student>.+?)_assignsubmission_[a-z]+_?(?P<name>.*)", re.DOTALL)
CANVAS = re.compile(
    r"(?P<student>(late_)?anon_[^_]+|.+?_\d+)_(?P<upload>\d+)_(?P<name>.+)", re.IGNORECASE
)
QUOTES = "'\" "
GRADESCOPE = re.compile(r"^(submission_\d+):\s+:submitters:\s+- :name: (.+)$", re.MULTILINE)

NAMES = "|".join(exercise.name.replace("_", "[ _-]?") for exercise in EXERCISES)
COPY = r"""[ ._-]*(?:
    \(\d+\) | v?\d+ | copy | kopie | copie | copia | old | new | backup | bak | final
    | 副本 | 备份 | 旧 | 新 | 最终
)"""
# The copies are matched once and for all (`*+`): a name can be made to be tried for ever.
ANSWER = re.compile(
    rf"(?:copy\ of\ |副本[ _-]*)?(?P<name>{NAMES})(?:{COPY})*+\.py", re.IGNORECASE | re.VERBOSE
)
ZIP_AGAIN = re.compile(r"(.+?)([ _-]*\(\d+\)|[ _-]+(copy|副本)[ _-]*\d*)", re.IGNORECASE)
TASK = re.compile(rb'""".*?"""', re.DOTALL)  # in the language that students were given it in
# What pytest or Python would take up by itself where it lies beside an answer.
PECULIAR = {"conftest.py", "pytest.ini", "sitecustomize.py", "usercustomize.py"}


@dataclass(frozen=True)
class Submission:
    """What one student handed in."""

    name: str  # as the folder or zip is called, without ".zip"
    answers: dict[str, Path]  # by exercise id: a copy, alone in its folder
    notes: tuple[str, ...] = ()  # sentences: what was chosen among copies, what was not read
    unreadable: str = ""  # why there is no answer at all


def read_submissions(folder: Path, into: Path) -> list[Submission]:
    """Read a folder or zip of all students, or of one, and copy their answers below `into`.

    Sorted by name. Raises Unreadable when `folder` is neither a folder nor a zip, OSError when it
    is not there or a copy cannot be written; never for what a student handed in.
    """
    with Reading() as reading:
        nodes = _students(on_disk(folder.resolve()), into.resolve(), reading)
        students = _by_student(nodes, _gradescope_names(nodes, reading))
        submissions: list[Submission] = []
        for number, (student, roots) in enumerate(sorted(students.items()), 1):
            name = shown(student)
            if name in (each.name for each in submissions):  # told apart by what is not shown
                name += f" #{number}"
            place = into / f"{number:04}"
            if place.exists():
                shutil.rmtree(place)
            with Reading() as own:
                submissions.append(_read_one(name, roots, place, own))
    return submissions


# ── Who has handed in ────────────────────────────────────────────────────────────────────────


def _students(root: Node, into: Path, reading: Reading, depth: int = 4) -> list[Node]:
    """What lies in the folder of all students, be it in another folder or zip."""
    nodes = reading.children(root)
    if _is_one_submission(nodes):
        return [root]
    others = [n for n in nodes if not (n.path and into.is_relative_to(n.path))]
    holders = [n for n in others if n.holds] or [n for n in nodes if n.holds]
    if len(holders) == 1 and depth and not any(map(_platform, nodes)):
        with suppress(Unreadable):
            inner = _students(holders[0], into, reading, depth - 1)
            if sum(n.holds for n in inner) > 1 or any(map(_platform, inner)):
                return inner
    return others


def _is_one_submission(nodes: list[Node]) -> bool:
    folders = {node.name.lower() for node in nodes if node.folder}
    if folders & {"exercises", *(section.stem for section in SECTIONS)}:
        return True
    answers = sum(bool(ANSWER.fullmatch(node.name)) for node in nodes)
    return 0 < answers >= sum(node.holds for node in nodes)


def _platform(node: Node) -> re.Match[str] | None:
    found = MOODLE.fullmatch(node.name) or re.fullmatch(r"submission_\d+", node.name)
    return found or (None if node.folder else CANVAS.fullmatch(node.name))


def _gradescope_names(nodes: list[Node], reading: Reading) -> dict[str, str]:
    for node in nodes:
        if node.name == "submission_metadata.yml":
            with suppress(Unreadable):
                text = reading.read(node, 20_000_000).decode("utf-8", "replace")
                found = GRADESCOPE.findall(text)
                return {folder: f"{name.strip(QUOTES)} ({folder})" for folder, name in found}
    return {}


def _canvas_uploads(nodes: list[Node]) -> dict[str, re.Match[str]]:
    """What the names of Canvas's files say, by these. Not of "lab_3_2024001_Ana.zip" and such."""
    uploads = {n.name: found for n in nodes if not n.folder and (found := CANVAS.fullmatch(n.name))}
    names: dict[str, list[str]] = {}
    for upload in uploads.values():
        names.setdefault(upload["student"], []).append(upload["name"])

    def of_one_student(names: list[str]) -> bool:
        """Canvas numbers a student's files of one name: "-1". Who sends zips sends one, anew."""
        zips = {re.sub(r"(-\d+)?\.\w+$", "", n) for n in names if ARCHIVE.search(n)}
        return len(zips) <= 1 and len(names) == len(set(names))

    return {name: u for name, u in uploads.items() if of_one_student(names[u["student"]])}


def _by_student(nodes: list[Node], names: dict[str, str]) -> dict[str, list[Found]]:
    """Each student's folders and files, by the student's name; `names` has that of some folders."""
    students: dict[str, list[Found]] = {}
    canvas = _canvas_uploads(nodes)
    for node in nodes:
        student, original, number = names.get(node.name, node.name), node.name, 0
        if moodle := MOODLE.fullmatch(node.name):
            student, original = moodle["student"], moodle["name"] or moodle["student"]
        elif upload := canvas.get(node.name):
            student = re.sub(r"(^|_)late(?=_)", "", upload["student"], flags=re.IGNORECASE)
            original, number = upload["name"], int(upload["upload"])
        elif node.archive:
            while ARCHIVE.search(student):
                student = ARCHIVE.sub("", student)
        elif node.name.lower().endswith((".py", ".ipynb")):
            oddity = _("lies outside of all folders: it is not known whose it is")
            node = replace(node, oddity=oddity)
        elif not (node.folder or node.oddity):
            continue  # a list of students, a readme
        found = Found(PurePosixPath(node.name), replace(node, name=original), upload=number)
        students.setdefault(student, []).append(found)
    for student in list(students):  # a browser calls the second Ana.zip "Ana (1).zip"
        again = ZIP_AGAIN.fullmatch(student)
        if again and again[1] in students and all(f.node.archive for f in students[student]):
            students[again[1]] += students.pop(student)
    return students


# ── Which file is the answer ─────────────────────────────────────────────────────────────────


def _read_one(name: str, roots: list[Found], place: Path, reading: Reading) -> Submission:
    problems = [sentence(root, root.node.oddity) for root in roots if root.node.oddity]
    everything = list(reading.look_through(roots, problems))
    copies: dict[str, list[Found]] = {exercise.name: [] for exercise in EXERCISES}
    for found in everything:
        if answer := ANSWER.fullmatch(found.node.name):
            squeezed = re.sub("[ _-]", "", answer["name"]).lower()
            copies[next(n for n in copies if n.replace("_", "") == squeezed)].append(found)
    notes: list[str] = []
    answers: dict[str, Path] = {}
    for exercise in EXERCISES:
        text = _choose(exercise, copies[exercise.name], reading, notes, problems)
        if text is not None:
            copy = place / exercise.name / f"{exercise.name}.py"
            copy.parent.mkdir(parents=True)
            copy.write_bytes(text)
            answers[exercise.id] = copy
    notes = [*_remarks(roots, everything, copies), *notes]
    if not answers and not problems:
        any_file = any(not found.node.holds for found in everything)
        problems = [_("None of its files is an exercise's.") if any_file else _("It is empty.")]
    sentences = list(dict.fromkeys(notes + problems))
    if len(sentences) > MAX_NOTES:
        sentences[MAX_NOTES:] = [_("And {count:,} more.").format(count=len(sentences) - MAX_NOTES)]
    if answers:
        return Submission(name, answers, tuple(sentences))
    return Submission(name, answers, unreadable=" ".join(sentences))


def _remarks(
    roots: list[Found], everything: list[Found], copies: dict[str, list[Found]]
) -> Iterator[str]:
    """What an instructor may want to know of files that are no answers."""
    named = [root for root in roots if root.node.holds and root.path.name == root.node.name]
    if len(named) > 1:
        paths = _(" and ").join(shown(root.path) for root in named)
        yield _("{paths} are taken for one student's.").format(paths=paths)
    folders = {found.path.parent for each in copies.values() for found in each}
    for found in everything:
        file = found.node.name.lower()
        if file in PECULIAR and found.path.parent in folders:
            told = _("{path} lies beside the answers and is not used.")
            yield told.format(path=shown(found.path))
        if file.endswith((".py", ".ipynb", ".txt")):
            for name in copies:
                if file.startswith(name) and not copies[name]:
                    told = _("{name}: {path} is not read, only {name}.py is.")
                    yield told.format(name=name, path=shown(found.path))


def _choose(
    exercise: Exercise,
    copies: list[Found],
    reading: Reading,
    notes: list[str],
    problems: list[str],
) -> bytes | None:
    """The answer among its copies: worked on rather than as handed out, then the newest."""
    # Whoever hands in the whole workbook hands in its solutions, too.
    own = [found for found in copies if "solutions" not in _folders(found)] or copies
    own = sorted(own, key=lambda found: (found.node.changed, found.path))[::-1]
    texts: dict[Found, bytes] = {}
    for found in own[:MAX_COPIES]:
        try:
            texts[found] = reading.read(found.node, MAX_ANSWER)
        except Unreadable as error:
            problems.append(sentence(found, error))
    if not texts:
        return None
    lines = {found: _lines(text) for found, text in texts.items()}
    untouched: list[list[bytes]] = [[], _lines(exercise.file.read_bytes())]
    worked_on = [found for found in texts if lines[found] not in untouched]
    chosen = _newest(exercise, worked_on or list(texts))
    others = []
    for found in texts:
        if lines[found] != lines[chosen]:
            when = _("untouched") if lines[found] in untouched else _when(found)
            others.append(_("{path} ({when})").format(path=shown(found.path), when=when))
    if len(own) > MAX_COPIES:
        others.append(_("{count:,} older ones").format(count=len(own) - MAX_COPIES))
    if others:
        counts = _("{path} ({when})").format(path=shown(chosen.path), when=_when(chosen))
        told = _("{name}: {chosen} counts, not {others}.")
        others_told = _(", ").join(others)
        notes.append(told.format(name=exercise.name, chosen=counts, others=others_told))
    return texts[chosen]


def _newest(exercise: Exercise, found: list[Found]) -> Found:
    """The newest file, else of the newest zip or upload, else where the workbook has it."""
    for which in (0, 1):
        latest = max(each.times[which] for each in found)
        found = [each for each in found if latest - each.times[which] <= SAME_TIME]

    def rank(each: Found) -> tuple[int, bool, bool, int]:
        plain = each.node.name.lower() == f"{exercise.name}.py"
        in_section = exercise.section in _folders(each)
        return each.upload, in_section, plain, -len(each.path.parts)

    return max(found, key=rank)


def _folders(found: Found) -> list[str]:
    return [part.lower() for part in found.path.parts[:-1]]


def _lines(text: bytes) -> list[bytes]:
    """What two copies have in common that editors and systems only saved differently.

    Without the task, which students have in one language or the other.
    """
    text = text.removeprefix(b"\xef\xbb\xbf").strip()
    if task := TASK.match(text):
        text = text[task.end() :].strip()
    return [line.rstrip() for line in text.splitlines()]


def _when(found: Found) -> str:
    return f"{found.node.changed:%Y-%m-%d %H:%M}"
