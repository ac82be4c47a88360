"""The runtime of containers that read model files: nothing is created unless the verifier, asked at that moment, agrees."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT

SCRIPT = ROOT / "roles/docker/files/usr/local/lib/citadelle/verified-runtime"
# As containerd's shim calls it.
GLOBAL = ["--root", "/run/docker/runtime-runc/moby", "--log", "LOG", "--log-format", "json", "--systemd-cgroup"]
CREATE = ["create", "--bundle", "/run/containerd/x", "--pid-file", "/run/containerd/x/init.pid", "0123"]
OTHERS = [
    ["start", "0123"], ["state", "0123"], ["kill", "0123", "9"], ["delete", "--force", "0123"], ["exec", "--process", "/tmp/p", "0123"],
    ["features"], ["--version"],
]  # fmt: skip


@dataclass
class Runtime:
    """The script with a `runc` and a verifier that note their calls; `right`: what the verifier says."""

    folder: Path

    def call(self, *arguments: str, right: bool = True, said: str = "") -> subprocess.CompletedProcess[str]:
        words = [word.replace("LOG", str(self.folder / "log.json")) for word in arguments]
        env = {"PATH": f"{self.folder}/bin:{os.environ['PATH']}", "NOTES": str(self.folder / "notes"), "SAID": said}
        env["CODE"] = "0" if right else "1"
        command = ["sh", str(self.folder / "runtime"), *words]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=30)

    def notes(self) -> list[str]:
        """Every call of the two, in order."""
        file = self.folder / "notes"
        return file.read_text().splitlines() if file.exists() else []

    def told(self) -> list[dict[str, str]]:
        """What Docker would find in the log."""
        file = self.folder / "log.json"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/runc").write_text('#!/bin/sh\necho "runc $*" >>"$NOTES"\n')
    (tmp_path / "bin/python3").write_text(
        '#!/bin/sh\necho "verify $*" >>"$NOTES"; printf "%s" "$SAID" >&2; exit "$CODE"\n'
    )
    for program in (tmp_path / "bin").iterdir():
        program.chmod(0o755)
    (tmp_path / "runtime").write_text(SCRIPT.read_text())
    return Runtime(tmp_path)


def test_a_creation_is_passed_on_after_the_verifier_agreed(runtime: Runtime) -> None:
    assert runtime.call(*GLOBAL, *CREATE).returncode == 0
    verify, runc = runtime.notes()
    assert verify == "verify -I -B /usr/local/lib/citadelle/verify.py recheck"
    assert runc == " ".join(["runc", *GLOBAL, *CREATE]).replace("LOG", str(runtime.folder / "log.json"))


@pytest.mark.parametrize("word", ["create", "run", "restore"])
@pytest.mark.parametrize("log", [["--log", "LOG"], ["--log=LOG"]])
def test_a_creation_is_refused_where_it_does_not(runtime: Runtime, word: str, log: list[str]) -> None:
    said = 'srv1: model file "blobs\\x"\ndoes not match\n'
    done = runtime.call(*log, word, "0123", right=False, said=said)
    assert done.returncode == 1
    assert runtime.notes() == ["verify -I -B /usr/local/lib/citadelle/verify.py recheck"]
    (told,) = runtime.told()
    assert told["level"] == "error"
    assert told["msg"].startswith("srv1: model file 'blobs/x';does not match; hint: find out why")
    assert told["msg"] in done.stderr


def test_without_a_log_it_is_refused_as_well(runtime: Runtime) -> None:
    done = runtime.call("create", "0123", right=False)
    assert (done.returncode, done.stderr.split(";")[0]) == (1, "model files cannot be verified")
    assert len(runtime.notes()) == 1


def test_without_a_verifier_nothing_is_created(runtime: Runtime) -> None:
    (runtime.folder / "bin/python3").unlink()
    (runtime.folder / "bin/python3").symlink_to("/nowhere/python3")
    done = runtime.call("--log", "LOG", "create", "0123")
    assert (done.returncode, runtime.notes(), len(runtime.told())) == (1, [], 1)


@pytest.mark.parametrize("words", OTHERS, ids=lambda words: words[0])
def test_everything_else_is_runcs_own(runtime: Runtime, words: list[str]) -> None:
    assert runtime.call(*GLOBAL, *words, right=False).returncode == 0
    assert [note.split()[0] for note in runtime.notes()] == ["runc"]
