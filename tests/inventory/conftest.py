"""A checkout with an inventory folder of its own, and the real `pyinfra` command run in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT


@dataclass(frozen=True)
class Checkout:
    """`path` holds config.py, the packages and an empty `inventory/`."""

    path: Path

    def write(self, name: str, text: str) -> None:
        """Write a file of the checkout."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def pyinfra(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command in the checkout; stdout and stderr are joined, as a terminal shows them."""
        env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | environment
        command = [sys.executable, "-m", "pyinfra", *arguments]
        return subprocess.run(
            command,
            cwd=self.path,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    shutil.copy(ROOT / "config.py", tmp_path)
    for name in ("citadelle", "roles", "compose", "policies", "citadelle-0.1.0.dist-info"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "inventory").mkdir()
    return Checkout(tmp_path)
