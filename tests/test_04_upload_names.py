"""Section 4: whatever a client calls its file, it lands in the folder, under a name of its own."""

import os
import re
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from workbook import Server, serve

PLAIN = [
    "cat.png",
    "no extension",
    "archive.tar.gz",
    ".gitignore",
    "UPPER.PNG",
    "a+b&c=d;e,f (1) [2] {3} #4 %41 $x 'y' `z` !~^@.txt",
    "年度报告(终稿).pdf",
    "全角\u3000空格.txt",
    "naïve.txt",
    "nai\u0308ve.txt",  # the same to the eye, in other code points
    "👩\u200d👩\u200d👧.png",
    "خانه\u200cها.txt",
    "console.txt",
    "common.com1",
    "猫" * 83 + ".png",  # 253 bytes
    "x" * 251 + ".png",
]
NAUGHTY = [
    # paths
    "../pwned.png",
    "../../pwned.png",
    "a/b.png",
    "/etc/passwd",
    "/",
    "..",
    ".",
    "...",
    "./.",
    "a/..",
    "..\\pwned.png",
    "C:\\boot.ini",
    "C:boot.ini",
    "\\\\server\\share\\x",
    "..%2fx/..",
    "x\0.png",
    "\0",
    # nothing, or what Windows drops
    "",
    " ",
    ". .",
    "x.png.",
    "x.png ",
    " x.png",
    "x . .",
    # characters
    "a\tb",
    "\x1b[31mred",
    "\x7f",
    "\x85\x9b",
    "\u2028.txt",
    "\u202egnp.exe",
    "\u2066x\u2069",
    "\ud800",
    "\udc80\udcff.png",
    "x:stream",
    "x::$DATA",
    "<script>alert(1)</script>",
    "what?*|.txt",
    # devices
    "CON",
    "con.txt",
    "Aux.tar.gz",
    "nul .txt",
    "PRN.",
    "com1",
    "LPT9.log",
    "COM¹",
    "CONIN$",
    # our own
    ".partial-",
    ".PARTIAL-x",
    # over-long
    "x" * 300,
    "x" * 300 + ".png",
    "x." + "y" * 300,
    "猫" * 100 + ".png",
    "👩" * 64 + ".png",
    "猫" * 85 + "x",
    "." * 254 + "x" * 50,
    "x" * 254 + ". " + "y" * 40,
    ("x" * 100 + "/") * 30 + "y" * 300 + ".png",
]
# How Windows and readers of lists are protected.
FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
DEVICE = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³]) *(\.|$)", re.IGNORECASE)

NAIVE = """
import os
from fastapi import FastAPI, UploadFile

app = FastAPI()

@app.post("/upload/large")
async def keep(file: UploadFile):
    data = await file.read()
    with open(os.environ["UPLOAD_DIR"] + "/" + file.filename, "wb") as out:
        out.write(data)
    return {"filename": file.filename, "total_bytes": len(data)}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outside") / "uploads"


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serve("04_upload", env={"UPLOAD_DIR": str(folder)}) as server:
        yield server
    assert "Traceback" not in server.log()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=20) as client:
        yield client


def upload(client: httpx.Client, name: str, data: bytes) -> httpx.Response:
    """Send a name as it is: a client library would make it harmless, or refuse to."""
    raw = name.replace("\\", "\\\\").replace('"', '\\"').encode("utf-8", "surrogatepass")
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n\r\n' % raw
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    return client.post("/upload/large", content=body + data + b"\r\n--x--\r\n", headers=headers)


def is_safe(name: str) -> bool:
    return (
        0 < len(name.encode()) <= 255
        and not FORBIDDEN.search(name)
        and not DEVICE.match(name)
        and name == name.strip(" ").rstrip(".")
        and not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name)
        and not any(unicodedata.bidirectional(c) in ("RLO", "LRO", "RLI", "LRI") for c in name)
    )


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_name_is_kept(client: httpx.Client, folder: Path, name: str) -> None:
    """Contract: a plain name keeps its name."""
    assert upload(client, name, name.encode()).json()["filename"] == name
    assert (folder / name).read_bytes() == name.encode()


@pytest.mark.claim("4.4")
@pytest.mark.parametrize("name", NAUGHTY)
def test_any_other_name_becomes_a_safe_one(client: httpx.Client, folder: Path, name: str) -> None:
    """Contract: a path, a control character, a reserved or over-long name becomes a safe one."""
    data = os.urandom(20)
    answer = upload(client, name, data)
    assert answer.status_code == 200
    stored = answer.json()["filename"]
    assert stored != name
    assert is_safe(stored)
    assert stored in os.listdir(folder)
    assert (folder / stored).read_bytes() == data
    assert {"filename": stored, "size": 20} in client.get("/files").json()
    assert os.listdir(folder.parent) == ["uploads"]  # nothing was written outside


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "猫" * 100 + ".png"])
def test_a_shortened_name_keeps_its_suffix(client: httpx.Client, name: str) -> None:
    stored = upload(client, name, b"x").json()["filename"]
    assert stored.startswith(name[:80])
    assert stored.endswith(".png")


def test_a_name_in_no_encoding_is_stored_too(client: httpx.Client, folder: Path) -> None:
    files = {"file": ("x", b"x")}
    request = client.build_request("POST", "/upload/large", files=files)
    body = request.read().replace(b'filename="x"', b'filename="\xff\xfe\x80.png"')
    headers = {"Content-Type": request.headers["Content-Type"]}
    answer = client.post("/upload/large", content=body, headers=headers)
    assert is_safe(answer.json()["filename"])
    assert answer.json()["filename"] in os.listdir(folder)


@pytest.mark.claim("4.4")
def test_the_naive_way_writes_outside_and_fails_on_names(tmp_path: Path) -> None:
    (tmp_path / "naive.py").write_text(NAIVE)
    folder = tmp_path / "uploads"
    folder.mkdir()
    with serve(tmp_path / "naive.py", env={"UPLOAD_DIR": str(folder)}) as server:
        # A connection each: the server closes one on which it has failed.
        client = httpx.Client(base_url=server.url, trust_env=False, headers={"Connection": "close"})
        for name in ("a/b.png", ".", "..", "x" * 300):
            assert upload(client, name, b"x").status_code == 500
        assert upload(client, "../pwned.png", b"x").status_code == 200
        assert (tmp_path / "pwned.png").exists()
        upload(client, "cat.png", b"first")
        upload(client, "cat.png", b"second")
        assert (folder / "cat.png").read_bytes() == b"second"  # the first is lost


@pytest.mark.parametrize("name", ["dog.png", "dog", ".dog", "狗" * 90 + ".png", "CON.txt"])
def test_a_taken_name_loses_neither_file(client: httpx.Client, folder: Path, name: str) -> None:
    """Contract: one that is taken gets another, and neither file is lost."""
    stored = [upload(client, name, b"%d" % n).json()["filename"] for n in range(12)]
    assert len(set(stored)) == 12
    assert all(map(is_safe, stored))
    assert [(folder / one).read_bytes() for one in stored] == [b"%d" % n for n in range(12)]


def test_uploads_of_one_name_at_once_all_survive(client: httpx.Client, folder: Path) -> None:
    """Contract: one that is taken gets another, and neither file is lost."""
    contents = [os.urandom(100_000) for _ in range(30)]
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda data: upload(client, "race.bin", data), contents))
    stored = [answer.json()["filename"] for answer in answers]
    assert len(set(stored)) == 30
    assert [(folder / name).read_bytes() for name in stored] == contents


def test_a_planted_link_or_folder_is_neither_followed_nor_listed(
    client: httpx.Client, folder: Path, tmp_path: Path
) -> None:
    """Contract: nothing is ever written outside `UPLOAD_DIR`."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (folder / "folder").mkdir()
    planted = {"file": secret, "dangling": tmp_path / "new", "outside": tmp_path}
    try:
        for name, target in planted.items():
            (folder / name).symlink_to(target)
    except OSError:
        pytest.skip("needs the right to make symbolic links")
    for name in ("folder", *planted):
        assert upload(client, name, b"x").json()["filename"] == f"{name}-2"
    assert os.listdir(tmp_path) == ["secret"]
    assert secret.read_bytes() == b"secret"
    listed = {entry["filename"] for entry in client.get("/files").json()}
    assert listed.isdisjoint(["folder", *planted])


def test_what_only_begins_to_exist_is_not_listed(client: httpx.Client, folder: Path) -> None:
    """Contract: `GET /files`: what is stored under final names."""
    (folder / ".partial-copy").write_bytes(b"half")
    if os.name == "posix":
        Path(os.fsdecode(bytes(folder) + b"/\xff")).write_bytes(b"a name that is no text")
    names = [entry["filename"] for entry in client.get("/files").json()]
    assert ".partial-copy" not in names
    assert names == sorted(names)
    assert all(map(is_safe, names))
