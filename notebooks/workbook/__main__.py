"""`python -m workbook`, for where the `workbook` command is not on the PATH."""

from workbook.cli import app

app(prog_name="workbook")
