"""`bin/lab status`: the PCs, their addresses, what runs in each."""

from __future__ import annotations

import json

from rich.console import Console
from rich.table import Table

from tests.lab import machine, pcs, state
from tests.lab.commands import LABEL, PREFIX, output
from tests.lab.state import Pc


def status() -> int:
    """Print it; 0 when every PC of `lab.json` runs, else 1."""
    engine = machine.usable()
    if not engine:
        print("lab: Docker does not answer\nhint: bin/lab")
        return 1
    lab = state.read_lab()
    print(
        f"Docker Engine {engine}; engine {lab.get('engine', '-')}; powershell {lab.get('powershell', '-')}; model {lab.get('model', '-')}"
    )
    found = running()
    if not found:
        print("lab: no PC\nhint: bin/lab")
        return 1
    Console().print(_table(found))
    return 0 if all(row["state"] == "running" for row in found) else 1


def running() -> list[dict[str, str]]:
    """One row per PC: name, state of the container, address, systemd, stack (services of the first stack with their health)."""
    lines = (
        output(["docker", "ps", "--all", "--filter", f"label={LABEL}", "--format", "{{json .}}"]) or ""
    ).splitlines()
    rows = []
    for line in sorted(lines):
        container = json.loads(line)
        if container["Names"].startswith(f"{PREFIX}-"):
            rows.append(_row(container["Names"].removeprefix(f"{PREFIX}-"), container["State"]))
    return sorted(rows, key=lambda row: row["name"])


def _row(name: str, container_state: str) -> dict[str, str]:
    template = "{{range .NetworkSettings.Networks}}{{.IPAMConfig.IPv4Address}}{{end}}"
    address = pcs.inspect(Pc(name, "linux", "").container, template) or "-"
    row = {"name": name, "state": container_state, "address": address, "systemd": "-", "stack": "-"}
    if container_state == "running":
        row["systemd"] = _said(name, ["systemctl", "is-system-running"])
        row["stack"] = _said(name, ["docker", "ps", "--format", "{{.Names}} {{.Status}}"]) or "nothing"
    return row


def _said(name: str, argv: list[str]) -> str:
    """Its output, one line per line; empty where the program is absent."""
    done = pcs.exec_in_pc(name, argv)
    return "" if b"exec failed" in done.stdout + done.stderr else done.stdout.decode(errors="replace").strip()


def _table(rows: list[dict[str, str]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("name", "state", "address", "systemd", "stack"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row.values())
    return table
