"""The exercises: where each one lives, how a typed name finds it, its task and its hints."""

import ast
import difflib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from workbook.sections import ROOT, SECTIONS


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

    @cached_property
    def titles(self) -> dict[str, str]:
        """Each check's name and what it looks for: the first line of its docstring."""
        tree = ast.parse(self.checks.read_text(encoding="utf-8"))
        return {
            node.name: (ast.get_docstring(node) or node.name).splitlines()[0]
            for node in tree.body
            if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)
            and node.name.startswith("test_")
        }

    @cached_property
    def hints(self) -> list[str]:
        """From a nudge to nearly the answer: the parts of `NAME.md` that begin with `## `."""
        text = self.file.with_suffix(".md").read_text(encoding="utf-8")
        return [part.strip() for part in ("\n" + text).split("\n## ")[1:]]


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
    section, _, stem = wanted.rpartition("/")
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
    advice = f"Did you mean {' or '.join(near)}?" if near else "`workbook` lists them all."
    raise LookupError(f"No exercise is called {name!r}. {advice}")
