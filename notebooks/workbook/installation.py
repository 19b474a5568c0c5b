"""Is everything here that the notebooks need? What is not comes with what to do about it."""

import os
import sys
import urllib.request
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

from workbook.language import _
from workbook.sections import ROOT
from workbook.server import ServerError, serve

PROJECT = "fastapi-async-workbook"


def check_installation() -> bool:
    """Print a line for each thing looked at, with advice where it is not right.

    Returns whether all is right.
    """
    sound = True
    for what, advice in _findings():
        print((_("advice  ") if advice else _("ok      ")) + what)
        if advice:
            print(_("        → {advice}").format(advice=advice))
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
        kernel = _(
            "This kernel is of another environment: choose the one of .venv, or install here."
        )
        yield _("the workbook itself"), f"{kernel} {_cure()}"
        return
    needed = [each for each in required if each.marker is None or each.marker.evaluate()]
    wrong = [fault for each in needed if (fault := _fault(each))]
    what = _("{count} packages").format(count=len(needed))
    advice = _("{faults}. {cure}").format(faults=_("; ").join(wrong), cure=_cure())
    yield what, advice if wrong else ""


def _cure() -> str:
    text = _('Run "{python}" -m pip install -e "{folder}", then restart the kernel.')
    return text.format(python=sys.executable, folder=ROOT)


def _fault(required: Requirement) -> str:
    try:
        version = metadata.version(required.name)
    except metadata.PackageNotFoundError:
        return _("{package} is missing").format(package=required.name)
    if required.specifier.contains(version, prereleases=True):
        return ""
    text = _("{package} is {version}, which is not {wanted}")
    return text.format(package=required.name, version=version, wanted=required.specifier)


def _proxy() -> tuple[str, str]:
    proxied = "http" in urllib.request.getproxies()
    if not proxied or urllib.request.proxy_bypass("127.0.0.1"):
        return _("no proxy between you and your own machine"), ""
    proxy = os.getenv("HTTP_PROXY") or os.getenv("http_proxy") or _("set up")
    advice = _("The notebooks go round it. For curl and the like: NO_PROXY=127.0.0.1,localhost.")
    return _("a proxy, {proxy}").format(proxy=proxy), advice


def _server() -> tuple[str, str]:
    try:
        with serve("02_background_tasks") as server:
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with direct.open(f"{server.url}/outbox", timeout=10) as answer:
                answer.read()
    except ServerError as error:
        advice = _("It should start and did not. Its log says why:")
        return _("a server"), f"{advice}\n{error}"
    except OSError as error:
        advice = _("It started, but no answer came ({error}): does a firewall ask you?")
        return _("a server"), advice.format(error=error)
    return _("a server that starts, answers and stops"), ""
