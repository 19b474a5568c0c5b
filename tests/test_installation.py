"""What the first notebook says about an installation, sound or not."""

import os
import subprocess
import sys
from pathlib import Path

CHECK = "from workbook.installation import check_installation; print(check_installation())"


def check(**env: str) -> str:
    """What a kernel with this environment would show."""
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    done = subprocess.run(
        [sys.executable, "-c", CHECK],
        env={**clean, "PYTHONIOENCODING": "utf-8", **env},
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=60,
    )
    return done.stdout


def test_here_all_is_sound() -> None:
    report = check()
    assert "advice" not in report
    assert report.splitlines()[-1] == "True"


def test_a_package_that_is_too_old_is_named_with_the_cure(tmp_path: Path) -> None:
    old = tmp_path / "httpx-0.1.dist-info"  # found before the real one
    old.mkdir()
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: httpx\nVersion: 0.1\n")
    report = check(PYTHONPATH=str(tmp_path))
    assert "httpx is 0.1, which is not <1,>=0.28" in report
    assert "-m pip install -e" in report
    assert report.splitlines()[-1] == "False"


def test_a_proxy_is_told_unless_it_leaves_this_machine_out() -> None:
    assert "NO_PROXY=127.0.0.1,localhost" in check(http_proxy="http://proxy.invalid:3128")
    assert "advice" not in check(http_proxy="http://proxy.invalid:3128", no_proxy="127.0.0.1")


def test_a_server_that_cannot_start_is_told_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "email_validator.py").write_text("raise ImportError('a broken validator')\n")
    report = check(PYTHONPATH=str(tmp_path), WORKBOOK_FORK="")
    assert "It should start and did not" in report
    assert "a broken validator" in report
