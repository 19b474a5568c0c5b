"""Is everything here that the notebooks need? What is not comes with what to do about it."""

import os
import sys
import urllib.request
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

from workbook.sections import ROOT
from workbook.server import ServerError, serve

PROJECT = "fastapi-async-workbook"
INSTALL = f'Run "{sys.executable}" -m pip install -e "{ROOT}", then restart the kernel.'


def check_installation() -> bool:
    """Print a line for each thing looked at, with advice where it is not right.

    Returns whether all is right.
    """
    sound = True
    for what, advice in _findings():
        print(f"{'advice' if advice else 'ok':8}{what}")
        if advice:
            print(f"{'':8}→ {advice}")
            sound = False
    return sound


def _findings() -> Iterator[tuple[str, str]]:
    """What was looked at, and the advice about it; none when it is right."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield f"Python {version}, {sys.executable}", ""
    yield from _packages()
    yield _proxy()
    yield _server()


def _packages() -> Iterator[tuple[str, str]]:
    try:
        required = [Requirement(line) for line in metadata.requires(PROJECT) or []]
    except metadata.PackageNotFoundError:
        kernel = "This kernel is of another environment: choose the one of .venv, or install here."
        yield "the workbook itself", f"{kernel} {INSTALL}"
        return
    needed = [each for each in required if each.marker is None or each.marker.evaluate()]
    wrong = [fault for each in needed if (fault := _fault(each))]
    yield f"{len(needed)} packages", f"{'; '.join(wrong)}. {INSTALL}" if wrong else ""


def _fault(required: Requirement) -> str:
    try:
        version = metadata.version(required.name)
    except metadata.PackageNotFoundError:
        return f"{required.name} is missing"
    if required.specifier.contains(version, prereleases=True):
        return ""
    return f"{required.name} is {version}, which is not {required.specifier}"


def _proxy() -> tuple[str, str]:
    proxied = "http" in urllib.request.getproxies()
    if not proxied or urllib.request.proxy_bypass("127.0.0.1"):
        return "no proxy between you and your own machine", ""
    advice = "The notebooks go round it. For curl and the like: NO_PROXY=127.0.0.1,localhost."
    return f"a proxy, {os.getenv('HTTP_PROXY') or os.getenv('http_proxy') or 'set up'}", advice


def _server() -> tuple[str, str]:
    try:
        with serve("02_background_tasks") as server:
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with direct.open(f"{server.url}/outbox", timeout=10) as answer:
                answer.read()
    except ServerError as error:
        return "a server", f"It should start and did not. Its log says why:\n{error}"
    except OSError as error:
        return "a server", f"It started, but no answer came ({error}): does a firewall ask you?"
    return "a server that starts, answers and stops", ""
