"""What has been solved and which hints were shown, kept in `.workbook/` beside the exercises."""

import json
from typing import Any

from workbook.exercises import Exercise
from workbook.runner import Report, digest
from workbook.sections import ROOT

FILE = ROOT / ".workbook" / "progress.json"


def _load() -> dict[str, Any]:
    try:
        kept = json.loads(FILE.read_text(encoding="utf-8"))
        return {"solved": dict(kept["solved"]), "hints": dict(kept["hints"])}
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or spoilt: begin again
        return {"solved": {}, "hints": {}}


def _save(kept: dict[str, Any]) -> None:
    FILE.parent.mkdir(exist_ok=True)
    new = FILE.with_suffix(".new")
    new.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    new.replace(FILE)  # whole, or not at all


def is_solved(exercise: Exercise) -> bool:
    """Whether the file as it is now has passed its checks."""
    solved = _load()["solved"].get(exercise.id)
    return bool(solved) and solved == digest(exercise.file)


def remember(report: Report) -> None:
    """Note the result of a check of the student's own file."""
    if report.answer != report.exercise.file:
        return
    kept = _load()
    kept["solved"].pop(report.exercise.id, None)
    if report.solved and report.digest:
        kept["solved"][report.exercise.id] = report.digest
    _save(kept)


def next_hint(exercise: Exercise) -> int:
    """The number of the hint to show now, from 1; the last one again when all have been."""
    kept = _load()
    number: int = min(kept["hints"].get(exercise.id, 0) + 1, len(exercise.hints))
    kept["hints"][exercise.id] = number
    _save(kept)
    return number
