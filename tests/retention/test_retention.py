"""What is too old goes, what is not stays, and the figures say what is left: on a genuine trail, a genuine key file, files of stores."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from citadelle import audit, audit_log, keys, pseudonyms, retention
from citadelle.retention import DAY

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()


def stamp(days_ago: float) -> str:
    return datetime.fromtimestamp(NOW - days_ago * DAY, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host's stores below `tmp_path`; the trail has a file of two records for each of the days 40, 20, 10 and 0."""
    for name in ("audit", "gateway", "prometheus/01AB", "loki/chunks/fake"):
        (tmp_path / name).mkdir(parents=True)
    key, last = bytes(32), audit.NOTHING
    (tmp_path / "key").write_text(key.hex())
    for first, days in ((1, 40), (3, 20), (5, 10), (7, 0)):
        with (tmp_path / f"audit/audit-{first:012}.jsonl").open("wb") as file:
            for seq in (first, first + 1):
                line, last = audit.seal(
                    key, {"seq": seq, "ts": stamp(days), "id": f"r{seq}", "key": "alice", "prev": last}
                )
                file.write(line)
    (tmp_path / "audit" / audit.HEAD).write_bytes(audit.seal(key, {"seq": 8, "last": last})[0])
    for name, value in {"LOG": tmp_path / "audit", "KEY": tmp_path / "key", "BEGIN": tmp_path / "begin/audit"}.items():
        monkeypatch.setattr(audit, name, str(value))
    monkeypatch.setattr(keys, "FOLDER", str(tmp_path))
    monkeypatch.setattr(keys, "_own", lambda *_, **__: None)
    monkeypatch.setattr(retention, "DATA", tmp_path)
    return tmp_path


def left(host: Path) -> list[str]:
    return [path.name for path in audit.files_of(host / "audit")]


def looked(**days: int) -> dict[tuple[str, str], float]:
    """The figures, by name and store."""
    found = retention.looked(days, NOW)
    return {
        (name.removeprefix("citadelle_retention_"), labels.get("store", "")): value for name, labels, value in found
    }


def age(found: dict[tuple[str, str], float], store: str) -> float:
    return round((NOW - found["oldest_timestamp_seconds", store]) / DAY, 3)


def test_files_whose_records_are_all_too_old_go_and_the_trail_still_holds(host: Path) -> None:
    assert age(looked(audit=60), "audit") == 40
    assert len(left(host)) == 4
    found = looked(audit=15)
    assert left(host) == ["audit-000000000005.jsonl", "audit-000000000007.jsonl"]
    assert age(found, "audit") == 10
    assert (found["ok", "audit"], found["limit_seconds", "audit"]) == (1, 15 * DAY)
    assert found["ran_timestamp_seconds", ""] == NOW
    whole = audit.verify(host / "audit", bytes(32), audit.began())
    assert whole.startswith("4 records intact: 5 of ")


def test_what_goes_without_the_deletion_is_still_missed(host: Path) -> None:
    looked(audit=15)
    (host / "audit/audit-000000000005.jsonl").unlink()
    with pytest.raises(audit.Problem, match="records 5 to 6 are missing at the beginning"):
        audit.verify(host / "audit", bytes(32), audit.began())


def test_the_newest_file_stays_whatever_its_age(host: Path) -> None:
    for path in audit.files_of(host / "audit")[:-1]:
        path.unlink()
    (host / "begin").mkdir()
    (host / "begin/audit").write_text("7")
    assert age(looked(audit=-5), "audit") == 0
    assert left(host) == ["audit-000000000007.jsonl"]


def test_a_trail_that_does_not_hold_is_not_touched_and_the_rest_is(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = host / "audit/audit-000000000005.jsonl"
    broken.write_bytes(broken.read_bytes().replace(b"alice", b"mallo", 1))
    (host / "gateway/keys.json").write_text(json.dumps({"keys": [ended("old", revoked=stamp(50))]}))
    found = looked(audit=15, keys=15)
    assert len(left(host)) == 4
    assert found["ok", "audit"] == 0
    assert ("oldest_timestamp_seconds", "audit") not in found
    assert "audit: nothing is deleted: audit-000000000005.jsonl line 1" in capsys.readouterr().err
    assert keys.Keys(host).entries() == []


def ended(name: str, **ends: str) -> dict[str, str]:
    return {"id": name, "hmac": "00" * 32, "created": stamp(100), **ends}


def test_keys_that_ended_long_ago_are_forgotten_and_others_not(host: Path) -> None:
    entries = [
        ended("operator"), ended("valid"), ended("to-come", expires=stamp(-10)), ended("lately", revoked=stamp(3)),
        ended("gone", expires=stamp(30)), ended("revoked-first", revoked=stamp(30), expires=stamp(-10)),
    ]  # fmt: skip
    (host / "gateway/keys.json").write_text(json.dumps({"keys": entries}))
    found = looked(keys=15)
    assert [entry["id"] for entry in keys.Keys(host).entries()] == ["operator", "valid", "to-come", "lately"]
    assert age(found, "keys") == 3


def test_secrets_of_pseudonyms_change_and_are_destroyed(
    host: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = host / "pseudonyms.json"
    monkeypatch.setattr(pseudonyms, "FILE", str(file))
    listed = [{"number": one, "begin": stamp(days), "secret": "00" * 32} for one, days in ((1, 90), (2, 60), (3, 31))]
    file.write_text(json.dumps({"secrets": listed}))
    retention.rotated(NOW - 30 * DAY)
    found = looked(secrets=45)
    assert [one["number"] for one in json.loads(file.read_text())["secrets"]] == [2, 3, 4]
    assert (age(found, "secrets"), found["limit_seconds", "secrets"]) == (31, 45 * DAY)
    assert capsys.readouterr().out == "secrets: a new one from now on\nsecrets: destroyed 1\n"
    looked(secrets=20)  # the oldest record that is left is of 40 days ago
    assert [one["number"] for one in json.loads(file.read_text())["secrets"]] == [2, 3, 4]
    file.write_text("{")
    retention.rotated(NOW)
    assert looked(secrets=45)["ok", "secrets"] == 0


def test_events_of_windows_go_whether_more_are_handed_over_or_not(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "WINDOWS", host)
    for days in (8, 6):
        file = host / f"events-{days}.jsonl"
        file.write_text("{}\n")
        os.utime(file, (NOW - days * DAY, NOW - days * DAY))
    assert age(looked(windows=retention.WINDOWS_DAYS), "windows") == 6
    assert [path.name for path in host.glob("events-*")] == ["events-6.jsonl"]


def test_the_age_of_figures_and_lines_is_that_of_the_oldest(host: Path) -> None:
    (host / "prometheus/01AB/meta.json").write_text(json.dumps({"minTime": (NOW - 9 * DAY) * 1000}))
    chunk = host / "loki/chunks/fake/a"
    chunk.write_bytes(b"x")
    os.utime(chunk, (NOW - 4 * DAY, NOW - 4 * DAY))
    found = looked(figures=30, logs=30)
    assert (age(found, "figures"), age(found, "logs")) == (9, 4)
    chunk.unlink()
    assert age(looked(logs=30), "logs") == 0


def test_the_journal_is_asked_to_delete_and_then_what_is_left(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """journalctl is played: the lab has the genuine one."""
    asked: list[list[str]] = []
    monkeypatch.setattr(retention.time, "time", lambda: NOW)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: asked.append(command))
    monkeypatch.setattr(retention, "first_entry", lambda: NOW - 2 * DAY)
    assert age(looked(journal=7), "journal") == 2
    assert asked == [["journalctl", "--quiet", "--rotate", f"--vacuum-time={7 * DAY}s"]]


def test_the_receiver_goes_on_after_a_deletion(host: Path) -> None:
    looked(audit=15)
    log = audit_log.Log(host / "audit", host / "key")
    assert log.append({"id": "next"})["seq"] == 10  # 9 says that it has started
    log.sync()
    assert audit.verify(host / "audit", bytes(32), audit.began()).startswith("6 records intact: 5 of ")
