"""Checks of `safe_names`: what becomes of a file, whatever the client calls it."""

import asyncio
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from workbook.checking import expect
from workbook.language import _

pytestmark = pytest.mark.anyio

UNSAFE = re.compile(r"[/\\:\x00-\x1f\x7f]")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "app" / "uploads"


@pytest.fixture
def environment(folder: Path) -> Mapping[str, str]:
    folder.mkdir(parents=True)
    (folder.parent / "settings.ini").write_bytes(b"the app's own")
    return {"UPLOAD_DIR": str(folder)}


def snapshot(top: Path) -> set[Path]:
    """The files, links and folders below a folder."""
    return {Path(at, name) for at, dirs, files in os.walk(top) for name in [*dirs, *files]}


async def upload(client: httpx.AsyncClient, name: str, data: bytes) -> httpx.Response:
    """Send a name as it is: a client library would make it harmless."""
    raw = name.replace("\\", "\\\\").replace('"', '\\"').encode()
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n\r\n' % raw
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    return await client.post("/files", content=head + data + b"\r\n--x--\r\n", headers=headers)


def stored_name(answer: httpx.Response, did: str, hint: int) -> str:
    """The name that an upload was stored under, as the answer tells it."""
    try:
        name = answer.json()["filename"] if answer.status_code == 201 else None
    except (ValueError, LookupError, TypeError):
        name = None
    expect(
        isinstance(name, str),
        did=did,
        expected=_('201 and {"filename": NAME}'),
        seen=_("{status} and {text}").format(status=answer.status_code, text=answer.text[:200]),
        hint=hint,
    )
    assert isinstance(name, str)
    return name


def contents(folder: Path, name: str) -> bytes | None:
    try:
        return (folder / name).read_bytes()
    except (OSError, ValueError):
        return None


def told(data: bytes | None) -> str:
    return _("no file") if data is None else _("a file with {data!r}").format(data=data[:20])


async def test_a_plain_name_is_kept(client: httpx.AsyncClient, folder: Path) -> None:
    """A plain name is kept to the letter, in any script."""
    names = ["cat.png", "年度报告(终稿).pdf", "naïve café.txt", "猫 写真.tar.gz", "report..v2.txt"]
    for name in names:
        did = _("sent a file called {name!r}").format(name=name)
        stored = stored_name(await upload(client, name, name.encode()), did, hint=3)
        expect(
            stored == name and contents(folder, name) == name.encode(),
            did=did,
            expected=_("it is stored as {name!r}, for nothing in that name is dangerous").format(
                name=name
            ),
            seen=_("stored as {name!r}, which is {what}").format(
                name=stored, what=told(contents(folder, stored))
            ),
            hint=3,
        )


async def test_nothing_is_written_outside(
    client: httpx.AsyncClient, folder: Path, tmp_path: Path
) -> None:
    """Nothing is written outside `UPLOAD_DIR` or into a folder in it, whatever the name."""
    names = [
        "../cat.png",
        "../settings.ini",
        "../../cat.png",
        str(tmp_path / "cat.png"),
        "photos/cat.png",
        "....//cat.png",
        "..\\cat.png",
        "C:\\photos\\cat.png",
        "C:cat.png",
        "..",
        ".",
        "/",
        "cat\0.png",
        "cat\x1b[31m.png",
    ]
    for number, name in enumerate(names):
        did = _("sent a file called {name!r}").format(name=name)
        data = b"cat %d" % number
        before = snapshot(tmp_path)
        answer = await upload(client, name, data)
        astray = sorted(p for p in snapshot(tmp_path) - before if p.parent != folder)
        own = (folder.parent / "settings.ini").read_bytes()
        found = _("new: {path!r}; UPLOAD_DIR is 'app/uploads'")
        seen = [found.format(path=str(p.relative_to(tmp_path))) for p in astray]
        if own != b"the app's own":
            seen.append(_("the app's own settings.ini was overwritten"))
        expect(
            not seen,
            did=did,
            expected=_("nothing is written outside UPLOAD_DIR or into a folder in it"),
            seen=_("; ").join(seen),
            hint=2 if "...." in name or "\\" in name else 1,
        )
        stored = stored_name(answer, did, hint=2)
        expect(
            not UNSAFE.search(stored) and stored not in ("", ".", ".."),
            did=did,
            expected=_("a NAME without / \\ : and control characters"),
            seen=_("stored as {name!r}").format(name=stored),
            hint=2,
        )
        expect(
            contents(folder, stored) == data,
            did=did,
            expected=_("UPLOAD_DIR/{name} is a file with {data!r}").format(name=stored, data=data),
            seen=told(contents(folder, stored)),
            hint=4,
        )


async def expect_all_kept(answers: list[httpx.Response], folder: Path, name: str, did: str) -> None:
    """Expect each file, their contents being 0, 1, 2 …, to be stored as its answer says."""
    names = [stored_name(answer, did, hint=4) for answer in answers]
    kept = [contents(folder, stored) for stored in names]
    lost = [number for number, data in enumerate(kept) if data != b"%d" % number]
    expect(
        not lost,
        did=did,
        expected=_("{count} files are stored, each under a name of its own").format(
            count=len(answers)
        ),
        seen=_("{count} of them lost; the names told: {names}").format(
            count=len(lost), names=json.dumps(names, ensure_ascii=False)
        ),
        hint=4,
    )
    suffix = Path(name).suffix
    strange = [stored for stored in names if not stored.endswith(suffix)]
    expect(
        not strange,
        did=did,
        expected=_("every name ends in {suffix}, so that the file still opens").format(
            suffix=suffix
        ),
        seen=_("stored as {names}").format(names=_(", ").join(map(repr, strange))),
        hint=5,
    )


async def test_a_taken_name_loses_neither_file(client: httpx.AsyncClient, folder: Path) -> None:
    """A taken name becomes a free one with the same suffix, and no file is lost."""
    for name in ("cat.png", "年度报告.pdf"):
        answers = [await upload(client, name, b"%d" % number) for number in range(5)]
        did = _("sent five files called {name!r} in turn").format(name=name)
        await expect_all_kept(answers, folder, name, did)


async def test_many_of_one_name_at_once_all_survive(
    client: httpx.AsyncClient, folder: Path
) -> None:
    """No file is lost when many of one name arrive at once."""
    for name in ("cat.png", "dog.png", "fox.png"):  # who looks first is lucky now and then
        uploads = [upload(client, name, b"%d" % number) for number in range(12)]
        answers = await asyncio.gather(*uploads)
        did = _("sent 12 files called {name!r} at once").format(name=name)
        await expect_all_kept(answers, folder, name, did)
