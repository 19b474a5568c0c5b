"""The six sections, and how a name that a person types finds one."""

import difflib
from dataclasses import dataclass
from pathlib import Path

from workbook.language import _

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Section:
    stem: str
    question: str  # in English; `_` has it in the reader's language
    exercises: tuple[str, ...]

    @property
    def app(self) -> Path:
        return ROOT / "examples" / f"{self.stem}.py"

    @property
    def notebook(self) -> Path:
        return ROOT / "notebooks" / f"{self.stem}.ipynb"


SECTIONS = (
    Section(
        "01_async_vs_def",
        "Who waits when one handler blocks?",
        ("unblock", "gather", "crunch"),
    ),
    Section(
        "02_background_tasks",
        "Who does the work when the answer has left?",
        ("respond_first", "survive_failure", "job_status"),
    ),
    Section(
        "03_websocket",
        "What does one slow reader do to the room?",
        ("leave_cleanly", "slow_reader", "rooms"),
    ),
    Section(
        "04_upload",
        "Where are the bytes before your handler starts?",
        ("safe_names", "stop_early", "true_type"),
    ),
    Section(
        "05_sse",
        "How does an answer arrive word by word?",
        ("frame", "resume", "hang_up"),
    ),
    Section(
        "06_lifespan",
        "Who opens the pool, and who closes it?",
        ("one_client", "clean_up", "no_globals"),
    ),
)


def find_section(name: str) -> Section:
    """Find the section whose stem starts with `name` or contains it: "01", "sse", "05_sse".

    Raises LookupError, with the nearest names, when none or more than one fits.
    """
    stems = [section.stem for section in SECTIONS]
    wanted = name.lower().replace("-", "_").removesuffix(".py")
    fits = [s for s in stems if s.startswith(wanted)] or [s for s in stems if wanted in s]
    if wanted and len(fits) == 1:
        return SECTIONS[stems.index(fits[0])]
    close = difflib.get_close_matches(wanted, stems, n=1, cutoff=0.4)
    near = (fits if wanted else []) or close or stems
    advice = _("Did you mean {names}?").format(names=_(" or ").join(near))
    raise LookupError(_("No section is called {name!r}. {advice}").format(name=name, advice=advice))
