"""The whole role through pyinfra's own command over @local: real files, real hashing, real mounts, in a namespace of its own.

The host's folders are a tmpfs and overlays there, so nothing outside the test changes; only systemctl is a stand-in.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from citadelle.models.lock import ModelsLock
from tests.conftest import ROOT
from tests.models.approved import approve
from tests.models.conftest import Store, lay

pytestmark = [
    pytest.mark.lab,  # each rollout takes seconds
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts in a namespace of its own"),
]

HOST = """
set -u
mkdir -p "$D/host" && mount -t tmpfs tmpfs "$D/host" && mkdir -p "$D/host/bin"
for folder in etc usr/local; do
  mkdir -p "$D/host/$folder/upper" "$D/host/$folder/work"
  mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$D/host/$folder/upper,workdir=$D/host/$folder/work" "/$folder"
done
mount -t tmpfs tmpfs /var/lib; mount -t tmpfs tmpfs /run
cp "$TESTS/systemctl" "$D/host/bin/"; export PATH="$D/host/bin:$PATH"
store=/var/lib/citadelle/models; blob="$store/blobs/$BLOB"
run() { "$PYTHON" -m pyinfra "$@" "$D/inventory.py" "$D/deploy.py" 2>&1 </dev/null; echo "exit $?"; }
converge() { run -y --json | "$PYTHON" "$D/totals.py"; }
served() { ls /run/citadelle/models 2>/dev/null | tr '\\n' ' '; echo; }
flip() { printf X | dd of="$blob" bs=1 seek=100 conv=notrunc status=none; }
cd "$ROOT"
"""
TOTALS = """
import json, sys
document = next(line for line in sys.stdin if line.startswith("{"))
totals = json.loads(document)["results"]["totals"]
print(totals["success"], "changed", totals["no_change"], "unchanged", totals["error"], "failed")
"""


@pytest.fixture
def source(tmp_path: Path) -> Store:
    path = tmp_path / "source"
    store = Store(path, lay(path), os.geteuid())
    lock = ModelsLock.model_validate_json(json.dumps(store.lock))
    (tmp_path / "lock.json").write_bytes(lock.canonical())
    data = {"models_store": str(path), "models_lock": str(tmp_path / "lock.json")}
    data["models_keys"] = str(approve(tmp_path / "lock.json"))
    (tmp_path / "inventory.py").write_text(f"hosts = [('@local', {data!r})]\n")
    (tmp_path / "deploy.py").write_text("from roles.model_files.deploy import model_files\nmodel_files()\n")
    (tmp_path / "totals.py").write_text(TOTALS)
    return store


def scenario(source: Store, script: str) -> list[str]:
    folder = source.path.parent
    env = {
        **os.environ,
        "D": str(folder),
        "ROOT": str(ROOT),
        "TESTS": str(Path(__file__).parent),
        "PYTHON": sys.executable,
    }
    env.update(BLOB=source.blob().name, PYTHONPATH=f"{ROOT}:{os.environ.get('PYTHONPATH', '')}")
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", HOST + script]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, env=env, timeout=120
    )
    return [line.strip() for line in done.stdout.splitlines()]


def _tell(source: Store, **data: Any) -> None:
    folder = source.path.parent
    known = {"models_store": str(source.path), "models_lock": str(folder / "lock.json")}
    known |= {"models_keys": str(folder / "keys/keyring.yaml"), **data}
    (folder / "inventory.py").write_text(f"hosts = [('@local', {known!r})]\n")


def test_first_run_brings_and_serves_second_changes_nothing(source: Store) -> None:
    lines = scenario(
        source,
        """
        converge; served
        converge; served
        stat -c '%a %U %h' "$blob" "$store" "$store/blobs"; ls /var/lib/citadelle
        """,
    )
    assert lines == [
        *("3 changed 0 unchanged 0 failed", "blobs manifests"),
        *("0 changed 3 unchanged 0 failed", "blobs manifests"),
        *("644 root 1", "755 root 4", "755 root 2", "models", "models.placed", "models.serial", "pending"),
    ]


def test_flipped_byte_fails_the_host_and_is_not_repaired(source: Store) -> None:
    lines = scenario(
        source,
        """
        converge; flip; before="$(sha256sum "$blob")"
        run -y; served
        [ "$before" = "$(sha256sum "$blob")" ] && echo untouched
        rm -r -- "$blob"; converge; served
        """,
    )
    assert lines[0] == "3 changed 0 unchanged 0 failed"
    told = "\n".join(lines)
    path = f"/var/lib/citadelle/models/blobs/{source.blob().name}"
    assert f"@local: model blob does not match its lock: {source.blob().name}\nhint: find out why" in told
    assert f"then on the host: rm -r -- {path}; then run again" in told
    assert lines[-5:] == ["exit 1", "", "untouched", "2 changed 1 unchanged 0 failed", "blobs manifests"]


def test_foreign_file_fails_the_host(source: Store) -> None:
    lines = scenario(
        source, 'converge; echo x >"$store/blobs/sha256-evil"; run -y; served; ls "$store/blobs" | grep -c evil'
    )
    assert "@local: foreign entry in the model store: blobs/sha256-evil (file)" in lines
    assert lines[-3:] == ["exit 1", "", "1"]


def test_another_choice_removes_what_we_placed_before(source: Store) -> None:
    _tell(source, models=["tiny:chat", "tiny-embed"])
    lines = scenario(
        source,
        """
        converge; sed -i "s/, .tiny-embed.//" "$D/inventory.py"; converge; served
        converge; ls "$store/manifests/registry.ollama.ai/library"
        """,
    )
    assert lines == [
        "3 changed 0 unchanged 0 failed",
        *("3 changed 0 unchanged 0 failed", "blobs manifests"),
        *("0 changed 3 unchanged 0 failed", "tiny"),
    ]


def test_an_older_lock_stops_before_anything_changes(source: Store) -> None:
    lines = scenario(
        source,
        """
        converge; echo 2 >/var/lib/citadelle/models.serial
        echo >>/etc/citadelle/models.select
        run -y; served; tail -c 1 /etc/citadelle/models.select | od -An -c; wc -l </etc/citadelle/models.select
        echo nonsense >/var/lib/citadelle/models.serial; run -y | grep 'makes no sense'
        """,
    )
    told = "\n".join(lines)
    assert (
        "@local: the lock of the models is older than the one served here before: serial 1 after 2\nhint: git pull;"
        in told
    )
    after = lines.index("exit 1")
    assert lines[after + 1 : after + 4] == ["blobs manifests", "\\n", "2"]
    assert lines[-1] == "@local: the note of the newest lock makes no sense: /var/lib/citadelle/models.serial"


def test_full_disk_is_told_before_anything_is_sent(source: Store) -> None:
    lines = scenario(
        source,
        "mount -t tmpfs -o size=16M tmpfs /var/lib; run -y; ls -A /var/lib/citadelle; ls /var/lib/citadelle/models",
    )
    assert any(line.startswith("@local: not enough disk space for the model files: 67 MB needed, 1") for line in lines)
    assert lines[-1].startswith("ls: cannot access")


def test_plan_on_a_fresh_host_changes_nothing(source: Store) -> None:
    lines = scenario(source, "run --dry; ls -A /var/lib; ls -d /etc/citadelle /run/citadelle")
    assert "exit 0" in lines
    assert [line.startswith("ls: cannot access") for line in lines[-3:]] == [False, True, True]
    assert lines[-3] == "exit 0"


@pytest.mark.parametrize(
    ("spoil", "what", "hint"),
    [
        (
            lambda s: s.blob().write_bytes(b"x"),
            "on the controller: model file does not match its lock: blobs/sha256-",
            "hint: rm '",
        ),
        pytest.param(
            lambda s: s.blob().unlink(),
            "on the controller: model file is missing: blobs/sha256-",
            "hint: citadelle models fetch --store ",
        ),
        pytest.param(
            lambda s: shutil.rmtree(s.path),
            "no model store on the controller: ",
            "hint: set models_store to ",
        ),
        pytest.param(
            lambda s: _tell(s, models=["evil"]),
            "model is not in ",
            "hint: locked are: tiny-embed:latest, tiny:chat",
        ),
        (
            lambda s: (s.path.parent / "lock.json.sig").unlink(),
            "lock of the models is refused: ",
            "hint: citadelle models sign ",
        ),
        pytest.param(
            lambda s: (s.path.parent / "lock.json").write_text("{}"),
            "lock of the models is refused: ",
            "hint: git status; ",
        ),
    ],
    ids=["wrong", "missing", "no store", "not locked", "unsigned lock", "bad lock"],
)
def test_controller_refuses_before_the_host_changes(source: Store, spoil: Any, what: str, hint: str) -> None:
    spoil(source)
    lines = scenario(source, "run -y; ls -A /etc/citadelle")
    told = "\n".join(lines)
    assert f"@local: {what}" in told
    assert hint in told
    assert "exit 1" in lines
    assert "ls: cannot access '/etc/citadelle'" in told
