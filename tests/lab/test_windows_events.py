"""Events of a Windows PC all the way, as deployed: from its logs by its task into the distribution, by rsyslog to a SIEM and to Loki.

Its Windows is the double, whose logs hold genuine events of today; the rest is what hosts run. And what is deleted there in time.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from citadelle import certificates
from tests.conftest import ROOT
from tests.lab.commands import address
from tests.lab.conftest import Read
from tests.lab.pcs import exec_in_pc
from tests.lab.rollout import rollout
from tests.lab.state import Pc
from tests.lab.test_wsl_owner import edit, load
from tests.shipping.loki import START, STOP
from tests.shipping.siem import NAME, Siem, siem
from tests.windows_double.test_events import DEFENDER, event

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("converged")]

PAGE = (ROOT / "docs/observability.md").read_text()
TASK = "Start-ScheduledTask -TaskPath '\\citadelle\\' -TaskName events"  # as the runbook WindowsEventsStopped has it
END = (
    "Unregister-ScheduledTask -TaskPath '\\citadelle\\' -TaskName events -Confirm:$false; "
    "Remove-LocalGroupMember -SID S-1-5-32-573 -Member citadelle-wsl; Remove-Item C:\\ProgramData\\citadelle\\events.*"
)
FORGET = "rm -r /var/log/citadelle/windows /var/lib/node_exporter/textfile/citadelle_windows.prom"
FIGURES = "cat /var/lib/node_exporter/textfile/citadelle_retention.prom"
PATIENCE = 60


@pytest.fixture
def keeper(tmp_path: Path, windows: Pc) -> Iterator[Siem]:
    """A double of a SIEM on this machine, which knows the PC."""
    with siem(tmp_path / "siem", address(1)) as found:
        certificates.make(found.folder, windows.name, [windows.name], client=True)
        yield found


@pytest.fixture
def handed(windows: Pc, keeper: Siem, other_inventory: Callable[..., str]) -> Iterator[Siem]:
    """The PC hands its events over; afterwards, by what the page says, it does so no more."""
    do(windows, "cat > /root/loki.py", (ROOT / "tests/shipping/loki.py").read_bytes())
    do(windows, f"systemctl stop loki-double 2>/dev/null; {START}")
    where = {
        "logs_siem": f"{keeper.address}:{keeper.port}",
        "logs_siem_peer": NAME,
        "logs_siem_folder": str(keeper.folder),
    }
    inventory = other_inventory(**{windows.name: {"events": True, "logs": True, "logs_loki": True, **where}})
    run = rollout("--limit", "windows", "--limit", "wsl", inventory=inventory)
    assert run.code == 0, run.text
    assert "Events | Hand events of Windows to the distribution" in run.operations("success", "@windows/pc1")
    again = rollout("--limit", "windows", "--limit", "wsl", inventory=inventory)
    assert again.changed_nothing, again.text
    yield keeper
    assert END in PAGE
    assert FORGET in PAGE
    on_windows(windows, END)
    do(windows, f"{STOP}; {FORGET}")
    edit(windows, "s['events'].clear()")
    run = rollout()
    assert run.code == 0, run.text


def do(pc: Pc, line: str, stdin: bytes = b"") -> str:
    done = exec_in_pc(pc.name, ["sh", "-c", line], stdin=stdin)
    assert done.returncode == 0, f"{line}: {done.stderr.decode(errors='replace')}"
    return done.stdout.decode()


def on_windows(pc: Pc, line: str) -> None:
    """As an administrator types it."""
    command = f"powershell.exe -NoProfile -Command \"$ErrorActionPreference = 'Stop'; {line}\""
    done = exec_in_pc(
        pc.name,
        ["runuser", "-u", "operator", "--", "env", f"SSH_ORIGINAL_COMMAND={command}", "/opt/windows-double/shell"],
    )
    assert done.returncode == 0, done.stdout + done.stderr


def write(pc: Pc, **logs: list[str]) -> None:
    edit(pc, f"s['events'] |= {logs!r}")


def came(siem: Siem) -> list[str]:
    """Ids of the events, in their order."""
    return [
        found[1].decode()
        for one in list(siem.messages)
        if (found := re.search(rb' EVENT \[event@32473.* id="([^"]+)"\]', one))
    ]


def kept(pc: Pc) -> list[dict[str, Any]]:
    """The events in Loki, as `{job="windows"}` asks for them."""
    found = json.loads(do(pc, "curl --silent http://127.0.0.1:3100/"))
    assert found["refused"] == []
    return [json.loads(line) for labels, lines in found["streams"] if labels["job"] == "windows" for line in lines]


def wait(what: Callable[[], Any], wanted: Any) -> None:
    end = time.monotonic() + PATIENCE
    while (found := what()) != wanted:
        assert time.monotonic() < end, f"after {PATIENCE} s: {found}"
        time.sleep(0.5)


def test_what_happens_on_windows_reaches_the_siem_and_loki_once(handed: Siem, windows: Pc, read: Read) -> None:
    write(
        windows,
        Security=[event("4625", 7, TargetUserName="Jürgen"), event("4732", 9)],
        **{DEFENDER: [event("1116", 3)]},
    )
    on_windows(windows, TASK)
    first = ["Security:7", "Security:9", f"{DEFENDER}:3"]
    wait(lambda: came(handed), first)
    # The SIEM goes away; what happens meanwhile waits on the PC's disk.
    handed.stop()
    write(windows, Security=[event("4625", 7), event("4732", 9), event("1102", 10)])
    on_windows(windows, TASK)
    wait(lambda: [one["id"] for one in kept(windows) if one["number"] == 1102], ["Security:10"])
    assert came(handed) == first
    handed.start()
    wait(lambda: came(handed), [*first, "Security:10"])
    assert sorted(one["id"] for one in kept(windows)) == sorted(came(handed))
    [logon] = [one for one in kept(windows) if one["number"] == 4625]
    assert (logon["data"]["TargetUserName"], logon["row"]) == ("Jürgen", "logons")
    # What the table does not name has left Windows in no way: the member's path, the program that asked.
    for secret in ("CN=eadmin", "winlogon"):
        assert secret in json.dumps(load(windows, read)["events"])
        assert secret.encode() not in b"".join(handed.messages)
        do(windows, f"! grep -r -q -a -F {secret} /var/log/citadelle /var/lib/citadelle/logs")
    assert load(windows, read)["tasks"]["\\citadelle\\events"]["LastTaskResult"] == 0

    # The deletion, as its timer runs it: a file that is too old goes, and each store of the host says that it was looked at.
    do(
        windows,
        "cd /var/log/citadelle/windows && echo '{}' > events-2020-01-01.jsonl && touch -d '8 days ago' events-2020-01-01.jsonl",
    )
    do(windows, "systemctl start citadelle-retention")
    assert "events-2020-01-01.jsonl" not in do(windows, "ls /var/log/citadelle/windows")
    figures = dict(line.rsplit(" ", 1) for line in do(windows, FIGURES).splitlines() if not line.startswith("#"))
    looked = {name: value for name, value in figures.items() if name.startswith("citadelle_retention_ok")}
    assert looked == {
        f'citadelle_retention_ok{{store="{store}"}}': "1"
        for store in ("audit", "secrets", "keys", "journal", "windows")
    }
    oldest = float(figures['citadelle_retention_oldest_timestamp_seconds{store="windows"}'])
    assert datetime.now(UTC).timestamp() - oldest < 7 * 86400
