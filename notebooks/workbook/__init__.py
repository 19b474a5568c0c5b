"""What the notebooks, tests and the `workbook` command share.

Kept light, so that a first server starts at once: heavy modules (matplotlib in `timeline`,
typer in `cli`) stay where they are used.
"""

from workbook.sections import ROOT, SECTIONS, Section, find_section
from workbook.server import Server, ServerError, serve
from workbook.source import show

__all__ = ["ROOT", "SECTIONS", "Section", "Server", "ServerError", "find_section", "serve", "show"]
