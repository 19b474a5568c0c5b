"""What the notebooks, tests and the `workbook` command share.

Kept light, so that a first server starts at once: heavy modules (matplotlib in `timeline`,
typer in `cli`) stay where they are used.
"""

from workbook.language import _ as tr  # in a notebook, `_` is the last output
from workbook.language import language as reader_language
from workbook.sections import ROOT, SECTIONS, Section, find_section
from workbook.server import Server, ServerError, serve
from workbook.source import show

__all__ = [
    "ROOT",
    "SECTIONS",
    "Section",
    "Server",
    "ServerError",
    "find_section",
    "pad",
    "serve",
    "show",
    "tr",
]


def pad(text: str, columns: int) -> str:
    """Fill a text up to so many columns, as a format does; a Chinese character takes two.

    Where the reader's language is Chinese, the spaces are as wide as its characters: a browser
    shows two narrow ones wider than a character, and the next column would be ragged.
    """
    from rich.cells import cell_len

    missing = max(columns - cell_len(text), 0)
    if reader_language() == "zh":
        return text + "\u3000" * (missing // 2) + " " * (missing % 2)
    return text + " " * missing
