"""Events of Windows on their way: what the taker keeps, the table, and each form held against its schema. Genuine events."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from citadelle.shipping import channels, event_forms, events, forms, loki
from tests.conftest import ROOT
from tests.shipping import schema
from tests.shipping.siem import MESSAGE
from tests.shipping.test_forms import read_cef

GENUINE = json.loads((Path(__file__).parent / "data/windows-events.json").read_text())["events"]
TABLE = ROOT / "policies/windows-events.yaml"
SPACE = "{http://schemas.microsoft.com/win/2004/08/events/event}"


def handed(number: str, row: str, severity: str = "informational", **changed: Any) -> dict[str, Any]:
    """As the PC's program hands a genuine event over."""
    root = ElementTree.fromstring(GENUINE[number])
    system = {part.tag.removeprefix(SPACE): part for part in root[0]}
    text = {name: system[name].text for name in ("EventRecordID", "Channel", "Keywords", "EventID", "Level")}
    found = {
        "row": row, "channel": text["Channel"], "record": int(text["EventRecordID"] or 0), "provider": system["Provider"].get("Name"),
        "number": int(text["EventID"] or 0), "level": int(text["Level"] or 0), "keywords": text["Keywords"], "severity": severity,
        "ts": system["TimeCreated"].get("SystemTime"), "user": system["Security"].get("UserID", ""),
        "data": {part.get("Name"): part.text or "" for part in root.iter(f"{SPACE}Data")},
    }  # fmt: skip
    return found | changed


LOGON, MEMBER, CLEARED, THREAT = (
    handed("4625", "logons"), handed("4732", "accounts", "notice"),
    handed("1102", "integrity", "warning"), handed("1116", "defender", "warning"),
)  # fmt: skip
ALL = {"logons": LOGON, "accounts": MEMBER, "integrity": CLEARED, "defender": THREAT}
RIGHT = handed(
    "4625", "logons", keywords="0x8020000000000000", record=5, data={"IpAddress": "-", "TargetUserName": 'a"]\\=|é'}
)


def line(given: dict[str, Any]) -> str:
    return json.dumps(events.record(given), separators=(",", ":"))


def test_each_event_is_kept_once_whatever_comes_again(tmp_path: Path) -> None:
    log = events.Log(tmp_path)
    assert log.take([json.dumps(LOGON), json.dumps(MEMBER), json.dumps(LOGON), '{"row":"logons","at":229980}']) == 2
    assert log.marks == {"logons": 229980, "accounts": 174856}
    log._lock.close()
    # Written and not counted, and a line that the power cut: as if the state were of before.
    [file] = tmp_path.glob("events-*.jsonl")
    with file.open("a") as more:
        more.write(line(LOGON | {"record": 229990}) + '\n{"row":"logons","rec')
    log = events.Log(tmp_path)
    assert log.marks["logons"] == 229990
    assert log.take([json.dumps(LOGON | {"record": record}) for record in (229985, 229990, 229991)]) == 1
    assert [json.loads(text)["record"] for text in file.read_text().splitlines() if text.endswith("}")] == [
        229977,
        174856,
        229990,
        229991,
    ]
    assert log.take(['{"row":"logons","begun":true}', json.dumps(LOGON | {"record": 1})]) == 1
    assert "channel_read{" in log.figures(1.0)
    assert "} 0" not in log.figures(1.0)


STRANGE = ("", "[]", "{", '{"row":"../x","at":1}', '{"row":"logons"}', '{"row":"logons","at":"x"}', json.dumps(LOGON | {"ts": "yesterday"}),
           json.dumps(LOGON | {"data": "x"}), json.dumps(LOGON | {"record": -1}), "[" * 40_000)  # fmt: skip


def test_what_is_no_event_is_told_and_not_kept(tmp_path: Path) -> None:
    log = events.Log(tmp_path)
    long = LOGON | {"data": {"TargetUserName": "x" * 9000}}
    assert log.take([*STRANGE, json.dumps(long), '{"row":"defender","failed":"NoMatchingLogsFound,Get-WinEvent"}']) == 1
    figures = log.figures(7.0)
    assert [text for text in figures.splitlines() if text.endswith("} 0")] == [
        f'citadelle_windows_channel_read{{row="{row}"}} 0' for row in ("defender", "logons", "none")
    ]
    [file] = tmp_path.glob("events-*.jsonl")
    assert json.loads(file.read_text())["data"]["TargetUserName"] == "x" * events.VALUE_LENGTH


ORIGINAL: dict[str, Callable[[str], str]] = {
    "ecs": lambda body: json.loads(body)["event"]["original"], "ocsf": lambda body: json.loads(body)["raw_data"],
    "cef": lambda body: read_cef(body)[1]["rawEvent"],
}  # fmt: skip


@pytest.mark.parametrize("form", ["ecs", "ocsf", "cef"])
def test_each_form_fits_its_schema_and_carries_the_line(form: str) -> None:
    shown = {}
    for name, given in (ALL | {"right": RIGHT}).items():
        text = line(given)
        found = MESSAGE.fullmatch(forms.message(form, "pc1", text).encode())
        assert found
        body = found["body"].decode()
        shown[name] = found["pri"].decode()
        assert ORIGINAL[form](body) == text
        assert form == "cef" or getattr(schema, form)(json.loads(body)) == [], name
    assert shown == {"logons": "109", "accounts": "109", "integrity": "108", "defender": "108", "right": "110"}


def test_who_and_whence_are_found_by_the_siem() -> None:
    found = json.loads(event_forms.ecs(events.record(LOGON), "pc1", ""))
    assert (found["user"], found["source"]) == (
        {"id": "S-1-0-0", "name": "Auditor", "domain": "CONTOSO"},
        {"ip": "127.0.0.1"},
    )
    assert (found["event"]["code"], found["event"]["outcome"]) == ("4625", "failure")
    assert "source" not in json.loads(event_forms.ecs(events.record(RIGHT), "pc1", ""))
    logon = json.loads(event_forms.ocsf(events.record(LOGON), "pc1", ""))
    assert (logon["class_uid"], logon["status_id"], logon["src_endpoint"]) == (3002, 2, {"ip": "127.0.0.1"})
    head, values = read_cef(event_forms.cef(events.record(THREAT), "pc1", ""))
    assert (head[1:6], head[6]) == (["Microsoft", "Windows", "1", "1116", THREAT["channel"]], "5")
    assert values["externalId"] == f"{THREAT['channel']}:39008"
    stream = dict(loki.labels({"tag": "windows", "line": line(LOGON), "level": "notice"}, "pc1"))
    assert stream == {"host": "pc1", "job": "windows", "level": "info", "service": "windows"}
    assert (
        loki.nanoseconds({"t": "2026-01-01T00:00:00Z", "tag": "windows", "line": line(LOGON)}) == "1441752894962229977"
    )


def test_the_table_says_each_event_once_and_no_field_that_tells_too_much(tmp_path: Path) -> None:
    rows = channels.load(TABLE)
    kept = {name for row in rows for name in row.keep}
    assert not kept & {
        "CommandLine",
        "NewProcessName",
        "ProcessName",
        "Process Name",
        "Path",
        "TaskContent",
        "ImagePath",
        "ServiceFileName",
        "MemberName",
    }
    told = json.loads(channels.content(rows, "citadelle"))
    assert (
        told["arguments"]
        == "-d citadelle -u root --exec /usr/bin/python3 -I -B /usr/local/lib/citadelle/shipping/events.py"
    )
    right = "events: [{name: a, channel: System, ids: [1], keep: [x]}"
    wrong = {
        "]": None, ", {name: a, channel: S, ids: [2], keep: [x]}]": "twice: a",
        ", {name: b, channel: System, ids: [1], keep: [x]}]": "twice: System 1",
        ", {name: b, channel: System, keep: [x]}]": "twice: System 1", ", {name: b, channel: 'S\"', ids: [1], keep: [x]}]": "1.channel",
        ", {name: b, channel: S, keep: []}]": "1.keep", f", {{name: b, channel: S, keep: [x], ids: {list(range(1, 22))}}}]": "1.ids",
        ", {name: b, channel: S, keep: [x], command: y}]": "1.command",
    }  # fmt: skip
    for rest, problem in wrong.items():
        (tmp_path / "t.yaml").write_text(right + rest)
        if problem is None:
            assert len(channels.load(tmp_path / "t.yaml")) == 1
        else:
            with pytest.raises(ValueError, match=problem):
                channels.load(tmp_path / "t.yaml")


def test_the_taker_talks_as_the_pc_expects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(LOGON).encode() + b"\n\xff\n")))
    events.main(tmp_path / "log", tmp_path / "figures.prom")
    assert capsys.readouterr().out == "{}\n1\n"
    assert 'citadelle_windows_channel_read{row="logons"} 1' in (tmp_path / "figures.prom").read_text()
