"""Folders and zips as one tree, looked through without unpacking anything.

What students hand in is not trusted. A name in an archive is text to match and to show, never a
path to open; links are not followed; and whatever a header says, what is read has a bound.
"""

import contextlib
import functools
import io
import os
import re
import stat
import unicodedata
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO

from workbook.language import _

# Of one submission:
MAX_ENTRIES = 20_000  # files and folders looked at
MAX_ARCHIVES = 50  # opened
MAX_BYTES = 128 * 1024**2  # of the zips in its zips
MAX_DEPTH = 20  # folders and zips in one another

# Of a zip:
MAX_PATH = 4096  # characters of a member's name
MAX_CONTENTS = 8 * 1024**2  # bytes of its table of contents: some 50,000 members
ZIP_EPOCH = datetime(1980, 1, 1)  # what a zip stores for an unknown time

ARCHIVE = re.compile(r"\.(zip|7z|rar|tar|tgz|gz|bz2|xz|zst)$", re.IGNORECASE)
DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # of writing
IGNORED = {"__macosx", "__pycache__", "node_modules", "site-packages", "thumbs.db", "desktop.ini"}


class Unreadable(Exception):
    """Why something could not be read. Its text follows a name: "is encrypted"."""


@dataclass(frozen=True)
class Node:
    """A file or a folder, on disk or in a zip."""

    name: str
    changed: datetime  # as stored with it, in local time
    open: Callable[[], IO[bytes]] = io.BytesIO
    listing: "Callable[[], Iterator[Node]] | None" = None  # of a folder
    oddity: str = ""  # why it is not read: "is a link, which is not followed"
    path: Path | None = None  # on disk

    @property
    def folder(self) -> bool:
        return self.listing is not None

    @property
    def archive(self) -> bool:
        return not self.folder and bool(ARCHIVE.search(self.name))

    @property
    def holds(self) -> bool:
        """Whether it is something to look into."""
        return self.folder or self.archive

    @property
    def ignored(self) -> bool:
        """Whether a system or a tool has left it: `._x.py`, `.git`, `.venv`, `__MACOSX`."""
        return self.name.startswith(".") or self.name.lower() in IGNORED


@dataclass(frozen=True)
class Found:
    """A file or folder of a submission, and where."""

    path: PurePosixPath  # for people to read, never to open
    node: Node
    packed: datetime | None = None  # when the zip that it is in was last changed
    upload: int = 0  # a learning platform's number for it: later uploads have higher ones

    @property
    def times(self) -> tuple[datetime, datetime]:
        """When it was changed, and when what it came in was."""
        return self.node.changed, self.packed or self.node.changed


class Reading(contextlib.ExitStack):
    """One submission while it is read: the archives open for it, what may still be spent on it."""

    def __init__(self) -> None:
        super().__init__()
        self.archives_left = MAX_ARCHIVES
        self.bytes_left = MAX_BYTES

    def read(self, node: Node, limit: int) -> bytes:
        """A file's bytes. Raises Unreadable, also for more than `limit`."""
        with _reasons(node):
            if node.folder:
                raise Unreadable(_("is a folder, not a file"))
            with node.open() as file:
                data = file.read(limit + 1)
            if len(data) > limit:
                told = _("is larger than the {limit:,} bytes that are read of it")
                raise Unreadable(told.format(limit=limit))
        return data

    def children(self, node: Node) -> list[Node]:
        """What a folder or a zip holds, by name, without what is ignored. Raises Unreadable."""
        with _reasons(node):
            listed = self._unzip(node) if node.listing is None else node.listing()
            nodes = list(islice(listed, MAX_ENTRIES + 1))
        if len(nodes) > MAX_ENTRIES:
            told = _("holds more than {count:,} files and folders")
            raise Unreadable(told.format(count=MAX_ENTRIES))
        return sorted((n for n in nodes if not n.ignored), key=lambda n: (n.name, n.changed))

    def _unzip(self, node: Node) -> Iterator[Node]:
        if not node.name.lower().endswith(".zip"):
            raise Unreadable(_("is neither a folder nor a zip"))
        if not self.archives_left:
            told = _("is one archive too many: {count} are opened")
            raise Unreadable(told.format(count=MAX_ARCHIVES))
        self.archives_left -= 1
        raw: io.BytesIO | io.FileIO
        if node.path:
            raw = io.FileIO(node.path)
        else:  # in a zip, where to seek back is to inflate anew
            limit, self.bytes_left = self.bytes_left, 0
            raw = io.BytesIO(self.read(node, limit))
            self.bytes_left = limit - len(raw.getbuffer())
        file = self.enter_context(_Bounded(raw))
        archive = self.enter_context(zipfile.ZipFile(file))
        return _zip_level(archive, _zip_members(archive))

    def look_through(self, roots: list[Found], problems: list[str]) -> Iterator[Found]:
        """All in a submission's folders and zips; what could not be read goes to `problems`."""
        todo = deque(roots)  # what lies near the top comes first
        entries_left = MAX_ENTRIES
        while todo:
            here = todo.popleft()
            yield here
            if not here.node.holds:
                continue
            try:
                if len(here.path.parts) > MAX_DEPTH:
                    raise Unreadable(_("lies too deep in folders"))
                nodes = self.children(here.node)
                if len(nodes) > entries_left:
                    told = _("is left out: in all, {count:,} files are looked at")
                    raise Unreadable(told.format(count=MAX_ENTRIES))
                entries_left -= len(nodes)
            except Unreadable as error:
                problems.append(sentence(here, error))
            else:
                packed = here.node.changed if here.node.archive else here.packed
                todo += [Found(here.path / n.name, n, packed, here.upload) for n in nodes]


class _Bounded(io.BufferedReader):
    """Refuses a zip's table of contents of a size that only harms: zipfile reads it in one go."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_CONTENTS:
            raise Unreadable(_("has too many members: unzip it, and grade the folder"))
        return super().read(size)


@contextlib.contextmanager
def _reasons(node: Node) -> Iterator[None]:
    """Make Unreadable of a node's oddity, and of what the system and zipfile object to."""
    if node.oddity:
        raise Unreadable(node.oddity)
    try:
        yield
    except Unreadable:
        raise
    except OSError as error:
        why = error.strerror or _("it is damaged")
        raise Unreadable(_("cannot be read: {why}").format(why=why)) from None
    except Exception:  # a damaged zip makes zipfile raise whatever the damage leads to
        raise Unreadable(_("is damaged, or not what its name says")) from None


def sentence(found: Found, problem: object) -> str:
    return _("{path} {problem}.").format(path=shown(found.path), problem=problem)


def shown(text: object) -> str:
    """A student's text as one line of bounded length, which no terminal obeys."""
    return "".join(
        ascii(c)[1:-1]
        if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(c) in DIRECTIONS
        else c
        for c in str(text)[:300]
    )


# ── On disk ──────────────────────────────────────────────────────────────────────────────────


def on_disk(path: Path) -> Node:
    """Raises OSError when there is nothing."""
    status = path.lstat()
    changed = datetime.fromtimestamp(min(max(status.st_mtime, 0), 2**32))
    if stat.S_ISDIR(status.st_mode):
        return Node(path.name, changed, listing=lambda: _disk_level(path), path=path)
    if stat.S_ISREG(status.st_mode):
        return Node(path.name, changed, lambda: path.open("rb"), path=path)
    link = stat.S_ISLNK(status.st_mode)
    oddity = _("is a link, which is not followed") if link else _("is a device or a pipe")
    return Node(path.name, changed, oddity=oddity)


def _disk_level(folder: Path) -> Iterator[Node]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield on_disk(folder / entry.name)


# ── In a zip ─────────────────────────────────────────────────────────────────────────────────

Member = tuple[tuple[str, ...], zipfile.ZipInfo]


def _zip_members(archive: zipfile.ZipFile) -> list[Member]:
    """The members, each with its path's parts: no root, no `..`, names decoded."""
    infos = archive.infolist()
    if any(info.flag_bits & 0x1 for info in infos):
        raise Unreadable(_("is encrypted: it needs a password"))
    unflagged = [i.orig_filename.encode("cp437") for i in infos if not i.flag_bits & 0x800]
    encoding = _guess_encoding(b"\n".join(unflagged))
    members = []
    for info in infos:
        name = info.orig_filename
        if not info.flag_bits & 0x800:
            name = name.encode("cp437").decode(encoding)
        path = PurePosixPath(name.replace("\\", "/"))
        parts = tuple(part for part in path.parts if part not in ("/", "//", ".."))
        if parts and len(name) <= MAX_PATH:
            members.append((parts, info))
    return members


def _guess_encoding(names: bytes) -> str:
    """What names without the UTF-8 flag are in: macOS writes UTF-8, Chinese Windows GBK."""
    with contextlib.suppress(UnicodeDecodeError):
        names.decode("utf-8")
        return "utf-8"
    # cp437's accented letters can be valid GBK by chance, but not its everyday characters.
    if re.search(rb"[\xb0-\xf7][\xa1-\xfe]", names):
        with contextlib.suppress(UnicodeDecodeError):
            names.decode("gb18030")
            return "gb18030"
    return "cp437"


def _zip_level(archive: zipfile.ZipFile, members: list[Member], depth: int = 0) -> Iterator[Node]:
    folders: dict[str, list[Member]] = {}
    for parts, info in members:
        if len(parts) > depth + 1:
            folders.setdefault(parts[depth], []).append((parts, info))
        elif info.orig_filename.endswith(("/", "\\")):
            folders.setdefault(parts[depth], [])
        else:
            yield _zip_file(archive, parts[depth], info)
    for name, inside in folders.items():
        listing = functools.partial(_zip_level, archive, inside, depth + 1)
        yield Node(name, ZIP_EPOCH, listing=listing)


def _zip_file(archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> Node:
    oddity = ""
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        oddity = _("is a link, a device or a pipe")
    elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        oddity = _("is compressed in an unusual way")  # zipfile inflates those without a bound
    return Node(name, _stored_time(info), lambda: archive.open(info), oddity=oddity)


def _stored_time(info: zipfile.ZipInfo) -> datetime:
    try:
        return datetime(*info.date_time)
    except ValueError:
        return ZIP_EPOCH
