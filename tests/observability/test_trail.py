"""What else becomes a record, and anchors: the genuine programs, receiver and openssl, in folders of a test."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from citadelle import anchors, audit, pseudonyms
from citadelle.observability import trail
from tests.audit.conftest import Line
from tests.gateway.receiver import Receiver, receiving

ENTRY = {"id": "alice", "hmac": "ab" * 32, "created": "2026-11-01T00:00:00Z"}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    """A host with a receiver, a release, a model and a key."""
    with receiving(tmp_path / "audit") as receiver:
        places = {
            "STATE": tmp_path / "state", "ANCHORS": tmp_path / "anchors.jsonl", "SOCKET": receiver.socket, "KEYS": tmp_path / "keys.json",
            "SECRETS": tmp_path / "audit/pseudonyms.json",
            "SHIPPED": tmp_path / "rsyslog.conf",
            "MODELS": tmp_path / "models.json", "RELEASE": tmp_path / "current", "ALERTS": tmp_path / "none",
        }  # fmt: skip
        for name, path in places.items():
            monkeypatch.setattr(trail, name, path)
        monkeypatch.setattr(audit, "LOG", str(receiver.log))
        monkeypatch.setattr(audit, "KEY", str(receiver.key))
        trail.STATE.mkdir()
        trail.SHIPPED.touch()
        (tmp_path / "r1/policies").mkdir(parents=True)
        (tmp_path / "r1/policies/gateway.yaml").write_text("a: 1\n")
        trail.RELEASE.symlink_to("r1")
        trail.KEYS.write_text(json.dumps({"keys": [ENTRY]}))
        trail.MODELS.write_text(json.dumps({"models": [{"name": "m:1", "manifest": "x"}]}))
        yield receiver


def told(receiver: Receiver) -> list[tuple[str, str]]:
    held = pseudonyms.opened(receiver.folder / "pseudonyms.json")
    whose = held.known(["alice", "bob _x_"])
    lines = b"".join(path.read_bytes() for path in sorted(receiver.log.glob("audit-*.jsonl"))).splitlines()
    return [
        (record["event"], whose.get(record["subject"], record["subject"]))
        for record in map(json.loads, lines)
        if audit.EVENTS.fullmatch(record["event"])
    ]


def test_whoever_changes_it_is_on_record(host: Receiver) -> None:
    assert trail.main() == 0
    first = [
        ("key_created", "alice"),
        ("policy_created", "gateway.yaml"),
        ("model_created", "m:1"),
        ("pseudonym_created", "1"),
        ("release_created", "current"),
    ]
    assert told(host) == first
    assert trail.main() == 0
    assert told(host) == first
    trail.KEYS.write_text(json.dumps({"keys": [{"id": "bob (x)", "hmac": "y"}]}))
    (trail.RELEASE / "policies/gateway.yaml").write_text("a: 2\n")
    trail.MODELS.write_text("{")  # cannot be read: nothing is said of models, and nothing is forgotten
    assert trail.main() == 1
    assert told(host)[5:] == [("key_removed", "alice"), ("key_created", "bob _x_"), ("policy_changed", "gateway.yaml")]
    assert host.verify().returncode == 0


def test_where_nothing_is_shipped_changes_are_recorded_and_no_anchor_is_made(host: Receiver) -> None:
    trail.SHIPPED.unlink()
    assert trail.main() == 0
    assert len(told(host)) == 5
    assert not trail.ANCHORS.exists()
    assert [path.name for path in trail.STATE.iterdir()] == ["seen.json"]


def test_what_could_not_be_recorded_is_recorded_later(host: Receiver) -> None:
    host.stop()
    assert trail.main() == 1
    host.start()
    assert trail.main() == 0
    assert len(told(host)) == 5


def test_what_was_recorded_before_a_failure_is_not_recorded_again(
    host: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = trail.note

    def breaks(events: list[tuple[str, str, str]]) -> Iterator[tuple[str, str, str]]:
        yield from genuine(events[:2])
        raise OSError("it has gone")

    with monkeypatch.context() as patch:
        patch.setattr(trail, "note", breaks)
        assert trail.main() == 1
    assert len(told(host)) == 2
    assert trail.main() == 0
    assert len(told(host)) == len(set(told(host))) == 5


@pytest.mark.parametrize("content", ["", "[]", '{"key": 5}'])
def test_a_last_look_that_makes_no_sense_stops_nothing(host: Receiver, content: str) -> None:
    (trail.STATE / "seen.json").write_text(content)
    assert trail.main() == 0
    assert len(told(host)) == 5


def test_only_known_events_and_short_values(host: Receiver) -> None:
    line = Line(host)
    for event, record in (
        ("key_shown", {"id": "a"}),
        ("request", {"id": "a"}),
        (5, {"id": "a"}),
        ("key_created", {"id": "a", "prompt": "x"}),
    ):
        assert "error" in line.ask("note", event=event, record=record)
    assert "error" in line.ask("note", event="key_created", record={"id": "a", "subject": "a question?"})
    assert told(host) == []


def test_anchors_name_what_was_changed_afterwards(host: Receiver, tmp_path: Path) -> None:
    line = Line(host)
    for turn in range(2):
        line.request(f"r{turn}")
        host.stop()  # in order: the head is on the disk
        host.start()
        line = Line(host)
        assert trail.main() == 0
    host.stop()
    shipped, public = trail.ANCHORS.read_text(), (trail.STATE / "public.pem").read_bytes()
    given = anchors.read(shipped.splitlines(), public)
    assert len(given) == 2
    key = audit.read_key(host.key)
    assert anchors.judge(host.log, key, given) == "2 anchors hold, the newest names record " + str(max(given))
    assert anchors.judge(host.log, key, given, max(given)).endswith(f"; 1 name records before {max(given)}")
    with pytest.raises(audit.Problem, match="no anchor names record"):
        anchors.judge(host.log, key, given, max(given) + 1)
    # Root, who has the key, writes the whole log anew: its chain holds, and the anchors do not.
    records = list(audit.numbered(audit.files_of(host.log), key))
    shutil.rmtree(host.log)
    host.log.mkdir()
    previous, lines = audit.NOTHING, []
    for record in [one for one in records if one.get("id") != "r0"]:
        fields = {name: value for name, value in record.items() if name not in {"seq", "prev", "mac"}}
        sealed, previous = audit.seal(key, {"seq": len(lines) + 1, **fields, "prev": previous})
        lines.append(sealed)
    (host.log / "audit-000000000001.jsonl").write_bytes(b"".join(lines))
    (host.log / "head.json").write_bytes(audit.seal(key, {"seq": len(lines), "last": previous})[0])
    assert host.verify().returncode == 0
    with pytest.raises(audit.Problem, match=r"record \d+: (not the one|missing)"):
        anchors.judge(host.log, key, given)
    # Nobody else's anchors, and none that was changed.
    for wrong in (shipped.replace('"seq":', '"seq":1'), shipped.replace('"host":"', '"host":"x'), "{}", "x"):
        with pytest.raises(ValueError, match="anchor"):
            anchors.read(wrong.splitlines(), public)
