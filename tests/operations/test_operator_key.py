"""The operator's key is made for real: a shell in a namespace of its own, where /etc is an overlay."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.operations.cases import FOLDER, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts in a namespace of its own")

SCRIPT = """
set -eu
mount -t tmpfs tmpfs "$D/layers"; mkdir "$D/layers/upper" "$D/layers/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$D/layers/upper,workdir=$D/layers/work" /etc
rm -rf /etc/citadelle
sh "$D/make"; inode=$(stat -c %i /etc/citadelle/gateway/keys.json); cat /etc/citadelle/operator.key
chmod 644 /etc/citadelle/operator.key; echo '{"keys": []}' > /etc/citadelle/gateway/keys.json
sh "$D/make"; cat /etc/citadelle/operator.key
stat -c '%a %U:%G' /etc/citadelle/operator.key /etc/citadelle/gateway/keys.json
test "$inode" = "$(stat -c %i /etc/citadelle/gateway/keys.json)" && echo same inode
ls /etc/citadelle; cat /etc/citadelle/gateway/keys.json
"""


def test_a_key_is_made_once_and_its_digest_is_kept_true(tmp_path: Path) -> None:
    ((command,), _) = run(FOLDER / "stack.operator_key/absent.yaml", tmp_path)
    (tmp_path / "make").write_text(command)
    (tmp_path / "layers").mkdir()
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", SCRIPT],
        env={**os.environ, "D": str(tmp_path)}, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.stderr == ""
    first, second, *states, inode, gateway, key_file, hashes = done.stdout.splitlines()
    assert re.fullmatch(r"ck_[A-Za-z0-9_-]{43}", first)
    assert second == first
    assert states == ["600 root:root", "644 root:root"]
    assert (inode, gateway, key_file) == ("same inode", "gateway", "operator.key")
    assert json.loads(hashes) == {"keys": [{"id": "operator", "sha256": hashlib.sha256(first.encode()).hexdigest()}]}
    assert first not in command
