"""Run notebooks in fresh kernels, in the background, and tell a failure as a reader sees it."""

import asyncio
import concurrent.futures
import re
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Self

# jsonschema looks for this module when nbformat is imported, which takes 1.6 s to compile a
# grammar that no notebook needs. jsonschema does without where it is missing.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

AT_ONCE = 2
CELL_SECONDS = 60  # a cell that never ends is a failure, not a hang


class NotebookRuns:
    """Begins to run notebooks at once, in a thread. Its `with` ends what still runs."""

    def __init__(self, notebooks: Iterable[Path]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        places = asyncio.Semaphore(AT_ONCE)
        self._failures: dict[Path, concurrent.futures.Future[str | None]] = {
            path: asyncio.run_coroutine_threadsafe(_run(path, places), self._loop)
            for path in notebooks
        }

    def failure(self, notebook: Path) -> str | None:
        """Wait for a notebook. None when it ran to its end, else its failing cell and why."""
        return self._failures[notebook].result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for failure in self._failures.values():
            failure.cancel()
        # A run that was cancelled still has to end its kernel.
        asyncio.run_coroutine_threadsafe(_others(), self._loop).result(timeout=30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _others() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*tasks, return_exceptions=True)


async def _run(path: Path, places: asyncio.Semaphore) -> str | None:
    async with places:
        client = NotebookClient(
            nbformat.read(path, as_version=4),  # type: ignore[no-untyped-call]
            timeout=CELL_SECONDS,
            kernel_name="python3",
            shutdown_kernel="immediate",
            resources={"metadata": {"path": str(path.parent)}},
        )
        try:
            await client.async_execute()
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            plain = re.sub(r"\x1b\[[\d;]*m", "", str(error))  # a kernel colours its tracebacks
            return f"{path.name} does not run to its end.\n\n{plain}"
    return None
