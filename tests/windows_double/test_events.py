"""Events of Windows from their logs into the distribution: the PC's program in the genuine engine, the taker for real."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from citadelle.facts import events as fact
from citadelle.operations import events as operations
from citadelle.shipping import channels, events
from tests.conftest import ROOT
from tests.windows_double.conftest import Double

# The program is for Windows PowerShell alone.
pytestmark = [pytest.mark.lab, pytest.mark.parametrize("personality", ["powershell.exe"], indirect=True)]

GENUINE = json.loads((ROOT / "tests/shipping/data/windows-events.json").read_text())["events"]
DEFENDER = "Microsoft-Windows-Windows Defender/Operational"


def event(number: str, record: int, days: int = 0, **changed: str) -> str:
    """A genuine event, so many days old and with a number of its own."""
    xml = re.sub(r"<EventRecordID>\d+", f"<EventRecordID>{record}", GENUINE[number])
    for name, value in changed.items():
        xml = re.sub(rf"(?<=<Data Name=.{name}.>)[^<]*", value, xml)
    return re.sub(
        r"(SystemTime=.)[^\"']*",
        lambda found: f"{found[1]}{datetime.now(UTC) - timedelta(days):%Y-%m-%dT%H:%M:%S}.1234567Z",
        xml,
    )


class Pc:
    """A PC whose task hands over to a folder of this machine."""

    def __init__(self, double: Double, folder: Path) -> None:
        self.double, self.folder = double, folder
        table = json.loads(channels.content(channels.load(ROOT / "policies/windows-events.yaml"), "citadelle"))
        program = f"{events.__file__} {folder} {folder}/figures.prom"
        table["arguments"] = table["arguments"].replace(events.PROGRAM, program)
        for path, content in ((fact.PROGRAM, operations.CONTENT), (fact.TABLE, json.dumps(table).encode())):
            double.path(path).parent.mkdir(parents=True, exist_ok=True)
            double.path(path).write_bytes(content)

    def write(self, channel: str, *found: str) -> None:
        file = self.double.home / "state.json"
        state = json.loads(file.read_text())
        state["events"][channel] = list(found)
        file.write_text(json.dumps(state))

    def hand_over(self) -> list[dict[str, Any]]:
        """One run of the program; all that lies in the folder then."""
        answer = self.double.ask(f"powershell.exe {fact.ARGUMENTS}")
        assert (answer.code, answer.err) == (0, b""), answer
        return self.lines()

    def lines(self) -> list[dict[str, Any]]:
        found = "".join(path.read_text() for path in sorted(self.folder.glob("events-*.jsonl")))
        return [json.loads(line) for line in found.splitlines()]


@pytest.fixture
def pc(windows: Double, tmp_path: Path) -> Pc:
    assert windows.control("distro", "present").returncode == 0
    return Pc(windows, tmp_path / "taken")


def test_events_come_once_each_with_the_fields_that_are_asked_for(pc: Pc) -> None:
    pc.write(
        "Security", event("4625", 7, TargetUserName="André «x»"), event("4625", 8, LogonType="5"), event("1102", 9)
    )
    pc.write(DEFENDER, event("1116", 3))
    found = {line["id"]: line for line in pc.hand_over()}
    assert list(found) == ["Security:7", "Security:9", f"{DEFENDER}:3"]
    logon = found["Security:7"]
    assert logon["data"] == {
        "TargetUserSid": "S-1-0-0", "TargetUserName": "André «x»", "TargetDomainName": "CONTOSO", "LogonType": "2", "Status": "0xc0000234",
        "SubStatus": "0x0", "IpAddress": "127.0.0.1", "WorkstationName": "DC01",
    }  # fmt: skip
    assert (logon["row"], logon["number"], logon["keywords"], logon["ts"][-5:]) == (
        "logons",
        4625,
        "0x8010000000000000",
        ".123Z",
    )
    assert found["Security:9"]["data"]["SubjectUserName"] == "dadmin"
    assert found[f"{DEFENDER}:3"]["data"]["Threat Name"] == "Behavior:Win32/Meterpreter.gen!D"
    text = "".join(path.read_text() for path in pc.folder.iterdir())
    assert not re.search(
        r"Whitelisted|winlogon|CN=eadmin|Suspicious", text
    )  # paths, programs, what is in the PC's language

    assert len(pc.hand_over()) == 3  # nothing new
    pc.write("Security", *(event("4732", record) for record in (10, 12, 11)))
    pc.write(DEFENDER)
    assert [line["record"] for line in pc.hand_over()[3:]] == [10, 11, 12]
    # The taker is killed before it counts, or its state is older than its file: nothing comes twice.
    state = pc.folder / "state.json"
    known = json.loads(state.read_text())
    state.write_text(json.dumps(known | {"marks": {"accounts": 9, "logons": 8}, "size": 0}))
    assert len(pc.hand_over()) == 6
    # A log that was begun anew is read from its start.
    pc.write("Security", event("4625", 1))
    assert [line["id"] for line in pc.hand_over()[6:]] == ["Security:1"]


def test_what_came_while_nothing_was_handed_over_comes_later_also_of_a_row_that_never_had_any(pc: Pc) -> None:
    pc.write("Security", event("4625", 7, days=9), event("4625", 8))
    assert [line["record"] for line in pc.hand_over()] == [8]  # the first look takes the last day
    pc.write("Security", event("4625", 8), event("1102", 9, days=3), event("4732", 10, days=2))
    assert [line["id"] for line in pc.hand_over()[1:]] == ["Security:10", "Security:9"]
    assert 'citadelle_windows_channel_read{row="integrity"} 1' in (pc.folder / "figures.prom").read_text()


def test_a_channel_that_cannot_be_read_is_told_and_the_others_go_on(pc: Pc) -> None:
    table = json.loads(pc.double.path(fact.TABLE).read_text())
    table["events"][0]["channel"] = "Absent"
    pc.double.path(fact.TABLE).write_text(json.dumps(table))
    pc.write("Security", event("1102", 2))
    assert [line["number"] for line in pc.hand_over()] == [1102]
    figures = (pc.folder / "figures.prom").read_text()
    assert 'citadelle_windows_channel_read{row="logons"} 0' in figures
    assert 'citadelle_windows_channel_read{row="integrity"} 1' in figures
    # A taker that cannot write fails the run: the task's result shows it, and nothing is counted.
    table["arguments"] = table["arguments"].replace(str(pc.folder), "/proc/nowhere")
    pc.double.path(fact.TABLE).write_text(json.dumps(table))
    assert pc.double.ask(f"powershell.exe {fact.ARGUMENTS}").code != 0
