"""The exercises: where each one lives, how a typed name finds it, its task and its hints."""

import ast
import difflib
import inspect
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from workbook.language import _, language
from workbook.sections import ROOT, SECTIONS

DOCSTRING = re.compile(r'\A"""(.*?)"""', re.DOTALL)  # a starter's: its task


@dataclass(frozen=True)
class Exercise:
    section: str
    name: str

    @property
    def id(self) -> str:
        return f"{self.section}/{self.name}"

    @property
    def file(self) -> Path:
        """What the student edits."""
        return ROOT / "exercises" / self.section / f"{self.name}.py"

    @property
    def checks(self) -> Path:
        return self.file.with_name(f"test_{self.name}.py")

    @property
    def solution(self) -> Path:
        return ROOT / "solutions" / self.section / f"{self.name}.py"

    @property
    def titles(self) -> dict[str, str]:
        """Each check's name and what it looks for: the first line of its docstring."""
        return read_titles(self.checks, language())

    @property
    def task(self) -> str:
        """What is wrong and what to reach, in Markdown: the starter's first lines.

        In Chinese it is the first part of `NAME.zh.md`. Raises LookupError when it is gone.
        """
        if language() == "zh":
            check_it = _("Check it: workbook check {name}").format(name=self.name)
            return f"{read_parts(self.advice)[0]}\n\n{check_it}"
        found = DOCSTRING.match(self.file.read_text(encoding="utf-8-sig", errors="replace"))
        if not found:
            raise LookupError(_("{file} does not begin with its task.").format(file=self.file))
        return inspect.cleandoc(found[1].replace("\\\\", "\\"))

    @property
    def hints(self) -> list[str]:
        """From a nudge to nearly the answer: the parts of `NAME.md` that begin with `## `."""
        return read_parts(self.advice)[1:]

    @property
    def advice(self) -> Path:
        """Its hints, in the reader's language."""
        return self.file.with_suffix(".zh.md" if language() == "zh" else ".md")


@cache
def read_titles(checks: Path, language: str) -> dict[str, str]:
    """In the reader's language, which is this one."""
    tree = ast.parse(checks.read_text(encoding="utf-8"))
    return {
        node.name: _((ast.get_docstring(node) or node.name).splitlines()[0])
        for node in tree.body
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)
        and node.name.startswith("test_")
    }


@cache
def read_parts(file: Path) -> list[str]:
    """What stands before a file's first `## `, and what follows each."""
    return [part.strip() for part in ("\n" + file.read_text(encoding="utf-8")).split("\n## ")]


EXERCISES = tuple(
    Exercise(section.stem, name) for section in SECTIONS for name in section.exercises
)


def find_exercises(name: str) -> list[Exercise]:
    """Find what `name` fits: "one_client", "06/one", a path to its file, "06" for all three.

    Raises LookupError, with the nearest names, when nothing fits, or several that are not just
    one section's.
    """
    wanted = name.lower().replace("\\", "/").replace("-", "_").removesuffix(".py").strip("/")
    wanted = wanted.rpartition("exercises/")[2]
    section, _slash, stem = wanted.rpartition("/")
    in_section = [e for e in EXERCISES if section in e.section]
    exact = [e for e in in_section if e.name == stem]
    begins = [e for e in in_section if e.name.startswith(stem)]
    within = [e for e in in_section if stem in e.name]
    whole = [e for e in EXERCISES if not section and stem in e.section]
    for fits in (exact, begins, within):
        if stem and len(fits) == 1:
            return fits
    if stem and len({e.section for e in whole}) == 1 and not begins:
        return whole
    near = [e.id for e in begins or within] if stem else []
    if not near:
        names = {e.name: e.id for e in EXERCISES} | {e.id: e.id for e in EXERCISES}
        near = [names[close] for close in difflib.get_close_matches(wanted, names, 1, 0.4)]
    advice = _("`workbook` lists them all.")
    if near:
        advice = _("Did you mean {names}?").format(names=_(" or ").join(near))
    raise LookupError(
        _("No exercise is called {name!r}. {advice}").format(name=name, advice=advice)
    )
