"""The generated pages are what would be generated, and the check notices when one is not."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def generate(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "docs/generate.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=root)


def main(*arguments: str) -> int:
    """The script's own `main`, without another interpreter."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main(list(arguments))


def test_the_pages_are_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    assert (main("--check"), capsys.readouterr().err) == (0, "")


@pytest.mark.lab
def test_a_stale_page_is_noticed_and_written_anew(tmp_path: Path) -> None:
    for name in ("citadelle", "roles", "compose", "policies"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs/generate.py", tmp_path / "docs")
    for name, old, new in (("settings.md", "`8080`", "`8081`"), ("controls.md", "| WIN-UAC-01 |", "| WIN-UAC-1 |")):
        right = (ROOT / "docs" / name).read_text()
        assert old in right
        (tmp_path / "docs" / name).write_text(right.replace(old, new))
    done = generate(tmp_path, "--check")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "docs/settings.md: is not what the settings say: stale", "hint: python docs/generate.py",
        "docs/controls.md: is not what policies/windows.yaml and linux.yaml say: stale", "hint: python docs/generate.py",
    ]  # fmt: skip
    assert generate(tmp_path).returncode == 0
    for name in ("settings.md", "controls.md"):
        assert (tmp_path / "docs" / name).read_text() == (ROOT / "docs" / name).read_text()


def test_a_wrong_word_is_a_usage_error() -> None:
    assert main("--force") == 2
