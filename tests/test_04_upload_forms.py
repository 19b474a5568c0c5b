"""Section 4: bodies that are not a form with one file in it."""

from collections.abc import Iterator

import httpx
import pytest

from fuzz import assert_no_500
from workbook import Server, serve

FORM = "multipart/form-data; boundary=x"
HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="big"\r\n\r\n'
TAIL = b"\r\n--x--\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("upload")
    with serve("04_upload", env={"UPLOAD_DIR": str(folder)}) as server:
        yield server
    assert "Traceback" not in server.log()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client:
        yield client


GOOD = HEAD + b"x" + TAIL
MALFORMED = {
    "no body": (FORM, b""),
    "no form": ("application/json", b"{}"),
    "a urlencoded form": ("application/x-www-form-urlencoded", b"file=x"),
    "no boundary": ("multipart/form-data", GOOD),
    "a boundary that is too long": (f"multipart/form-data; boundary={'x' * 999}", GOOD),
    "another boundary": ("multipart/form-data; boundary=y", GOOD),
    "a charset that can't decode": (f"{FORM}; charset=idna", GOOD.replace(b"big", b"xn--0")),
    "no part": (FORM, b"--x--\r\n"),
    "no end": (FORM, HEAD + b"x"),
    "no headers": (FORM, b"--x\r\n\r\nx" + TAIL),
    "no name": (FORM, GOOD.replace(b' name="file";', b"")),
    "another field": (FORM, GOOD.replace(b'"file"', b'"photo"')),
    "a text field": (FORM, GOOD.replace(b'; filename="big"', b"")),
    "two files": (FORM, HEAD + b"x\r\n" + GOOD),
    "a header without an end": (FORM, b"--x\r\n" + b"A" * 1024**2),
    "headers without an end": (FORM, b"--x\r\n" + b"A: b\r\n" * 50_000),
    "a broken header": (FORM, b"--x\r\nContent Disposition\r\n\r\nx" + TAIL),
    "noise": (FORM, bytes(range(256)) * 100),
}


@pytest.mark.parametrize("path", ["/upload", "/upload/large"])
@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_no_form_with_one_file_is_refused(
    client: httpx.Client, path: str, case: str
) -> None:
    """Contract: what a client does wrong gets a 4xx with a sentence that says what to do."""
    content_type, body = MALFORMED[case]
    answer = client.post(path, content=body, headers={"Content-Type": content_type})
    assert answer.status_code in (400, 422)
    assert "Send " in answer.json()["detail"]


def test_what_else_a_form_holds_is_ignored(client: httpx.Client) -> None:
    answer = client.post("/upload/large", files={"file": b"x"}, data={"title": "A cat"})
    assert answer.status_code == 200


def test_wrong_methods_are_refused(client: httpx.Client) -> None:
    for method in ("GET", "PUT", "DELETE"):
        assert client.request(method, "/upload").status_code == 405


def test_a_fuzzer_finds_no_way_to_a_500(server: Server) -> None:
    """Contract: no request makes a 500 or a traceback in the server's log."""
    assert_no_500(server)
    assert "Traceback" not in server.log()
