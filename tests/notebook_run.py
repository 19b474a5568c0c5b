"""Run a notebook in a fresh kernel, and tell a failure as a reader sees it."""

import re
from pathlib import Path

CELL_SECONDS = 60  # a cell that never ends is a failure, not a hang


def failure(path: Path) -> str | None:
    """Run a notebook. None when it ran to its end, else its failing cell and why."""
    import nbformat  # both are slow to import, and most who load this run no notebook
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    client = NotebookClient(
        nbformat.read(path, as_version=4),  # type: ignore[no-untyped-call]
        timeout=CELL_SECONDS,
        kernel_name="python3",
        shutdown_kernel="immediate",
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        plain = re.sub(r"\x1b\[[\d;]*m", "", str(error))  # a kernel colours its tracebacks
        return f"{path.name} does not run to its end.\n\n{plain}"
    return None
