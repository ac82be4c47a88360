"""The stack's script on a host of folders: its paths lead into a temporary one; `docker`, `ss`, `systemctl`, the verifier are doubles."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from citadelle.release import Release
from tests.conftest import ROOT

SCRIPT = ROOT / "roles/stack/files/usr/local/lib/citadelle/stack"
DOUBLE = Path(__file__).with_name("docker")


@dataclass(frozen=True)
class StackHost:
    """`path` stands for the root of the host's file system."""

    path: Path

    def place(self, name: str, port: int = 8080) -> None:
        """Put a release there, as the deploy does."""
        content = Release(name, {"compose/compose.yaml": b"", "stack.env": f"GATEWAY_PORT={port}\n".encode()})
        folder = self.path / "releases" / name
        folder.mkdir(parents=True)
        subprocess.run(["tar", "-x", "-C", folder], input=content.archive(), check=True)

    def tell(self, name: str, text: str = "") -> None:
        """Tell the doubles something; see the head of each."""
        (self.path / "double" / name).write_text(text)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        env = {**os.environ, "DOUBLE": str(self.path / "double"), "PATH": f"{self.path}/bin:{os.environ['PATH']}"}
        command = ["sh", str(self.path / "stack"), *arguments]
        return subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, check=False, timeout=30)

    @property
    def current(self) -> str:
        """The current release, or an empty text."""
        link = self.path / "current"
        return link.readlink().name if link.is_symlink() else ""

    @property
    def runs(self) -> str:
        """The release whose containers run, or an empty text."""
        file = self.path / "double/runs"
        return file.read_text().strip() if file.exists() else ""

    @property
    def starts(self) -> list[str]:
        """Every `up`, in order."""
        file = self.path / "double/log"
        return file.read_text().splitlines() if file.exists() else []


SS = '#!/bin/sh\ncat "$DOUBLE/listens" 2>/dev/null || true\n'
VERIFIER = '#!/bin/sh\n[ ! -e "$DOUBLE/not-verified" ]\n'
HOSTNAME = "#!/bin/sh\necho srv1\n"
SYSTEMCTL = """#!/bin/sh
case "$*" in
"is-active --quiet docker") [ ! -e "$DOUBLE/daemon-dead" ] ;;
"start citadelle-audit.socket") [ ! -e "$DOUBLE/no-audit" ] ;;
*) exit 3 ;;
esac
"""


@pytest.fixture
def stack_host(tmp_path: Path) -> StackHost:
    for folder in ("bin", "double", "releases"):
        (tmp_path / folder).mkdir()
    (tmp_path / "bin/docker").symlink_to(DOUBLE)
    for name, text in {"ss": SS, "python3": VERIFIER, "hostname": HOSTNAME, "systemctl": SYSTEMCTL}.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    script = SCRIPT.read_text()
    assert script.count("ROOT=/opt/citadelle\n") == 1
    assert script.count("LOCK=/run/lock/citadelle-stack\n") == 1
    script = script.replace("LOCK=/run/lock/citadelle-stack\n", f"LOCK={tmp_path}/lock\n")
    (tmp_path / "stack").write_text(script.replace("ROOT=/opt/citadelle\n", f"ROOT={tmp_path}\n"))
    return StackHost(tmp_path)
