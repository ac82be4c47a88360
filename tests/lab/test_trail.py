"""What else is a record of the audit trail, on a PC that neither looks at itself nor ships its logs: who has made, changed, ended keys."""

from __future__ import annotations

import json
import secrets

import pytest

from tests.lab.conftest import Read
from tests.lab.rollout import citadelle
from tests.lab.state import Pc

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("converged")]

ANCHORS = "cat /var/log/citadelle/anchors/* 2>/dev/null | wc -l"  # some, where a test before has shipped logs
RECORDS = "systemctl start citadelle-trail && cat /var/log/citadelle/audit/audit-*.jsonl"


def test_a_key_is_on_record_from_its_beginning_to_its_end(windows: Pc, read: Read) -> None:
    assert read(windows, "systemctl is-active citadelle-trail.timer").strip() == "active"
    assert read(windows, "ls -d /etc/citadelle/logs 2>/dev/null || echo none").strip() == "none"
    anchors = read(windows, ANCHORS)
    name = f"trail-{secrets.token_hex(4)}"
    for word in ("create", "revoke"):
        assert citadelle("keys", word, name, "--host", windows.name).returncode == 0
        records = [json.loads(line) for line in read(windows, RECORDS).splitlines()]
    rows = json.loads(citadelle("audit", "resolve", name, "--host", windows.name, "--json").stdout)
    mine = [record["event"] for record in records if record.get("subject") in {row["name"] for row in rows}]
    assert mine == ["key_created", "key_changed"]
    told = {record["event"] for record in records}
    assert {"key_created", "policy_created", "model_created", "pseudonym_created", "release_created"} <= told
    assert citadelle("audit", "verify", "--host", windows.name).returncode == 0
    assert read(windows, ANCHORS) == anchors
