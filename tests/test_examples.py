"""Every example starts, alone in an empty folder or by FastAPI's own command, and stops."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from workbook import ROOT, serve

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_stands_alone(example: Path, tmp_path: Path) -> None:
    """Contract: copy the file, and its page where it has one, into an empty folder: it runs."""
    for path in example.parent.glob(f"{example.stem}.*"):
        shutil.copy(path, tmp_path)
    with (
        serve(tmp_path / example.name) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        page = client.get("/", follow_redirects=True).raise_for_status()
        assert client.get("/openapi.json").raise_for_status().json()["paths"]
    assert page.headers["content-type"].startswith("text/html")
    assert "Traceback" not in server.log()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_starts_with_fastapi_dev(example: Path) -> None:
    """Contract: `fastapi dev examples/NN_stem.py` from the project's root."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fastapi", "dev", f"examples/{example.name}", "--port", "0"],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    )
    assert process.stdout is not None
    log = ""
    try:
        while "Application startup complete" not in log:
            line = process.stdout.readline()
            assert line, log
            log += line
        url = log.partition("Uvicorn running on ")[2].split()[0]
        patient = httpx.HTTPTransport(retries=5)  # a reloader says so before it listens
        with httpx.Client(transport=patient, timeout=20) as client:
            client.get(f"{url}/openapi.json").raise_for_status()
    finally:
        if os.name == "posix":  # the reloader's child too
            os.killpg(process.pid, signal.SIGTERM)
        process.terminate()
        log += process.communicate(timeout=30)[0]
    assert "Traceback" not in log
