"""What the first notebook says about an installation, sound or not."""

import os
from pathlib import Path

import pytest

from workbook.installation import check_installation
from workbook.launch import FORK


@pytest.fixture(autouse=True)
def no_proxy_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if "proxy" in name.lower()]:
        monkeypatch.delenv(name)


def test_here_all_is_sound(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_installation()
    assert "advice" not in capsys.readouterr().out


def test_a_package_that_is_too_old_is_named_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "httpx-0.1.dist-info"  # found before the real one
    old.mkdir()
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: httpx\nVersion: 0.1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert not check_installation()
    report = capsys.readouterr().out
    assert "httpx is 0.1, which is not <1,>=0.28" in report
    assert "-m pip install -e" in report


def test_a_proxy_is_told_unless_it_leaves_this_machine_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    assert not check_installation()
    assert "NO_PROXY=127.0.0.1,localhost" in capsys.readouterr().out
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert check_installation()
    assert "advice" not in capsys.readouterr().out


def test_a_server_that_cannot_start_is_told_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "email_validator.py").write_text("raise ImportError('a broken validator')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv(FORK)  # who forks has imported the sound one
    assert not check_installation()
    report = capsys.readouterr().out
    assert "It should start and did not" in report
    assert "a broken validator" in report
