"""Show an app's code from its file, so that no notebook holds a copy that can go stale."""

import ast
import io
import tokenize
from pathlib import Path

from workbook.language import _
from workbook.server import Server


def source(app: Server | Path, *names: str) -> str:
    """The text of the named top-level functions, classes or constants, decorators included.

    Raises LookupError for a name that the file does not define.
    """
    path = app.app if isinstance(app, Server) else app
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    found: dict[str, str] = {}
    for node in ast.parse(text).body:
        first = node.lineno
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined = [node.name]
            first = min([first, *(d.lineno for d in node.decorator_list)])
        elif isinstance(node, ast.Assign):
            defined = [target.id for target in node.targets if isinstance(target, ast.Name)]
        else:
            continue
        found |= dict.fromkeys(defined, "\n".join(lines[first - 1 : node.end_lineno]))
    if missing := [name for name in names if name not in found]:
        advice = _("{file} does not define {names}")
        raise LookupError(advice.format(file=path.name, names=", ".join(missing)))
    return "\n\n".join(found[name] for name in names)


def without_comments(text: str) -> str:
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
    return "\n".join(lines)


def show(app: Server | Path, *names: str, comments: bool = True) -> None:
    """Display that text in a notebook, coloured as the notebook colours code.

    Without `comments` where they would give away what the reader is to predict.
    """
    from IPython.display import Markdown, display

    text = source(app, *names)
    fenced = f"```python\n{text if comments else without_comments(text)}\n```"
    display(Markdown(fenced))  # type: ignore[no-untyped-call]
